//! The API over real HTTP.

mod agent;
mod diagnosed;
mod documented;
mod encrypted;
mod guarded;
mod lifecycle;
mod listed;
mod rebased;
mod refused;
mod schema;
mod server;
mod story;

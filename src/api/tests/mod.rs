//! The API over real HTTP.

mod agent;
mod diagnosed;
mod documented;
mod lifecycle;
mod encrypted;
mod guarded;
mod listed;
mod refused;
mod schema;
mod server;
mod story;

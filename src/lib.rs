//! Portent: anomaly detection and explained incidents beside a team's Prometheus.
//!
//! The rooms and the arrows between them are drawn in `docs/architecture.md` and held by `tests/tidy.rs`.

pub mod api;
pub mod app;
pub mod backtest;
pub mod cli;
pub mod config;
pub mod correlate;
pub mod demo;
pub mod detect;
pub mod diagnose;
pub mod discover;
pub mod engine;
pub mod id;
pub mod incident;
pub mod llm;
pub mod record;
pub mod replay;
pub mod runtime;
pub mod schedule;
pub mod secret;
pub mod series;
pub mod source;
pub mod store;
pub mod telemetry;
pub mod time;
pub mod transport;

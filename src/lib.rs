//! Portent: anomaly detection and explained incidents beside a team's Prometheus.
//!
//! The rooms and the arrows between them are drawn in `docs/architecture.md` and held by `tests/tidy.rs`.

pub mod id;
pub mod secret;
pub mod series;
pub mod source;
pub mod time;

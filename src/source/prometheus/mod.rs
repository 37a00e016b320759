//! The HTTP API of Prometheus and of what speaks it: VictoriaMetrics, Thanos, Mimir.

mod answer;
mod client;
mod request;
mod retry;
#[cfg(test)]
mod tests;

pub use self::client::{BuildInfo, Prometheus};

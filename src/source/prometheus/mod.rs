//! The HTTP API of Prometheus and of what speaks it: VictoriaMetrics, Thanos, Mimir.

mod answer;
mod client;
mod explore;
mod request;
mod retry;
#[cfg(test)]
mod tests;

pub use self::client::{BuildInfo, Prometheus};
pub use self::explore::{Family, Point, Seen};

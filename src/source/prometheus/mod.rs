//! The HTTP API of Prometheus and of what speaks it: VictoriaMetrics, Thanos, Mimir.

mod answer;
mod backend;
mod client;
mod explore;
mod identify;
mod retry;
#[cfg(test)]
mod tests;

pub use self::backend::{Backend, BackendKind};
pub use self::client::Prometheus;
pub use self::explore::{Family, Point, Seen};
pub use self::identify::BuildInfo;

//! The HTTP API of Prometheus and of what speaks it: VictoriaMetrics, Thanos, Mimir.

mod answer;
mod backend;
mod client;
mod identify;
mod retry;
#[cfg(test)]
mod tests;

pub use self::backend::{Backend, BackendKind};
pub use self::client::Prometheus;
pub use self::identify::BuildInfo;

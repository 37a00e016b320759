//! The pipeline's own metrics.

mod catalogue;
mod config;
mod observe;
mod source_info;

pub(super) use self::catalogue::Metrics;
pub use self::catalogue::metrics_reference;
pub use self::config::ConfigMetrics;
pub(super) use self::observe::Told;

//! The pipeline's own metrics.

mod bands;
mod catalogue;
mod config;
mod labels;
mod observe;
mod places;
mod source_info;

pub(super) use self::bands::Shown;
pub(super) use self::catalogue::Metrics;
pub use self::catalogue::metrics_reference;
pub use self::config::ConfigMetrics;
pub(super) use self::observe::Told;

//! The pipeline's own metrics.

mod catalogue;
mod observe;
mod source_info;

pub use self::catalogue::metrics_reference;
pub(super) use self::catalogue::{Metrics, tell_config};
pub(super) use self::observe::Told;

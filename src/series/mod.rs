//! What a series is called, and how samples travel: labels interned once, then columns of times and values.

mod batch;
mod key;
mod matchers;

pub use self::batch::{Batch, BatchRow, SERIES_PER_PART_MAX};
pub use self::key::{Labels, SeriesKey, Service, SignalName};
pub use self::matchers::{Matchers, NoChoice};

//! What a run over the past says about a config: incidents a day, how they fit what people know, and what another config
//! would have said.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod budget;
mod condition;
mod counts;
mod difference;
mod labels;
mod report;
mod score;
#[cfg(test)]
mod trials;

pub use self::budget::{
    Calibration, Fitted, Level, Limit, Scoped, Search, Seen, fit, poisson_interval, rate_interval,
    with_boundaries,
};
pub use self::condition::{Broken, Condition, ConditionError, conditions};
pub use self::counts::{Counts, Row, Tables};
pub use self::difference::{Difference, Pair};
pub use self::labels::{Label, LabelError, Labels};
pub use self::report::{Period, Report, Verdict};
pub use self::score::Score;

//! The detectors: each judges a sample of a series by its own memory of that series, kept in columns.
//!
//! All have the same verbs, those of [`Single`]. A row is an index that the caller owns; what belongs into the memory is the
//! caller's decision too. Every sample is judged once, in order of time, before it is learned; a sample that is no finite
//! number is neither judged nor learned.

mod edge;
mod ewma;
mod fit;
mod flatline;
mod level;
mod memory;
mod range;
mod robust_z;
mod rolling_z;
mod single;
pub mod student;
mod tail;

#[cfg(test)]
mod claims;

pub use self::ewma::{Ewma, EwmaSettings};
pub use self::flatline::{Flatline, FlatlineSettings};
pub use self::level::{Level, LevelSettings};
pub use self::memory::{Floors, Memory, VALUE_MAX};
pub use self::range::{Range, RangeSettings};
pub use self::robust_z::{RobustZ, RobustZSettings};
pub use self::rolling_z::{RollingZ, RollingZSettings};
pub(in crate::detect) use self::single::Keep;
pub use self::single::Single;
pub(in crate::detect) use self::tail::Tail;

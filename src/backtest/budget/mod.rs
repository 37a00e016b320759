//! From a noise budget to a boundary: how often the whole pipeline would have opened an incident at several boundaries,
//! and where between them, or beyond, the budget lies.

mod curve;
mod poisson;
mod scope;
mod search;

pub use self::curve::{Fitted, Level, Limit, fit};
pub use self::poisson::{poisson_interval, rate_interval};
pub use self::scope::{Scoped, with_boundaries};
pub use self::search::{Calibration, Search, Seen};

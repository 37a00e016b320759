//! What a series does at this time of day and of week: the ladder of seasons, as a building block of detectors.
//!
//! Formulas, sources and limits stand in `docs/detectors.md`, under "The seasonal ladder".

mod calendar;
mod expectation;
mod kept;
mod ladder;
mod level;
mod profile;
mod row;
mod seasons;
mod settings;
mod slot;
#[cfg(test)]
mod trials;

pub use self::expectation::{Expectation, Season};
pub use self::ladder::{Rung, RungChange};
pub use self::seasons::{SeasonView, Seasons};
pub use self::settings::SeasonSettings;

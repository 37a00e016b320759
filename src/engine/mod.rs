//! The engine: takes inputs one at a time and says what follows from each. It does nothing itself: no I/O, no clock.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod diagnosing;
mod event;
mod holes;
mod input;
mod places;
mod rebasing;
mod reconfigure;
mod settings;
mod slots;
mod snapshot;
mod source;
mod standing;
mod step;
#[cfg(test)]
mod tests;
mod troubles;

pub use self::event::{
    CapturedSeries, ConfigChange, Event, Happening, NotJudged, SeriesRebased, Stream, SystemEvent,
};
pub use self::input::{
    Answer, Command, Coverage, DIRECTIVES_MAX, Effect, Failure, Input, Rebase, Rebasing, Reply, Restored,
};
pub use self::reconfigure::Reconfiguration;
pub use self::settings::Settings;
pub use self::snapshot::{NotResumed, Resumed, Resumption};
pub use self::standing::{SourceStanding, Unanswered};
pub use self::step::Engine;

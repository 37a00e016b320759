//! Judges every sample of every series against that series' own baseline, and says what is anomalous and why.
//!
//! The formulas stand in `docs/detectors.md`. State is a pure function of the samples fed in: no clock, no randomness.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod bands;
mod boundary;
mod budget;
mod choice;
mod classic;
pub mod detectors;
mod directive;
mod finding;
mod gaps;
mod gate;
mod guard;
mod index;
mod opinion;
mod overrides;
mod page;
mod panel;
mod pauses;
mod reconfigure;
mod recurrence;
mod run;
pub mod season;
mod seen;
mod selection;
mod settings;
mod snapshot;
mod stage;
mod table;
mod zone;

pub use self::bands::Band;
pub use self::budget::{Allotment, Boundary, Budget, NoBudget, Per, Scope};
pub use self::choice::UnknownDetector;
pub use self::classic::{Baseline, Noise, Verdict, baseline_of, judge};
pub use self::directive::{Directive, NotRebased, Rebased};
pub use self::finding::{Anomaly, Finding, Restart, SeriesView, Side, What};
pub use self::gaps::Gaps;
pub use self::gate::{Check, Ending, Gate, Input, Outcome, Trace};
pub use self::guard::{MinVolume, VOLUME_AGE, ValidRange, Volume};
pub use self::opinion::{Opinion, SCORE_MAX};
pub use self::overrides::{Overridden, Patch, SeriesOverride};
pub use self::page::{SeriesPage, SeriesQuery, SeriesState};
pub use self::run::confidence;
pub use self::selection::{Combine, Detector, Detectors};
pub use self::settings::{FORGET_AFTER, Kind, Missing, Settings, Sides, SignalPlan};
pub use self::snapshot::{Restoration, SnapshotFlaw};
pub use self::stage::{Closed, Detect, Loss, Tally};
pub use self::zone::{Turn, Zone};

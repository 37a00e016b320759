//! From an incident to ranked hypotheses about its cause: by a model that is asked, or by the built-in heuristics.
//!
//! Both see the same bundle, and whatever either claims cites ids of that bundle.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod blind;
mod bundle;
mod citation;
#[cfg(test)]
mod claims;
mod data;
mod diagnosis;
mod gather;
mod heuristics;
mod links;
mod prompt;
mod reply;
#[cfg(test)]
pub(crate) mod sample;
mod shapes;
mod wording;

pub use self::blind::{FailingPolls, SourceEvidence, gather_source};
pub use self::bundle::{Bundle, Evidence, EvidenceId, Item, Movement};
pub use self::citation::{Citation, cite};
pub use self::diagnosis::{Author, Because, Cause, Contribution, Diagnosis, Hypothesis};
pub use self::gather::{Limits, PastIncident, Surroundings, gather};
pub use self::heuristics::rank;
pub use self::prompt::{Prompt, SCHEMA_NAME, prompt, schema};
pub use self::reply::{Fault, Problem, ReplyError, one_line, parse_reply};
pub use self::wording::short;

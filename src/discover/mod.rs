//! Recognises what a backend holds by the names and labels of its metrics, and writes a config for it.
//!
//! Pure: what the backend was seen to hold comes in as values, a text goes out. All that comes from a backend is held
//! to be hostile: it is checked before it stands in PromQL, and escaped and cut before it stands in a text.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod catalogue;
mod convention;
mod document;
mod draft;
mod escape;
mod pace;
mod proposal;
mod service;

pub use self::catalogue::all as conventions;
pub use self::convention::{Convention, Found, Template, Tier, recognise};
pub use self::document::{Backend, document};
pub use self::draft::{Draft, Trial, Verdict};
pub use self::escape::{comment_text, promql_text, toml_text};
pub use self::pace::{Pace, interval_of};
pub use self::proposal::{Proposal, Sighting};
pub use self::service::{Candidate, Choice, Measured, candidates, choose, measure_query};

//! Runs samples of the past through the whole pipeline in virtual time: what the agent would have said, and when.
//!
//! A recording is taken moment by moment ([`Replay`]); what a backend holds is polled slot by slot, as the agent would
//! have polled it ([`Rerun`]). Samples are read once and shared: any number of candidates run over the same [`Piece`]s.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod found;
mod ledger;
mod moments;
mod piece;
mod rerun;
mod solo;
mod trace;

pub use self::found::{Found, Worst};
pub use self::ledger::Outcome;
pub use self::moments::{Replay, Replayed};
pub use self::piece::Piece;
pub use self::rerun::{Lane, Rerun};
pub use self::solo::{Change, Judged, Solo};
pub use self::trace::Trace;

//! Keeps the log, the projections that the API reads, and what the engine needs to go on after a restart.
//!
//! One process at a time has a store open; in it, one connection writes and a few read. What a commit returned for is on
//! disk: SQLite in WAL mode with `synchronous=FULL`. Events are chained by hash in each stream, and every commit that
//! touches incidents notes the heads of their streams in `system`, so that a changed byte, a cut tail and a missing
//! stream are found by [`Store::verify`]. Whoever can rewrite the whole file can still rewrite `system` too: the head
//! that `verify` gives is there to be noted elsewhere.

mod budgets;
mod cache;
mod chain;
mod commit;
mod counts;
mod cursor;
mod error;
mod events;
mod incidents;
mod lock;
mod migrate;
mod open;
mod project;
mod restore;
mod row;
mod settings;
mod sql;
#[cfg(test)]
mod story;
mod verify;

pub use self::budgets::KeptCalibration;
pub use self::cache::CACHED_REPLIES_MAX;
pub use self::chain::{CHECKPOINT, Head};
pub use self::commit::{Commit, Committed};
pub use self::counts::Counts;
pub use self::cursor::{Cursor, CursorError};
pub use self::error::StoreError;
pub use self::events::{EVENTS_PER_PAGE_MAX, StoredEvent};
pub use self::incidents::{
    INCIDENTS_PER_PAGE_MAX, IncidentFilter, IncidentRow, Page, PhaseName, Status, StatusError,
};
pub use self::open::Store;
pub use self::settings::Settings;
pub use self::verify::{FAULTS_MAX, Fault, Verified};

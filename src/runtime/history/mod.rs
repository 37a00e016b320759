//! The past of a backend: read once, window by window, and lived through by any number of agents in virtual time.

mod candidate;
mod reader;
mod span;

pub use self::candidate::Candidate;
pub use self::reader::{HistoryError, Reading};
pub use self::span::{Lived, Progress, Span, live_through, live_through_twice};

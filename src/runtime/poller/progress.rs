//! How far a poller has come.

use super::appetite::Appetite;
use crate::time::Timestamp;

/// What a poller has done so far in this generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) generation: u64,
    /// The last step that was handed to the engine.
    pub(super) seen: Option<Timestamp>,
    /// Whether the backend has answered.
    pub(super) is_answered: bool,
    /// How many series the last answer had: what the next one is planned by.
    pub(super) series: usize,
    /// Polls that failed in a row.
    pub(super) failures: u32,
    /// How many steps are asked for at once.
    pub(super) appetite: Appetite,
    /// The points of the last request.
    pub(super) asked: u64,
    /// Whether the log has been told of the failures, of answers that hold nothing to judge, of warnings.
    pub(super) is_failure_told: bool,
    pub(super) noted_unusable: bool,
    pub(super) noted_warnings: bool,
}

impl Progress {
    pub(super) fn new(generation: u64) -> Self {
        Self {
            generation,
            seen: None,
            is_answered: false,
            series: 0,
            failures: 0,
            appetite: Appetite::WHOLE,
            asked: 0,
            is_failure_told: false,
            noted_unusable: false,
            noted_warnings: false,
        }
    }
}

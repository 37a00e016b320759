//! How far a poller has come.

use crate::time::Timestamp;

/// After answers that were too large or too slow, requests are planned for up to so many times the series that there are.
const SQUEEZE_MAX: usize = 16;

/// What a poller has done so far in this generation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    pub(super) generation: u64,
    /// The last step that was handed to the engine.
    pub(super) seen: Option<Timestamp>,
    /// How many series the last answer had: what the next one is planned by.
    pub(super) series: usize,
    /// Polls that failed in a row.
    pub(super) failures: u32,
    /// How many times smaller than planned the requests are.
    squeeze: usize,
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
            series: 0,
            failures: 0,
            squeeze: 1,
            is_failure_told: false,
            noted_unusable: false,
            noted_warnings: false,
        }
    }

    /// A quarter at once, since an answer that is too much is also dear.
    pub(super) fn ask_for_less(&mut self) {
        self.squeeze = self.squeeze.saturating_mul(4).min(SQUEEZE_MAX);
    }

    /// After a poll that was answered as a whole, the next one may ask for twice as much at once.
    pub(super) fn ask_for_more(&mut self) {
        self.squeeze = (self.squeeze / 2).max(1);
    }

    /// The series that a request is planned for.
    pub(super) fn planned_series(&self) -> usize {
        self.series.max(1).saturating_mul(self.squeeze)
    }
}

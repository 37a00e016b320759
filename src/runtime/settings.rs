//! How the pipeline runs.

use std::time::Duration;

use super::snapshot::SnapshotSettings;

/// How the pipeline runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How much history is read at start, so that baselines are warm at once: 1 min to 30 d. At least four baselines
    /// of each signal are read in any case.
    pub history: Duration,
    /// At the very first start, what began so long ago still opens incidents; older history only teaches.
    pub first_look: Duration,
    /// Inputs that may wait for the engine; a poller that finds the queue full waits. 1 to 65,536.
    pub queue_limit: usize,
    /// What is shown of single series at `/metrics`.
    pub bands: BandSettings,
    /// Whether detection's state is kept over a restart.
    pub snapshots: SnapshotSettings,
}

/// What is shown of single series at `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BandSettings {
    /// Whether anything is.
    pub export: bool,
    /// At most so many series, over all signals; each has up to four metrics.
    pub series_limit: usize,
}

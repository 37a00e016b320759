//! Runs the pipeline: the clock, the supervisor, the pollers, the engine's thread, the workers.

mod announce;
mod asker;
mod backend;
mod budget;
mod clock;
mod crew;
mod engine_time;
mod explain;
mod history;
mod jumping;
mod metrics;
mod pipeline;
mod poller;
mod reconfigure;
#[cfg(test)]
mod rehearsal;
mod reloads;
mod settings;
mod snapshot;
mod start;
mod status;
mod supervisor;

pub use self::budget::{BudgetMetrics, Calibrated, Effort, Standing, Standings, calibrate, in_force};
pub use self::clock::Clock;
pub use self::explain::{EXPLAINED_MAX, Explained, NotExplained, Question, SeriesExplained};
pub use self::history::{
    Candidate, HistoryError, Lived, Progress, Reading, Span, live_through, live_through_twice,
};
pub use self::jumping::Awake;
pub use self::metrics::{ConfigMetrics, metrics_reference};
pub use self::reconfigure::{Change, ModelChange, Reconfigurer};
#[cfg(test)]
pub(crate) use self::rehearsal::{Asked, Rehearsal, rehearse};
pub use self::reloads::{
    Asked as ReloadAsked, Fate, Foreseen, ReloadError, ReloadQueue, Reloads, SignalForeseen,
};
pub use self::settings::{BandSettings, Settings};
pub use self::snapshot::SnapshotSettings;
pub use self::start::{Parts, Polled, StartError, Started, start};
pub use self::status::{
    Handle, Hold, ModelStatus, PollStatus, SignalStatus, SourceStatus, Status, Unavailable,
};
pub use self::supervisor::Supervisor;

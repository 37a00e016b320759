//! Runs the pipeline: the clock, the supervisor, the pollers, the engine's thread, the workers.

mod announce;
mod asker;
mod backend;
mod clock;
mod jumping;
mod metrics;
mod pipeline;
mod poller;
#[cfg(test)]
mod rehearsal;
mod settings;
mod start;
mod status;
mod supervisor;

pub use self::clock::Clock;
pub use self::jumping::Awake;
pub use self::metrics::metrics_reference;
#[cfg(test)]
pub(crate) use self::rehearsal::{Asked, Rehearsal, rehearse};
pub use self::settings::Settings;
pub use self::start::{Parts, Polled, StartError, start};
pub use self::status::{Handle, ModelStatus, PollStatus, SignalStatus, SourceStatus, Status, Unavailable};
pub use self::supervisor::Supervisor;

//! Runs the pipeline: the clock, the supervisor, the pollers, the engine's thread, the workers.

mod clock;
mod settings;
mod status;

pub use self::clock::Clock;
pub use self::settings::Settings;
pub use self::status::{Handle, ModelStatus, PollStatus, SignalStatus, Status, Unavailable};

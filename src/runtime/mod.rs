//! Runs the pipeline: the clock, the supervisor, the pollers, the engine's thread, the workers.

mod settings;

pub use self::settings::Settings;

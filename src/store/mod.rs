//! Keeps the log, the projections that the API reads, and what the engine needs to go on after a restart.

mod settings;

pub use self::settings::Settings;

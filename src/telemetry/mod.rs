//! Logs and the registry of the agent's own metrics.

mod settings;

pub use self::settings::{LogFormat, Settings};

//! Logs and the registry of the agent's own metrics.

mod logging;
mod process;
mod registry;
mod settings;

pub use self::logging::{BoxedSubscriber, Level, LogError, install, subscriber};
pub use self::registry::{CONTENT_TYPE, Registry};
pub use self::settings::{LEVELS, LogFormat, Settings};

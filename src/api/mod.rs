//! The REST API.

mod settings;

pub use self::settings::Settings;

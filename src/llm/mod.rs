//! Asks a model through any OpenAI-compatible endpoint.

mod settings;

pub use self::settings::Settings;

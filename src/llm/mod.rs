//! Asks a model through any OpenAI-compatible endpoint.
//!
//! One question has one deadline, which covers the request, its retry and the repair of a bad answer. Whatever goes
//! wrong has a name, [`crate::diagnose::Because`], and the heuristics take over. Neither the key nor the question is
//! ever logged or part of an error.

mod ask;
mod endpoint;
mod settings;
#[cfg(test)]
mod trials;
mod wire;

pub use self::ask::{LlmError, Model, Outcome, Question};
pub use self::settings::Settings;

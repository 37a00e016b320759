//! The answer of a model, read strictly.

use super::{Bundle, Hypothesis};

/// Why an answer is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It is not JSON of the schema's shape.
    #[error("the answer is not of the schema's shape: {0}")]
    Shape(String),
}

/// Reads an answer.
///
/// # Errors
/// Where it is not of the schema's shape.
pub fn parse_reply(_text: &str, _bundle: &Bundle) -> Result<Vec<Hypothesis>, ReplyError> {
    Err(ReplyError::Shape(String::new()))
}

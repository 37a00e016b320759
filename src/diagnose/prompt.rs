//! The question to a model: the bundle as text, and the schema of the answer.

/// The name under which the schema is sent.
pub const SCHEMA_NAME: &str = "diagnosis";

/// What is sent to a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The rules.
    pub system: String,
    /// The bundle.
    pub user: String,
}

/// Writes the question about a bundle.
pub fn prompt(_bundle: &super::Bundle) -> Prompt {
    Prompt { system: String::new(), user: String::new() }
}

/// The JSON schema of the answer.
pub fn schema() -> serde_json::Value {
    serde_json::Value::Null
}

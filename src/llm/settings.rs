//! What a person may tune about the model.

use std::time::Duration;

use crate::secret::Secret;
use crate::transport;

/// Which model to ask, and how much.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether a model is asked at all. Off means off: no request, no warning.
    pub enabled: bool,
    /// The base of the OpenAI-compatible API, such as `https://api.openai.com/v1` or `http://127.0.0.1:11434/v1`.
    pub base_url: String,
    /// The model's name as the endpoint knows it.
    pub model: String,
    /// The key, where the endpoint wants one: sent as `Authorization: Bearer`, and then there is none under `http`.
    pub api_key: Option<Secret>,
    /// How to connect, and how the agent shows who it is.
    pub http: transport::Settings,
    /// 0 to 2.
    pub temperature: f64,
    /// The answer's length at most, in tokens: 64 to 100,000.
    pub max_output_tokens: u32,
    /// The time for everything: the request, its retries, and the repair of a bad answer. 1 s to 10 min.
    pub deadline: Duration,
    /// Requests a minute at most, over all incidents: 1 to 10,000.
    pub requests_per_minute: u32,
    /// How long an answer to the same question is used again: 0 to 30 d.
    pub cache_for: Duration,
    /// So many questions are asked about one incident at most, those of people apart: 1 to 100.
    pub questions_per_incident: u32,
}

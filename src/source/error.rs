//! What can go wrong between a query and its samples. Each error names the source, the query and what happened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::decode::DecodeError;
use super::query::SignalQuery;
use super::settings::Mistake;
use crate::secret::SecretError;
use crate::series::SignalName;
use crate::time::format_duration;
use crate::transport::TransportError;

/// Characters of a query that an error shows.
const PROMQL_CHARS_MAX: usize = 200;

/// Who was asked for what; the subject of an error's sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    source: Arc<str>,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Query { promql: String, signal: SignalName },
    BuildInfo,
    Path(Arc<str>),
}

impl Asked {
    pub(super) fn query(source: Arc<str>, query: &SignalQuery) -> Arc<Self> {
        let mut promql: String = query.promql.chars().take(PROMQL_CHARS_MAX).collect();
        if promql.len() < query.promql.len() {
            promql.push('…');
        }
        Arc::new(Self { source, what: What::Query { promql, signal: query.signal.clone() } })
    }

    #[cfg(test)]
    pub(crate) fn for_test() -> Arc<Self> {
        Self::build_info("http://host".into())
    }

    pub(super) fn build_info(source: Arc<str>) -> Arc<Self> {
        Arc::new(Self { source, what: What::BuildInfo })
    }

    pub(super) fn path(source: Arc<str>, path: &str) -> Arc<Self> {
        Arc::new(Self { source, what: What::Path(path.into()) })
    }

    /// The signal whose query it was; `None` where the backend was asked about itself or about what it holds.
    pub fn signal(&self) -> Option<&SignalName> {
        match &self.what {
            What::Query { signal, .. } => Some(signal),
            What::BuildInfo | What::Path(_) => None,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}: ", self.source)?;
        match &self.what {
            What::Query { promql, signal } => write!(f, "query {promql:?} of signal {signal}"),
            What::BuildInfo => f.write_str("the request for its version"),
            What::Path(path) => write!(f, "the request for /api/v1/{path}"),
        }
    }
}

/// Why a source gave no samples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Settings that cannot be used.
    #[error("{0}")]
    Settings(Mistake),
    /// A query or a range that cannot be asked for.
    #[error("{asked} cannot be sent: {because}")]
    Query {
        /// The query.
        asked: Arc<Asked>,
        /// What is wrong and a way out.
        because: String,
    },
    /// A secret that cannot be had.
    #[error("{asked} cannot be sent: {because}")]
    Secret {
        /// The query.
        asked: Arc<Asked>,
        /// Which secret and why.
        because: SecretError,
    },
    /// A secret that cannot stand in a header.
    #[error("{asked} cannot be sent: the secret of header {header} holds characters that no header may have")]
    SecretText {
        /// The query.
        asked: Arc<Asked>,
        /// The header.
        header: String,
    },
    /// No connection, or one that broke.
    #[error("{asked} got no answer: {because}")]
    Connect {
        /// The query.
        asked: Arc<Asked>,
        /// The innermost reason.
        because: String,
    },
    /// No complete answer in time.
    #[error("{asked} timed out after {}", format_duration(*after))]
    Timeout {
        /// The query.
        asked: Arc<Asked>,
        /// The time that was allowed.
        after: Duration,
    },
    /// Requests before it used up what `requests_per_second` allows.
    #[error(
        "{asked} waited for its turn for {}: raise source.requests_per_second or ask less often",
        format_duration(*after)
    )]
    RateLimit {
        /// The query.
        asked: Arc<Asked>,
        /// The time that was waited.
        after: Duration,
    },
    /// A status other than success.
    #[error("{asked} was refused with status {status}: {because}")]
    Status {
        /// The query.
        asked: Arc<Asked>,
        /// The HTTP status.
        status: u16,
        /// The API's error type and text, or what the body says.
        because: String,
        /// How long the backend wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// A success that is no JSON.
    #[error(
        "{asked} was answered {content_type}, not JSON: \
         is the URL, the path prefix or a login page in between right?"
    )]
    NotJson {
        /// The query.
        asked: Arc<Asked>,
        /// What the answer calls itself.
        content_type: String,
    },
    /// An answer that cannot be used.
    #[error("{asked} {}{because}", verb(because))]
    Decode {
        /// The query.
        asked: Arc<Asked>,
        /// What is wrong with it.
        because: DecodeError,
    },
    /// An answer whose reading was given up.
    #[error(
        "{asked} was answered more than {limit_bytes} bytes: narrow it, or raise source.bytes_per_request, \
         of which this is four times"
    )]
    TooLarge {
        /// The query.
        asked: Arc<Asked>,
        /// The limit.
        limit_bytes: usize,
    },
    /// The thread that reads secrets or decodes was ended, as happens while the process stops.
    #[error("{asked} was given up: the worker ended")]
    Worker {
        /// The query.
        asked: Arc<Asked>,
    },
}

/// What the sentence says between its subject and the reason.
fn verb(because: &DecodeError) -> &'static str {
    match because {
        DecodeError::Malformed(_) => "was answered ",
        DecodeError::Refused { .. } => "was refused: ",
        DecodeError::ResultType { .. } | DecodeError::Duplicate { .. } | DecodeError::SeriesLimit { .. } => {
            "returns "
        }
    }
}

impl SourceError {
    /// Whether the backend said something, if only no.
    pub(crate) fn was_answered(&self) -> bool {
        matches!(self, Self::Status { .. } | Self::Decode { .. } | Self::TooLarge { .. })
    }

    /// Whether the same request may well succeed a moment later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Timeout { .. } => true,
            Self::Status { status, .. } => matches!(status, 429 | 502 | 503 | 504),
            Self::Settings(_)
            | Self::Query { .. }
            | Self::Secret { .. }
            | Self::SecretText { .. }
            | Self::RateLimit { .. }
            | Self::NotJson { .. }
            | Self::Decode { .. }
            | Self::TooLarge { .. }
            | Self::Worker { .. } => false,
        }
    }

    /// The same, about a query that could not be sent.
    pub(super) fn of_transport(error: TransportError, asked: Arc<Asked>) -> Self {
        match error {
            TransportError::Secret(because) => Self::Secret { asked, because },
            TransportError::SecretText { header } => Self::SecretText { asked, header },
            TransportError::Worker => Self::Worker { asked },
            TransportError::Settings(_) | TransportError::Client(_) => {
                Self::Settings(Mistake { key: "http", because: error.to_string() })
            }
        }
    }

    /// Each word that [`Self::kind`] gives.
    pub(crate) const KINDS: [&str; 6] = ["connect", "timeout", "status", "decode", "limit", "config"];

    /// A word for a metric's label; one of `KINDS`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Connect { .. } | Self::Worker { .. } => "connect",
            Self::Timeout { .. } => "timeout",
            Self::Status { .. } => "status",
            Self::RateLimit { .. } | Self::TooLarge { .. } => "limit",
            Self::Settings(_) | Self::Query { .. } | Self::Secret { .. } | Self::SecretText { .. } => {
                "config"
            }
            Self::NotJson { .. } => "decode",
            Self::Decode { because, .. } => match because {
                DecodeError::Refused { .. } => "status",
                DecodeError::SeriesLimit { .. } => "limit",
                DecodeError::Malformed(_)
                | DecodeError::ResultType { .. }
                | DecodeError::Duplicate { .. } => "decode",
            },
        }
    }

    /// How long the backend wants to be left alone, where it said so.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

//! What a diagnosis says, and who says it.

use std::borrow::Cow;

use super::bundle::EvidenceId;
use super::citation::Citation;
use crate::id::IncidentId;
use crate::incident::Standing;
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

/// Ranked hypotheses about one incident, as of one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Diagnosis {
    /// The incident.
    pub incident: IncidentId,
    /// 1 for the first diagnosis of the incident, counting up.
    pub revision: u32,
    /// The moment that it is about.
    pub at: Timestamp,
    /// Who made it, and why.
    pub author: Author,
    /// The most likely cause first. Empty where nothing is supported.
    pub hypotheses: Vec<Hypothesis>,
    /// What the evidence says that they cite.
    pub cited: Vec<Citation>,
}

impl Diagnosis {
    /// Whether it is the last word for now, or stands in until a model has answered.
    pub fn standing(&self) -> Standing {
        match &self.author {
            Author::Heuristics { because: Because::ModelPending } => Standing::AwaitsModel,
            Author::Heuristics { .. } | Author::Model { .. } => Standing::Final,
        }
    }
}

/// Who made a diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// A model that was asked.
    Model {
        /// Its name as the config gives it.
        name: String,
        /// Whether the answer came from the cache.
        from_cache: bool,
    },
    /// The built-in heuristics.
    Heuristics {
        /// Why not a model.
        because: Because,
    },
}

/// Why the heuristics, and no model, made a diagnosis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// No model is configured.
    ModelOff,
    /// A model is being asked at this moment; its answer will be the next revision.
    ModelPending,
    /// The incident has had its number of questions.
    QuestionsUsed,
    /// The key cannot be read.
    NoKey(String),
    /// No answer before the deadline.
    Timeout(String),
    /// The model declined.
    Refused(String),
    /// The answer was cut off.
    Truncated(String),
    /// The answer is not what the schema asks for, and the repair did not mend it.
    BadReply(String),
    /// The provider, or our own limit, allows no more requests now.
    RateLimited(String),
    /// The provider could not be reached or answered with an error.
    Unavailable(String),
}

impl Because {
    /// One word for API and metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::ModelOff => "model_off",
            Self::ModelPending => "model_pending",
            Self::QuestionsUsed => "questions_used",
            Self::NoKey(_) => "no_key",
            Self::Timeout(_) => "timeout",
            Self::Refused(_) => "refused",
            Self::Truncated(_) => "truncated",
            Self::BadReply(_) => "bad_reply",
            Self::RateLimited(_) => "rate_limited",
            Self::Unavailable(_) => "unavailable",
        }
    }

    /// What exactly happened, where there is more to say than the code.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::ModelOff | Self::ModelPending | Self::QuestionsUsed => None,
            Self::NoKey(text)
            | Self::Timeout(text)
            | Self::Refused(text)
            | Self::Truncated(text)
            | Self::BadReply(text)
            | Self::RateLimited(text)
            | Self::Unavailable(text) => Some(text),
        }
    }
}

/// The kind of cause that a hypothesis names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// More or less demand from outside.
    Traffic,
    /// Something that the service waits for: a database, a downstream service, a lock.
    Dependency,
    /// The service has too little of a resource for its load.
    Saturation,
    /// The service itself fails: a deployment, a configuration, a defect.
    Failure,
    /// Processor time that the load does not explain.
    Compute,
    /// Memory that grows or is released unexpectedly.
    Memory,
    /// The service, or what measures it, is gone.
    Gone,
    /// The backend that holds the samples, or the way to it.
    Backend,
    /// The backend takes no samples: its scrapes stopped.
    Scraping,
    /// Something else.
    Other,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 10] = [
        Self::Traffic,
        Self::Dependency,
        Self::Saturation,
        Self::Failure,
        Self::Compute,
        Self::Memory,
        Self::Gone,
        Self::Backend,
        Self::Scraping,
        Self::Other,
    ];

    /// The word for it in API, schema and log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Dependency => "dependency",
            Self::Saturation => "saturation",
            Self::Failure => "failure",
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Gone => "gone",
            Self::Backend => "backend",
            Self::Scraping => "scraping",
            Self::Other => "other",
        }
    }
}

/// One possible cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Hypothesis {
    /// What kind of cause.
    pub cause: Cause,
    /// The service in which it lies; `None` where it lies in the source of the samples.
    pub service: Option<Service>,
    /// The signal that shows it best, where one does.
    pub signal: Option<SignalName>,
    /// One sentence.
    pub title: String,
    /// What speaks for it and against it, and what that pattern usually means.
    pub text: String,
    /// In bits, for heuristics: the sum of the contributions. A model's hypotheses carry none; their order is its own.
    pub score: Option<f64>,
    /// What the score is made of.
    pub contributions: Vec<Contribution>,
    /// The items of the bundle that it rests on.
    pub evidence: Vec<EvidenceId>,
}

/// One term of a score.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// Its name, as `docs/architecture.md` explains it.
    pub term: Cow<'static, str>,
    /// In bits; negative speaks against.
    pub bits: f64,
}

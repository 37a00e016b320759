//! A diagnosis as a reader sees it: who made it, why, and what each score is made of.

use serde::Serialize;
use utoipa::ToSchema;

use super::vocabulary;
use crate::diagnose::{Author, Because, Citation, Contribution, Diagnosis, Hypothesis};

/// Ranked hypotheses about one incident, as of one moment.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Diagnosis)]
pub(super) struct DiagnosisView {
    /// The incident.
    incident: String,
    /// 1 for the first diagnosis of the incident, counting up.
    revision: u32,
    /// The moment that it is about.
    #[schema(format = DateTime)]
    at: String,
    /// Who made it.
    author: AuthorView,
    /// The most likely cause first. Empty where nothing is supported.
    hypotheses: Vec<HypothesisView>,
    /// What the evidence says that they cite.
    cited: Vec<CitationView>,
}

/// A piece of evidence that a hypothesis cites.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Citation)]
pub(super) struct CitationView {
    /// The id by which it is cited.
    id: String,
    /// One sentence.
    says: String,
}

/// Who made a diagnosis.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Author)]
pub(super) struct AuthorView {
    /// A model that was asked, or the built-in heuristics.
    #[schema(value_type = vocabulary::AuthorKind)]
    kind: &'static str,
    /// The model's name, as the config gives it; null for heuristics.
    #[schema(required = true)]
    model: Option<String>,
    /// Whether the model's answer came from the cache; null for heuristics.
    #[schema(required = true)]
    from_cache: Option<bool>,
    /// Why the heuristics, and no model, made it; null for a model.
    #[schema(required = true)]
    because: Option<BecauseView>,
}

/// Why the heuristics, and no model, made a diagnosis.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Because)]
pub(super) struct BecauseView {
    /// One word: `model_off`, `model_pending`, `questions_used`, `no_key`, `timeout`, `refused`, `truncated`, `bad_reply`,
    /// `rate_limited` or `unavailable`.
    code: &'static str,
    /// What exactly happened, where there is more to say.
    #[schema(required = true)]
    detail: Option<String>,
}

/// One possible cause.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hypothesis)]
pub(super) struct HypothesisView {
    /// What kind of cause.
    #[schema(value_type = vocabulary::Cause)]
    cause: &'static str,
    /// The service in which it lies; null where it lies in the source of the samples.
    #[schema(required = true)]
    service: Option<String>,
    /// The signal that shows it best, where one does.
    #[schema(required = true)]
    signal: Option<String>,
    /// One sentence.
    title: String,
    /// What speaks for it and against it, and what that pattern usually means.
    text: String,
    /// In bits, for heuristics: the sum of the contributions; null for a model's hypotheses.
    #[schema(required = true)]
    score: Option<f64>,
    /// What the score is made of.
    contributions: Vec<ContributionView>,
    /// What it rests on: `a1` an anomaly, `s1` another signal of the service, `o1` another service, `p1` a past incident.
    /// The diagnosis tells under `cited` what each says.
    evidence: Vec<String>,
}

/// One term of a score.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Contribution)]
pub(super) struct ContributionView {
    /// Its name.
    term: String,
    /// In bits; negative speaks against.
    bits: f64,
}

impl From<&Diagnosis> for DiagnosisView {
    fn from(diagnosis: &Diagnosis) -> Self {
        Self {
            incident: diagnosis.incident.to_string(),
            revision: diagnosis.revision,
            at: diagnosis.at.to_string(),
            author: (&diagnosis.author).into(),
            hypotheses: diagnosis.hypotheses.iter().map(Into::into).collect(),
            cited: diagnosis.cited.iter().map(Into::into).collect(),
        }
    }
}

impl From<&Citation> for CitationView {
    fn from(citation: &Citation) -> Self {
        Self { id: citation.id.to_string(), says: citation.says.clone() }
    }
}

impl From<&Author> for AuthorView {
    fn from(author: &Author) -> Self {
        match author {
            Author::Model { name, from_cache } => Self {
                kind: "model",
                model: Some(name.clone()),
                from_cache: Some(*from_cache),
                because: None,
            },
            Author::Heuristics { because } => {
                Self { kind: "heuristics", model: None, from_cache: None, because: Some(because.into()) }
            }
        }
    }
}

impl From<&Because> for BecauseView {
    fn from(because: &Because) -> Self {
        Self { code: because.code(), detail: because.detail().map(str::to_owned) }
    }
}

impl From<&Hypothesis> for HypothesisView {
    fn from(hypothesis: &Hypothesis) -> Self {
        Self {
            cause: hypothesis.cause.as_str(),
            service: hypothesis.service.as_ref().map(ToString::to_string),
            signal: hypothesis.signal.as_ref().map(ToString::to_string),
            title: hypothesis.title.clone(),
            text: hypothesis.text.clone(),
            score: hypothesis.score,
            contributions: hypothesis.contributions.iter().map(Into::into).collect(),
            evidence: hypothesis.evidence.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&Contribution> for ContributionView {
    fn from(contribution: &Contribution) -> Self {
        Self { term: contribution.term.to_string(), bits: contribution.bits }
    }
}

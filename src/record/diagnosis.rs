//! The wire form of a diagnosis.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::event::{Body, DIAGNOSED, Encoded, write};
use super::scalar::{Finite, hex, millis};
use super::words::{BecauseWire, CauseWire};
use crate::diagnose::{Author, Because, Cause, Citation, Contribution, Diagnosis, EvidenceId, Hypothesis};
use crate::id::IncidentId;
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DiagnosisWire {
    #[serde(with = "hex")]
    incident: IncidentId,
    revision: u32,
    #[serde(with = "millis", rename = "at_ms")]
    at: Timestamp,
    #[serde(with = "AuthorWire")]
    author: Author,
    hypotheses: Vec<HypothesisWire>,
    cited: Vec<CitationWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CitationWire {
    id: String,
    says: String,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Author", rename_all = "snake_case", deny_unknown_fields)]
enum AuthorWire {
    Model {
        name: String,
        from_cache: bool,
    },
    Heuristics {
        #[serde(with = "BecauseWire")]
        because: Because,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HypothesisWire {
    #[serde(with = "CauseWire")]
    cause: Cause,
    /// Without one where the cause lies in the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service: Option<String>,
    signal: Option<String>,
    title: String,
    text: String,
    score: Option<Finite>,
    contributions: Vec<ContributionWire>,
    evidence: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContributionWire {
    term: String,
    bits: Finite,
}

impl From<&Hypothesis> for HypothesisWire {
    fn from(hypothesis: &Hypothesis) -> Self {
        let Hypothesis { cause, service, signal, title, text, score, contributions, evidence } = hypothesis;
        Self {
            cause: *cause,
            service: service.as_ref().map(|service| service.as_str().to_owned()),
            signal: signal.as_ref().map(|signal| signal.as_str().to_owned()),
            title: title.clone(),
            text: text.clone(),
            score: score.map(Finite),
            contributions: contributions
                .iter()
                .map(|part| ContributionWire { term: part.term.to_string(), bits: Finite(part.bits) })
                .collect(),
            evidence: evidence.iter().map(|id| id.as_str().to_owned()).collect(),
        }
    }
}

impl From<HypothesisWire> for Hypothesis {
    fn from(wire: HypothesisWire) -> Self {
        let HypothesisWire { cause, service, signal, title, text, score, contributions, evidence } = wire;
        Self {
            cause,
            service: service.map(|name| Service::new(&name)),
            signal: signal.map(|name| SignalName::new(&name)),
            title,
            text,
            score: score.map(|Finite(bits)| bits),
            contributions: contributions
                .into_iter()
                .map(|part| Contribution { term: Cow::Owned(part.term), bits: part.bits.0 })
                .collect(),
            evidence: evidence.iter().map(|id| EvidenceId::from_stored(id)).collect(),
        }
    }
}

pub(super) fn encode(diagnosis: &Diagnosis) -> Result<Encoded, RecordError> {
    let Diagnosis { incident, revision, at, author, hypotheses, cited } = diagnosis;
    let wire = |citation: &Citation| CitationWire {
        id: citation.id.as_str().to_owned(),
        says: citation.says.clone(),
    };
    let cited = cited.iter().map(wire).collect();
    let hypotheses = hypotheses.iter().map(HypothesisWire::from).collect();
    let (incident, revision, at, author) = (*incident, *revision, *at, author.clone());
    write(DIAGNOSED, &DiagnosisWire { incident, revision, at, author, hypotheses, cited })
}

pub(super) fn decode(body: &Body<'_>) -> Result<Diagnosis, RecordError> {
    let DiagnosisWire { incident, revision, at, author, hypotheses, cited } = body.read()?;
    let citation = |wire: CitationWire| Citation { id: EvidenceId::from_stored(&wire.id), says: wire.says };
    let cited = cited.into_iter().map(citation).collect();
    let hypotheses = hypotheses.into_iter().map(Hypothesis::from).collect();
    Ok(Diagnosis { incident, revision, at, author, hypotheses, cited })
}

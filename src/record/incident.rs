//! The wire form of what happens to an incident.

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::event::{Body, Encoded, write};
use super::member::{EndedWire, MemberWire};
use super::outage::OutageWire;
use super::scalar::{finite, hex, millis, service, signal};
use super::words::{AssessmentWire, RequesterWire, ResolutionWire, SourceWire};
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{Assessment, Ended, Event, Member, Outage, Requester, Resolution, Source};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

pub(super) const OPENED: &str = "incident.opened";
pub(super) const SOURCE_OPENED: &str = "incident.source_opened";
pub(super) const OUTAGE_JOINED: &str = "incident.outage_joined";
pub(super) const OUTAGE_ENDED: &str = "incident.outage_ended";
pub(super) const JOINED: &str = "incident.joined";
pub(super) const WORSENED: &str = "incident.worsened";
pub(super) const MEMBER_ENDED: &str = "incident.member_ended";
pub(super) const SEVERITY_CHANGED: &str = "incident.severity_changed";
pub(super) const ANALYSIS_REQUESTED: &str = "incident.analysis_requested";
pub(super) const RESOLVED: &str = "incident.resolved";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    #[serde(with = "hex")]
    id: IncidentId,
    #[serde(with = "hex")]
    fingerprint: Fingerprint,
    #[serde(with = "service")]
    service: Service,
    #[serde(with = "SourceWire")]
    source: Source,
    #[serde(with = "MemberWire")]
    member: Member,
    #[serde(with = "AssessmentWire")]
    assessment: Assessment,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Joined {
    #[serde(with = "MemberWire")]
    member: Member,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Worsened {
    #[serde(with = "hex")]
    series: Fingerprint,
    #[serde(with = "finite")]
    peak_score: f64,
    #[serde(with = "finite")]
    peak_value: f64,
    #[serde(with = "millis", rename = "until_ms")]
    until: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MemberEnded {
    #[serde(with = "hex")]
    series: Fingerprint,
    #[serde(with = "millis", rename = "onset_ms")]
    onset: Timestamp,
    #[serde(with = "millis", rename = "until_ms")]
    until: Timestamp,
    #[serde(with = "finite")]
    peak_score: f64,
    #[serde(with = "finite")]
    peak_value: f64,
    #[serde(with = "EndedWire")]
    because: Ended,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeverityChanged {
    #[serde(with = "AssessmentWire")]
    assessment: Assessment,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AnalysisRequested {
    revision: u32,
    #[serde(with = "RequesterWire")]
    by: Requester,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolved {
    #[serde(with = "ResolutionWire")]
    because: Resolution,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceOpened {
    #[serde(with = "hex")]
    id: IncidentId,
    #[serde(with = "hex")]
    fingerprint: Fingerprint,
    #[serde(with = "SourceWire")]
    source: Source,
    #[serde(with = "OutageWire")]
    outage: Outage,
    #[serde(with = "AssessmentWire")]
    assessment: Assessment,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageJoined {
    #[serde(with = "OutageWire")]
    outage: Outage,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OutageEnded {
    #[serde(with = "signal")]
    signal: SignalName,
    #[serde(with = "millis", rename = "since_ms")]
    since: Timestamp,
    #[serde(with = "millis", rename = "until_ms")]
    until: Timestamp,
    #[serde(with = "EndedWire")]
    because: Ended,
}

pub(super) fn encode(event: &Event) -> Result<Encoded, RecordError> {
    match event.clone() {
        Event::Opened { id, fingerprint, service, source, member, assessment } => {
            write(OPENED, &Opened { id, fingerprint, service, source, member, assessment })
        }
        Event::SourceOpened { id, fingerprint, source, outage, assessment } => {
            write(SOURCE_OPENED, &SourceOpened { id, fingerprint, source, outage, assessment })
        }
        Event::OutageJoined { outage } => write(OUTAGE_JOINED, &OutageJoined { outage }),
        Event::OutageEnded { signal, since, until, because } => {
            write(OUTAGE_ENDED, &OutageEnded { signal, since, until, because })
        }
        Event::Joined { member } => write(JOINED, &Joined { member }),
        Event::Worsened { series, peak_score, peak_value, until } => {
            write(WORSENED, &Worsened { series, peak_score, peak_value, until })
        }
        Event::MemberEnded { series, onset, until, peak_score, peak_value, because } => {
            write(MEMBER_ENDED, &MemberEnded { series, onset, until, peak_score, peak_value, because })
        }
        Event::SeverityChanged { assessment } => write(SEVERITY_CHANGED, &SeverityChanged { assessment }),
        Event::AnalysisRequested { revision, by } => {
            write(ANALYSIS_REQUESTED, &AnalysisRequested { revision, by })
        }
        Event::Resolved { because } => write(RESOLVED, &Resolved { because }),
    }
}

/// Reads the body of an incident's event; `None` where its kind is none of them.
pub(super) fn decode(body: &Body<'_>) -> Result<Option<Event>, RecordError> {
    let event = match body.kind {
        OPENED => {
            let Opened { id, fingerprint, service, source, member, assessment } = body.read()?;
            Event::Opened { id, fingerprint, service, source, member, assessment }
        }
        SOURCE_OPENED => {
            let SourceOpened { id, fingerprint, source, outage, assessment } = body.read()?;
            Event::SourceOpened { id, fingerprint, source, outage, assessment }
        }
        OUTAGE_JOINED => {
            let OutageJoined { outage } = body.read()?;
            Event::OutageJoined { outage }
        }
        OUTAGE_ENDED => {
            let OutageEnded { signal, since, until, because } = body.read()?;
            Event::OutageEnded { signal, since, until, because }
        }
        JOINED => {
            let Joined { member } = body.read()?;
            Event::Joined { member }
        }
        WORSENED => {
            let Worsened { series, peak_score, peak_value, until } = body.read()?;
            Event::Worsened { series, peak_score, peak_value, until }
        }
        MEMBER_ENDED => {
            let MemberEnded { series, onset, until, peak_score, peak_value, because } = body.read()?;
            Event::MemberEnded { series, onset, until, peak_score, peak_value, because }
        }
        SEVERITY_CHANGED => {
            let SeverityChanged { assessment } = body.read()?;
            Event::SeverityChanged { assessment }
        }
        ANALYSIS_REQUESTED => {
            let AnalysisRequested { revision, by } = body.read()?;
            Event::AnalysisRequested { revision, by }
        }
        RESOLVED => {
            let Resolved { because } = body.read()?;
            Event::Resolved { because }
        }
        _ => return Ok(None),
    };
    Ok(Some(event))
}

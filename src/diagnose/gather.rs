//! Gathers the bundle of an incident from what detection and the incidents know.

use std::collections::BTreeSet;

use crate::correlate::{Call, CallGraph};
use crate::detect::SeriesView;
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{Incident, Member, MemberState, Subject, Trouble};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

use super::bundle::{Bundle, Evidence, EvidenceId, Item, Movement};
use super::diagnosis::Cause;

/// How much a bundle may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Series of the incident.
    pub anomalies: usize,
    /// Other series of the service.
    pub siblings: usize,
    /// Series of other services.
    pub elsewhere: usize,
    /// Earlier incidents.
    pub past: usize,
    /// Samples of each series of the incident.
    pub points: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { anomalies: 20, siblings: 20, elsewhere: 20, past: 5, points: 20 }
    }
}

/// An incident of the past, as a bundle tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct PastIncident {
    /// Its id.
    pub incident: IncidentId,
    /// What it was about.
    pub subject: Subject,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// The signals that were in trouble, each once.
    pub signals: Vec<SignalName>,
    /// The first hypothesis of its last diagnosis.
    pub cause: Option<Cause>,
    /// When it was resolved.
    pub resolved_at: Option<Timestamp>,
}

impl PastIncident {
    pub(super) fn evidence(&self) -> Evidence {
        Evidence::Past {
            incident: self.incident,
            opened_at: self.opened_at,
            signals: self.signals.clone(),
            cause: self.cause,
            lasted_s: self.resolved_at.map(|end| end.since(self.opened_at).as_secs_f64()),
        }
    }
}

/// What is known of other services.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'a> {
    /// Their series that are in trouble.
    pub troubled: &'a [SeriesView],
    /// Which service calls which.
    pub calls: &'a CallGraph,
}

/// Puts together what is known about an incident at `now`: `own` are all series of its service, `elsewhere` what is known
/// of other services, `past` its earlier incidents, the newest first.
pub fn gather(
    incident: &Incident,
    now: Timestamp,
    own: &[SeriesView],
    elsewhere: Surroundings<'_>,
    past: &[PastIncident],
) -> Bundle {
    let limits = Limits::default();
    let onset = incident.onset();
    let told = incident.members.iter().take(limits.anomalies);
    let anomalies: Vec<Evidence> = told.map(|member| anomaly(member, own, limits)).collect();
    let members: BTreeSet<Fingerprint> = incident.members.iter().map(|member| member.key.hash).collect();
    let siblings: Vec<Evidence> = own
        .iter()
        .filter(|view| !members.contains(&view.key.hash))
        .map(|view| sibling(view, onset))
        .collect();
    let involved = elsewhere.troubled.iter().map(|view| &view.key.service).chain(incident.subject.service());
    let mut calls = elsewhere.calls.among(involved);
    let mut others: Vec<(bool, Timestamp, Evidence)> =
        elsewhere.troubled.iter().filter_map(|view| other(view, onset, &calls)).collect();
    // Where not all find room, those that have to do with this service do.
    others.sort_by_key(|(is_linked, onset, _)| (!is_linked, *onset));
    let others: Vec<Evidence> = others.into_iter().map(|(_, _, evidence)| evidence).collect();
    let before = past.iter().filter(|past| past.incident != incident.id && past.subject == incident.subject);
    let past: Vec<Evidence> = before.map(PastIncident::evidence).collect();

    let mut items = Vec::new();
    let mut left_out = incident.members.len() - anomalies.len();
    for (class, evidence, limit) in [
        ('a', anomalies, limits.anomalies),
        ('s', siblings, limits.siblings),
        ('o', others, limits.elsewhere),
        ('p', past, limits.past),
    ] {
        left_out += evidence.len().saturating_sub(limit);
        let kept = evidence.into_iter().take(limit).enumerate();
        items.extend(kept.map(|(nth, what)| Item { id: EvidenceId::new(class, nth + 1), what }));
    }
    let is_told = |service: &Service| {
        let is_it =
            |item: &Item| matches!(&item.what, Evidence::Elsewhere { service: told, .. } if told == service);
        incident.subject.service() == Some(service) || items.iter().any(is_it)
    };
    calls.retain(|call| is_told(&call.from) && is_told(&call.to));
    let assessment = incident.assessment;
    Bundle {
        incident: incident.id,
        subject: incident.subject.clone(),
        at: now,
        onset,
        assessment,
        items,
        left_out,
        calls,
    }
}

fn anomaly(member: &Member, own: &[SeriesView], limits: Limits) -> Evidence {
    let view = own.iter().find(|view| view.key.hash == member.key.hash);
    let recent = view.map(|view| view.recent.as_slice()).unwrap_or_default();
    let from = recent.len().saturating_sub(limits.points);
    // While it goes on, detection knows the peak better than the log does.
    let current = view.and_then(|view| view.anomaly).map(Trouble::Deviation);
    let trouble = current.filter(|now| now.is_same_as(&member.trouble)).unwrap_or(member.trouble);
    Evidence::Anomaly {
        service: member.key.service.clone(),
        signal: member.key.signal.clone(),
        series: member.key.to_string(),
        kind: member.kind,
        trouble,
        is_active: member.state == MemberState::Active,
        points: recent.get(from..).unwrap_or_default().to_vec(),
    }
}

fn movement(view: &SeriesView, since: Timestamp) -> Movement {
    // What a series did before it stopped does not say that it is as usual.
    let strongest = if view.is_lost { None } else { view.strongest_since(since) };
    Movement {
        value: view.value,
        expected: view.expected,
        score: strongest.map(|(score, _)| score),
        has_moved: strongest.map(|(score, _)| score > 1.0),
    }
}

fn sibling(view: &SeriesView, onset: Timestamp) -> Evidence {
    Evidence::Sibling {
        signal: view.key.signal.clone(),
        series: view.key.to_string(),
        kind: view.kind,
        movement: movement(view, onset),
    }
}

/// What a series of another service shows, when that began, and whether a call links the two.
fn other(view: &SeriesView, since: Timestamp, calls: &[Call]) -> Option<(bool, Timestamp, Evidence)> {
    let (side, onset) = match (view.anomaly, view.is_lost) {
        (Some(anomaly), _) => (Some(anomaly.side), anomaly.onset),
        (None, true) => (None, view.recent.last().map(|(at, _)| *at)?),
        (None, false) => return None,
    };
    let service = &view.key.service;
    let is_linked = calls.iter().any(|call| call.from == *service || call.to == *service);
    let evidence = Evidence::Elsewhere {
        service: service.clone(),
        signal: view.key.signal.clone(),
        series: view.key.to_string(),
        kind: view.kind,
        side,
        onset,
        movement: movement(view, since.min(onset)),
    };
    Some((is_linked, onset, evidence))
}

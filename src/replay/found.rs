//! An incident that a run over the past found, as short as a report needs it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::trace::Trace;
use crate::id::IncidentId;
use crate::incident::{Incident, Member, Phase, Severity, Subject, Trouble};
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// An incident that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The same as the agent gives it.
    pub id: IncidentId,
    /// What it is about.
    pub subject: Subject,
    /// When its trouble began.
    pub onset: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was resolved; `None` where the run ended before.
    pub resolved_at: Option<Timestamp>,
    /// When something of it was last in trouble; where it goes on, the end of the run.
    pub until: Timestamp,
    /// The worst severity that it had.
    pub severity: Severity,
    /// The signal of the series that opened it.
    pub opened_by: SignalName,
    /// That series; `None` where it is about the source.
    pub opener: Option<Arc<SeriesKey>>,
    /// Every signal of it.
    pub signals: BTreeSet<SignalName>,
    /// How many series were in trouble.
    pub series: usize,
    /// The series whose trouble was worst; `None` where it is about the source.
    pub worst: Option<Worst>,
    /// The samples of that series; `None` where the incident is one beyond those that are kept with them.
    pub trace: Option<Trace>,
}

/// The series of an incident whose trouble was worst.
#[derive(Debug, Clone, PartialEq)]
pub struct Worst {
    /// The signal.
    pub signal: SignalName,
    /// The series as people read it.
    pub series: String,
    /// What was wrong.
    pub trouble: Trouble,
}

impl Found {
    /// What an incident looks like at a time.
    pub(super) fn of(incident: &Incident, now: Timestamp) -> Option<Self> {
        let signals: BTreeSet<SignalName> = incident.signals().into_iter().collect();
        let opened_by = incident.members.first().map(|member| &member.key.signal);
        let opened_by = opened_by.or_else(|| incident.outages.first().map(|outage| &outage.signal))?;
        let resolved_at = match incident.phase {
            Phase::Resolved { at, .. } => Some(at),
            Phase::Detected | Phase::Analyzing { .. } | Phase::Diagnosed { .. } => None,
        };
        Some(Self {
            id: incident.id,
            subject: incident.subject.clone(),
            onset: incident.onset(),
            opened_at: incident.opened_at,
            resolved_at,
            until: incident.last_active(now),
            severity: incident.assessment.severity,
            opened_by: opened_by.clone(),
            opener: incident.members.first().map(|member| Arc::clone(&member.key)),
            signals,
            series: incident.members.len(),
            worst: worst(&incident.members).map(|member| Worst {
                signal: member.key.signal.clone(),
                series: member.key.to_string(),
                trouble: member.trouble,
            }),
            trace: None,
        })
    }

    /// Takes over how an incident has gone on.
    pub(super) fn update(&mut self, incident: &Incident, now: Timestamp) {
        if let Some(newer) = Self::of(incident, now) {
            let severity = self.severity.min(newer.severity);
            let trace = self.trace.take();
            *self = Self { severity, trace, ..newer };
        }
    }
}

/// The member with the highest score; one that stopped counts for less than any that deviated, since it shows nothing.
pub(super) fn worst(members: &[Member]) -> Option<&Member> {
    let score = |member: &&Member| match member.trouble {
        Trouble::Deviation(anomaly) => anomaly.peak_score,
        Trouble::Lost { .. } => 0.0,
    };
    // Of equals, the one that was first.
    members.iter().rev().max_by(|a, b| score(a).total_cmp(&score(b)))
}

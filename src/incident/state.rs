//! The state of an incident, and the moves that are legal from it.

use std::collections::BTreeMap;
use std::time::Duration;

use indexmap::IndexSet;

use crate::detect::{Finding, What};
use crate::id::{Fingerprint, IncidentId};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

use super::event::{Event, Resolution};
use super::member::{Ended, Member, MemberState, Trouble};
use super::outage::Outage;
use super::severity::{Assessment, Criticality, assess, assess_source};
use super::subject::Subject;

/// What a person may tune about incidents.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// An incident resolves when all its series have been well for this long.
    pub resolve_after: Duration,
    /// How much services matter; one that is not named is `default_criticality`.
    pub criticality: BTreeMap<Service, Criticality>,
    /// How much a service matters that is not named.
    pub default_criticality: Criticality,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolve_after: Duration::from_secs(120),
            criticality: BTreeMap::new(),
            default_criticality: Criticality::Normal,
        }
    }
}

impl Settings {
    /// How much a service matters.
    pub fn criticality_of(&self, service: &Service) -> Criticality {
        self.criticality.get(service).copied().unwrap_or(self.default_criticality)
    }
}

/// Who noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Our own detectors.
    Detector,
}

impl Source {
    /// The word for it in API and log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
        }
    }

    /// Every source.
    pub const ALL: [Self; 1] = [Self::Detector];
}

/// Where an incident is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It is known, its cause is not asked for yet.
    Detected,
    /// The cause is being looked for.
    Analyzing {
        /// The revision that the answer will have.
        revision: u32,
    },
    /// There is a diagnosis.
    Diagnosed {
        /// The newest one.
        revision: u32,
    },
    /// It is over.
    Resolved {
        /// Since when.
        at: Timestamp,
        /// How that is known.
        because: Resolution,
    },
}

impl Phase {
    /// The word for it in API and log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Analyzing { .. } => "analyzing",
            Self::Diagnosed { .. } => "diagnosed",
            Self::Resolved { .. } => "resolved",
        }
    }
}

/// Whether a diagnosis is the last word for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Final,
    /// It stands in until a model has answered.
    AwaitsModel,
}

/// What a new incident begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// What it stands for.
    pub fingerprint: Fingerprint,
    /// Who noticed.
    pub source: Source,
    /// The first series in trouble.
    pub member: Member,
}

impl Opening {
    /// The event that opens the incident.
    pub fn event(self, settings: &Settings) -> Event {
        let service = self.member.key.service.clone();
        let onset = self.member.trouble.onset();
        Event::Opened {
            id: IncidentId::derive(self.fingerprint, onset.as_millis()),
            fingerprint: self.fingerprint,
            source: self.source,
            assessment: assess(std::slice::from_ref(&self.member), settings.criticality_of(&service)),
            member: self.member,
            service,
        }
    }
}

/// An incident, as its events make it.
#[derive(Debug, Clone, PartialEq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// What it stands for.
    pub fingerprint: Fingerprint,
    /// What it is about.
    pub subject: Subject,
    /// Who noticed.
    pub source: Source,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// How bad it is.
    pub assessment: Assessment,
    /// The series in trouble, in the order in which they joined.
    pub members: Vec<Member>,
    /// The signals that the source does not serve, in the order in which they joined; only where it is about the source.
    pub outages: Vec<Outage>,
    /// Where it is in its life.
    pub phase: Phase,
    /// How many diagnoses were asked for.
    pub revisions: u32,
    /// How many questions a model was asked about it.
    pub questions: u32,
    /// Whether one of them is still out.
    pub awaits_model: bool,
}

/// A member's peak is written down again only when it grew by this factor: an incident's log stays short.
const WORSE_FACTOR: f64 = 1.5;

impl Incident {
    /// Begins an incident from its first event; `None` where that does not open one.
    pub fn from_opening(at: Timestamp, event: &Event) -> Option<Self> {
        let begun = |id: IncidentId, fingerprint: Fingerprint, subject: Subject| Self {
            id,
            fingerprint,
            subject,
            source: Source::Detector,
            opened_at: at,
            changed_at: at,
            assessment: assess_source(&[]),
            members: Vec::new(),
            outages: Vec::new(),
            phase: Phase::Detected,
            revisions: 0,
            questions: 0,
            awaits_model: false,
        };
        match event {
            Event::Opened { id, fingerprint, service, source, member, assessment } => Some(Self {
                source: *source,
                assessment: *assessment,
                members: vec![member.clone()],
                ..begun(*id, *fingerprint, Subject::Service(service.clone()))
            }),
            Event::SourceOpened { id, fingerprint, source, outage, assessment } => Some(Self {
                source: *source,
                assessment: *assessment,
                outages: vec![outage.clone()],
                ..begun(*id, *fingerprint, Subject::Source)
            }),
            Event::OutageJoined { .. }
            | Event::OutageEnded { .. }
            | Event::Joined { .. }
            | Event::Worsened { .. }
            | Event::MemberEnded { .. }
            | Event::SeverityChanged { .. }
            | Event::AnalysisRequested { .. }
            | Event::Resolved { .. } => None,
        }
    }

    /// Takes an event of this incident into the state.
    pub fn apply(&mut self, at: Timestamp, event: &Event) {
        self.changed_at = at;
        match event {
            // The id is content: the same opening twice is one opening.
            Event::Opened { .. } | Event::SourceOpened { .. } => {}
            Event::OutageJoined { outage } => self.outages.push(outage.clone()),
            Event::OutageEnded { signal, since, until, because } => {
                let is_it = |outage: &&mut Outage| outage.signal == *signal && outage.since == *since;
                for outage in self.outages.iter_mut().filter(is_it).filter(|outage| outage.is_active()) {
                    outage.state = MemberState::Ended { until: *until, because: *because };
                }
            }
            Event::Joined { member } => self.members.push(member.clone()),
            Event::Worsened { series, peak_score, peak_value, until } => {
                // What has ended keeps its course: one series can be in trouble twice.
                for member in self.active_mut(*series) {
                    member.raise(*peak_score, *peak_value, *until);
                }
            }
            Event::MemberEnded { series, onset, until, peak_score, peak_value, because } => {
                let is_it =
                    |member: &&mut Member| member.trouble.onset() == *onset && because.ends(&member.trouble);
                for member in self.active_mut(*series).filter(is_it) {
                    member.raise(*peak_score, *peak_value, *until);
                    member.state = MemberState::Ended { until: *until, because: *because };
                }
            }
            Event::SeverityChanged { assessment } => self.assessment = *assessment,
            Event::AnalysisRequested { revision, .. } => {
                self.revisions = self.revisions.max(*revision);
                if !self.is_resolved() {
                    self.phase = Phase::Analyzing { revision: *revision };
                }
            }
            Event::Resolved { because } => self.phase = Phase::Resolved { at, because: *because },
        }
    }

    /// Notes that a diagnosis of that revision is there. A resolved incident stays resolved.
    pub fn diagnosed(&mut self, at: Timestamp, revision: u32, standing: Standing) {
        self.changed_at = at;
        self.awaits_model = standing == Standing::AwaitsModel;
        self.questions += u32::from(self.awaits_model);
        self.revisions = self.revisions.max(revision);
        match self.phase {
            Phase::Detected | Phase::Analyzing { .. } | Phase::Diagnosed { .. } => {
                self.phase = Phase::Diagnosed { revision };
            }
            Phase::Resolved { .. } => {}
        }
    }

    /// Whether it is over.
    pub fn is_resolved(&self) -> bool {
        matches!(self.phase, Phase::Resolved { .. })
    }

    /// When the first of its troubles began.
    pub fn onset(&self) -> Timestamp {
        let members = self.members.iter().map(|member| member.trouble.onset());
        members.chain(self.outages.iter().map(|outage| outage.since)).min().unwrap_or(self.opened_at)
    }

    /// When something of it was last in trouble: `now` while something is.
    pub fn last_active(&self, now: Timestamp) -> Timestamp {
        let last = |state: &MemberState| match state {
            MemberState::Active => now,
            MemberState::Ended { until, .. } => *until,
        };
        self.states().map(last).max().unwrap_or(self.opened_at)
    }

    /// The state of everything that is, or was, in trouble.
    fn states(&self) -> impl Iterator<Item = &MemberState> {
        let members = self.members.iter().map(|member| &member.state);
        members.chain(self.outages.iter().map(|outage| &outage.state))
    }

    /// The signals in trouble in the order in which they joined, each once.
    pub fn signals(&self) -> Vec<SignalName> {
        let members = self.members.iter().map(|member| &member.key.signal);
        let signals: IndexSet<&SignalName> =
            members.chain(self.outages.iter().map(|outage| &outage.signal)).collect();
        signals.into_iter().cloned().collect()
    }

    /// The members whose trouble goes on.
    pub fn active(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.state == MemberState::Active)
    }

    /// Whether this trouble of this series is in it already, going on or seen to end. One that history did not show
    /// after a restart, or that was not watched for a while, and that shows up after all, is none of these: it may join
    /// again.
    pub fn holds(&self, series: Fingerprint, trouble: &Trouble) -> bool {
        self.members.iter().any(|member| member.key.hash == series && member.is_of(trouble))
    }

    /// What a finding about a series that is active in this incident changes.
    pub fn absorb(&self, finding: &Finding) -> Vec<Event> {
        let members = self.members.iter().filter(|member| member.key.hash == finding.key.hash);
        members.filter_map(|member| member.absorb(finding)).collect()
    }

    /// The event that ends one active member, with the course of its trouble as it was last seen.
    pub fn end(&self, member: &Member, because: Ended) -> Event {
        member.end(member.trouble.until(), because)
    }

    /// The event that ends one active member whose trouble is known to have gone on for longer than it says.
    pub fn end_at(&self, member: &Member, until: Timestamp, because: Ended) -> Event {
        member.end(until.max(member.trouble.until()), because)
    }

    /// Whether the severity should be another one.
    pub fn reassess(&self, settings: &Settings) -> Option<Event> {
        let assessment = match &self.subject {
            Subject::Service(service) => assess(&self.members, settings.criticality_of(service)),
            Subject::Source => assess_source(&self.outages),
        };
        (assessment != self.assessment).then_some(Event::SeverityChanged { assessment })
    }

    /// Whether it is over by now: every member has ended, and nothing changed for the hold.
    pub fn tick(&self, now: Timestamp, settings: &Settings) -> Option<Event> {
        let ended = |state: &MemberState| match state {
            MemberState::Active => None,
            MemberState::Ended { because, .. } => Some(*because),
        };
        let ends: Vec<Ended> = self.states().map(ended).collect::<Option<_>>()?;
        if self.is_resolved() || now.since(self.quiet_since()) < settings.resolve_after {
            return None;
        }
        let was_seen = |because: &Ended| matches!(because, Ended::Recovered | Ended::Returned);
        let because = if ends.iter().any(was_seen) { Resolution::Recovered } else { Resolution::NothingLeft };
        Some(Event::Resolved { because })
    }

    fn active_mut(&mut self, series: Fingerprint) -> impl Iterator<Item = &mut Member> {
        let is_active = |member: &&mut Member| member.state == MemberState::Active;
        self.members.iter_mut().filter(move |member| member.key.hash == series).filter(is_active)
    }

    fn quiet_since(&self) -> Timestamp {
        self.last_active(self.opened_at)
    }
}

impl Member {
    /// Whether it is this trouble, going on or seen to end; see [`Incident::holds`].
    pub fn is_of(&self, trouble: &Trouble) -> bool {
        let was_dropped = match self.state {
            MemberState::Active => false,
            MemberState::Ended { because, .. } => matches!(because, Ended::NotInHistory | Ended::Unwatched),
        };
        self.trouble.is_same_as(trouble) && !was_dropped
    }

    fn raise(&mut self, score: f64, value: f64, last: Timestamp) {
        match &mut self.trouble {
            Trouble::Deviation(anomaly) => {
                if score > anomaly.peak_score {
                    (anomaly.peak_score, anomaly.peak_value) = (score, value);
                }
                anomaly.until = anomaly.until.max(last);
            }
            Trouble::Lost { .. } => {}
        }
    }

    fn end(&self, until: Timestamp, because: Ended) -> Event {
        let (peak_score, peak_value) = match self.trouble {
            Trouble::Deviation(anomaly) => (anomaly.peak_score, anomaly.peak_value),
            Trouble::Lost { .. } => (0.0, 0.0),
        };
        let onset = self.trouble.onset();
        Event::MemberEnded { series: self.key.hash, onset, until, peak_score, peak_value, because }
    }

    /// What a finding about its series changes, while it is active.
    pub fn absorb(&self, finding: &Finding) -> Option<Event> {
        if self.state != MemberState::Active {
            return None;
        }
        match (&self.trouble, &finding.what) {
            (Trouble::Deviation(known), What::Anomalous(now)) => (now.onset == known.onset
                && now.peak_score > known.peak_score * WORSE_FACTOR)
                .then_some(Event::Worsened {
                    series: self.key.hash,
                    peak_score: now.peak_score,
                    peak_value: now.peak_value,
                    until: now.until,
                }),
            (Trouble::Deviation(known), What::Recovered(ended)) if known.onset == ended.onset => {
                Some(Event::MemberEnded {
                    series: self.key.hash,
                    onset: ended.onset,
                    until: ended.until,
                    peak_score: ended.peak_score,
                    peak_value: ended.peak_value,
                    because: Ended::Recovered,
                })
            }
            // The baseline was rebuilt from history and saw the trouble begin at another sample: it is over all the same.
            (Trouble::Deviation(_), What::Recovered(ended)) => Some(self.end(ended.until, Ended::Recovered)),
            (Trouble::Lost { .. }, What::Returned) => Some(self.end(finding.at, Ended::Returned)),
            (Trouble::Deviation(_), What::Restarted(restart)) => {
                Some(self.end(finding.at, Ended::Restarted(*restart)))
            }
            (Trouble::Deviation(_), What::Lost { .. } | What::Returned)
            | (
                Trouble::Lost { .. },
                What::Anomalous(_) | What::Recovered(_) | What::Lost { .. } | What::Restarted(_),
            ) => None,
        }
    }
}

//! One step: an input goes in, effects come out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use indexmap::IndexMap;

use super::event::{CapturedSeries, Event, Stream, SystemEvent};
use super::input::{Command, Effect, Input, Restored};
use super::settings::Settings;
use crate::correlate::{self, Placement};
use crate::detect::{Detect, Finding, Restart, SeriesView, Tally, What};
use crate::diagnose::{Cause, PastIncident};
use crate::id::IncidentId;
use crate::incident::{self, Ended, Incident, Member, MemberState, Opening, Requester, Source, Trouble};
use crate::series::{SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// So many resolved incidents stay at hand, for questions about them and for answers that come late.
const RECENT_MAX: usize = 128;
/// So many are remembered as the past of their service.
const PAST_MAX: usize = 512;
/// After the start, a diagnosis waits at most so long for signals that have not been judged yet.
const AWAIT_SIGNALS_MAX: Duration = Duration::from_secs(30);
/// Below so many series, losing most of a signal is no sign of a broken source.
const SOURCE_SERIES_MIN: usize = 4;

/// The pure heart of the agent.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) settings: Settings,
    pub(super) detect: Detect,
    began: Option<Timestamp>,
    /// Signals that have not been judged yet since the start: what they say is still missing in a bundle.
    awaited: BTreeSet<SignalName>,
    muted_until: BTreeMap<SignalName, Timestamp>,
    first_muted_until: Timestamp,
    judged_through: BTreeMap<SignalName, Timestamp>,
    pub(super) open: IndexMap<IncidentId, Incident>,
    pub(super) recent: VecDeque<Incident>,
    pub(super) past: VecDeque<PastIncident>,
    /// The question that is out, by incident: the revision that it was asked at.
    pub(super) asked: BTreeMap<IncidentId, u32>,
    pub(super) questions: BTreeMap<IncidentId, u32>,
    /// The first hypothesis of the newest diagnosis.
    pub(super) causes: BTreeMap<IncidentId, Cause>,
    /// Incidents whose diagnosis no longer covers all that is known.
    stale: BTreeSet<IncidentId>,
    degraded: BTreeSet<SignalName>,
}

impl Engine {
    /// Starts from what the store remembers. Of a signal that was never judged, samples up to `first_muted_until` only
    /// teach.
    pub fn new(settings: Settings, restored: Restored, first_muted_until: Timestamp) -> Self {
        let detect = Detect::new(settings.signals.iter().cloned());
        let awaited = settings.signals.iter().map(|(signal, _)| signal.clone()).collect();
        // A question that was out when the agent stopped is lost: it is asked again.
        let stale = if settings.questions_per_incident > 0 {
            restored.open.iter().map(|incident| incident.id).collect()
        } else {
            BTreeSet::new()
        };
        Self {
            settings,
            detect,
            began: None,
            awaited,
            muted_until: restored.judged_through.clone(),
            first_muted_until,
            judged_through: restored.judged_through,
            open: restored.open.into_iter().map(|incident| (incident.id, incident)).collect(),
            recent: VecDeque::new(),
            past: restored.past.into(),
            asked: BTreeMap::new(),
            questions: BTreeMap::new(),
            causes: BTreeMap::new(),
            stale,
            degraded: BTreeSet::new(),
        }
    }

    /// Takes one input. `now` never goes back.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.began.get_or_insert(now);
        match input {
            Input::Batch(batch) => self.detect.judge(&batch, self.muted(batch.signal())),
            Input::SlotClosed { signal, through } => self.close(now, &signal, through, &mut effects),
            // A failed poll is no data: nothing is judged, and nothing is missed.
            Input::PollFailed { .. } => {}
            Input::Tick => self.tick(now, &mut effects),
            Input::Command(Command::Analyze { incident }) => self.analyze(now, incident, &mut effects),
            Input::Answered { incident, revision, answer } => {
                self.answered(now, incident, revision, answer, &mut effects);
            }
        }
        effects
    }

    /// The incidents that are not resolved, in the order in which they opened.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// An incident that is open or was resolved lately.
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.open.get(&id).or_else(|| self.recent.iter().find(|incident| incident.id == id))
    }

    /// What detection has counted, a row a signal.
    pub fn tallies(&self) -> Vec<(SignalName, Tally)> {
        self.detect.tallies()
    }

    /// The series of one signal as they stand.
    pub fn series_of(&self, signal: &SignalName) -> Vec<SeriesView> {
        self.detect.of_signal(signal)
    }

    /// The last step of a signal that was judged.
    pub fn judged_through(&self, signal: &SignalName) -> Option<Timestamp> {
        self.judged_through.get(signal).copied()
    }

    fn muted(&self, signal: &SignalName) -> Timestamp {
        self.muted_until.get(signal).copied().unwrap_or(self.first_muted_until)
    }

    fn close(&mut self, now: Timestamp, signal: &SignalName, through: Timestamp, effects: &mut Vec<Effect>) {
        let findings = self.detect.close(signal, through, self.muted(signal));
        let source_is_degraded = self.watch_source(now, signal, effects);
        for finding in findings {
            match &finding.what {
                What::Anomalous(anomaly) => {
                    self.trouble(now, &finding, Trouble::Deviation(*anomaly), effects)
                }
                What::Lost { .. } if source_is_degraded => {}
                What::Lost { last_seen } => {
                    let lost = Trouble::Lost { last_seen: *last_seen, detected_at: finding.at };
                    self.trouble(now, &finding, lost, effects);
                }
                What::Recovered(anomaly) => {
                    self.trouble_that_passed(now, &finding, *anomaly, effects);
                    self.absorb(now, &finding, effects);
                }
                What::Returned => self.absorb(now, &finding, effects),
                What::Restarted(restart) => self.restarted(now, &finding, *restart, effects),
            }
        }
        if through > self.muted(signal) {
            self.reconcile(now, signal, effects);
        }
        self.awaited.remove(signal);
        self.diagnose_stale(now, effects);
        self.tick(now, effects);
        let before = self.judged_through.insert(signal.clone(), through);
        if before != Some(through) {
            effects.push(Effect::Advance { signal: signal.clone(), through });
        }
    }

    /// Diagnoses what changed. Right after the start it waits until every signal has been judged, but not for long: one
    /// that does not answer holds up nothing.
    fn diagnose_stale(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let running = self.began.map_or(Duration::ZERO, |began| now.since(began));
        if self.awaited.is_empty() || running >= AWAIT_SIGNALS_MAX {
            for id in std::mem::take(&mut self.stale) {
                self.diagnose(now, id, Requester::Pipeline, effects);
            }
        }
    }

    /// Notes the moment at which most series of a signal are gone: that is a fault of the source, and one event.
    fn watch_source(&mut self, now: Timestamp, signal: &SignalName, effects: &mut Vec<Effect>) -> bool {
        let tallies = self.detect.tallies();
        let Some((_, tally)) = tallies.iter().find(|(name, _)| name == signal) else { return false };
        let is_degraded = tally.series >= SOURCE_SERIES_MIN && tally.lost * 2 > tally.series;
        if !is_degraded {
            self.degraded.remove(signal);
        } else if self.degraded.insert(signal.clone()) {
            let degraded = SystemEvent::SourceDegraded {
                signal: signal.clone(),
                lost: tally.lost,
                tracked: tally.series,
            };
            self.record(now, Stream::System, Event::System(degraded), effects);
        }
        is_degraded
    }

    /// A series is in trouble: it is known, or it joins an incident, or it opens one.
    fn trouble(&mut self, now: Timestamp, finding: &Finding, trouble: Trouble, effects: &mut Vec<Effect>) {
        if self.active_incident_of(&finding.key, &trouble).is_some() {
            self.absorb(now, finding, effects);
            return;
        }
        let key = &finding.key;
        let known = |incident: &Incident| incident.holds(key.hash, &trouble);
        if self.open.values().any(known) || self.recent.iter().any(known) {
            return;
        }
        let candidates = self.open.values().map(|incident| correlate::Open {
            id: incident.id,
            service: incident.service.clone(),
            last_active: incident.last_active(now),
        });
        let placement = correlate::place(finding, trouble.onset(), candidates, &self.settings.correlate);
        let member = Member { key: key.clone(), kind: finding.kind, trouble, state: MemberState::Active };
        match placement {
            Placement::Joins(id) => {
                self.record(
                    now,
                    Stream::Incident(id),
                    Event::Incident(incident::Event::Joined { member }),
                    effects,
                );
                self.reassess(now, id, effects);
                self.stale.insert(id);
            }
            Placement::Opens => self.open(now, finding, member, effects),
        }
    }

    /// An anomaly that opened and ended within one slot is told all the same.
    fn trouble_that_passed(
        &mut self,
        now: Timestamp,
        finding: &Finding,
        anomaly: crate::detect::Anomaly,
        effects: &mut Vec<Effect>,
    ) {
        if anomaly.detected_at > self.muted(&finding.key.signal) {
            self.trouble(now, finding, Trouble::Deviation(anomaly), effects);
        }
    }

    fn open(&mut self, now: Timestamp, finding: &Finding, member: Member, effects: &mut Vec<Effect>) {
        let opening =
            Opening { fingerprint: correlate::fingerprint(finding), source: Source::Detector, member };
        let service = opening.member.key.service.clone();
        let event = opening.event(&self.settings.incident);
        let Some(incident) = Incident::from_opening(now, &event) else { return };
        let id = incident.id;
        // The same onset of the same series is the same incident: it was judged before a restart.
        if self.past.iter().any(|past| past.incident == id) {
            return;
        }
        self.open.insert(id, incident);
        effects.push(Effect::record(now, Stream::Incident(id), Event::Incident(event)));
        let captured = Event::Captured(self.capture(&service));
        self.record(now, Stream::Incident(id), captured, effects);
        self.stale.insert(id);
    }

    fn capture(&self, service: &Service) -> Vec<CapturedSeries> {
        let captured = |view: SeriesView| CapturedSeries {
            signal: view.key.signal.clone(),
            labels: view.key.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            points: view.recent,
        };
        self.detect.of_service(service).into_iter().map(captured).collect()
    }

    /// The open incident in which a series is in this sort of trouble.
    fn active_incident_of(&self, key: &SeriesKey, trouble: &Trouble) -> Option<IncidentId> {
        let is_it = |member: &Member| {
            member.key.hash == key.hash
                && matches!(
                    (&member.trouble, trouble),
                    (Trouble::Deviation(_), Trouble::Deviation(_))
                        | (Trouble::Lost { .. }, Trouble::Lost { .. })
                )
        };
        self.open.values().find(|incident| incident.active().any(is_it)).map(|incident| incident.id)
    }

    fn absorb(&mut self, now: Timestamp, finding: &Finding, effects: &mut Vec<Effect>) {
        let changes: Vec<(IncidentId, Vec<incident::Event>)> =
            self.open.values().map(|incident| (incident.id, incident.absorb(finding))).collect();
        for (id, events) in changes.into_iter().filter(|(_, events)| !events.is_empty()) {
            for event in events {
                self.record(now, Stream::Incident(id), Event::Incident(event), effects);
            }
            self.reassess(now, id, effects);
        }
    }

    fn restarted(&mut self, now: Timestamp, finding: &Finding, restart: Restart, effects: &mut Vec<Effect>) {
        let held = self.open.values().any(|incident| !incident.absorb(finding).is_empty());
        if held {
            self.absorb(now, finding, effects);
        } else if matches!(restart, Restart::Adopted { .. }) {
            let event = SystemEvent::BaselineRestarted {
                signal: finding.key.signal.clone(),
                series: finding.key.to_string(),
                restart,
            };
            self.record(now, Stream::System, Event::System(event), effects);
        }
    }

    /// Ends members that detection does not know to be in trouble: after a restart, history may show them otherwise.
    fn reconcile(&mut self, now: Timestamp, signal: &SignalName, effects: &mut Vec<Effect>) {
        let mut ends = Vec::new();
        for incident in self.open.values() {
            for member in incident.active().filter(|member| member.key.signal == *signal) {
                let because =
                    match (self.detect.state_of(&member.key), &member.trouble) {
                        (Some((Some(_), _)), Trouble::Deviation(_))
                        | (Some((_, true)), Trouble::Lost { .. }) => None,
                        (Some(_), _) => Some(Ended::NotInHistory),
                        // Not seen since the restart. It may only be late; after a day it is gone for good.
                        (None, trouble) => (now.since(trouble.until()) > crate::detect::FORGET_AFTER)
                            .then_some(Ended::Forgotten),
                    };
                ends.extend(because.map(|because| (incident.id, incident.end(member, because))));
            }
        }
        for (id, event) in ends {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
    }

    /// Takes an event into the state and gives it out to be written down.
    pub(super) fn record(&mut self, now: Timestamp, stream: Stream, event: Event, effects: &mut Vec<Effect>) {
        let incident = match stream {
            Stream::Incident(id) => {
                let recent = self.recent.iter_mut().find(|incident| incident.id == id);
                self.open.get_mut(&id).or(recent)
            }
            Stream::System => None,
        };
        match (&event, incident) {
            (Event::Incident(change), Some(incident)) => incident.apply(now, change),
            (Event::Diagnosed(diagnosis), Some(incident)) => incident.diagnosed(now, diagnosis.revision),
            (Event::Captured(_) | Event::System(_), _) | (_, None) => {}
        }
        effects.push(Effect::record(now, stream, event));
    }

    fn reassess(&mut self, now: Timestamp, id: IncidentId, effects: &mut Vec<Effect>) {
        let change = self.open.get(&id).and_then(|incident| incident.reassess(&self.settings.incident));
        if let Some(event) = change {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
    }

    fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.diagnose_stale(now, effects);
        let over: Vec<(IncidentId, incident::Event)> = self
            .open
            .values()
            .filter_map(|incident| Some((incident.id, incident.tick(now, &self.settings.incident)?)))
            .collect();
        for (id, event) in over {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
            self.retire(now, id);
        }
    }

    fn retire(&mut self, now: Timestamp, id: IncidentId) {
        let Some(incident) = self.open.shift_remove(&id) else { return };
        let mut signals: Vec<SignalName> =
            incident.members.iter().map(|member| member.key.signal.clone()).collect();
        signals.sort();
        signals.dedup();
        self.past.push_front(PastIncident {
            incident: id,
            service: incident.service.clone(),
            opened_at: incident.opened_at,
            signals,
            cause: self.causes.get(&id).copied(),
            resolved_at: Some(now),
        });
        self.past.truncate(PAST_MAX);
        self.recent.push_front(incident);
        if self.recent.len() > RECENT_MAX
            && let Some(oldest) = self.recent.pop_back()
        {
            self.asked.remove(&oldest.id);
            self.questions.remove(&oldest.id);
            self.causes.remove(&oldest.id);
        }
    }
}

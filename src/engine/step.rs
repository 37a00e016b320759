//! One step: an input goes in, effects come out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;

use super::event::{Event, Stream, SystemEvent};
use super::holes::Holes;
use super::input::{Command, Coverage, Effect, Failure, Input, Restored};
use super::places::Places;
use super::settings::Settings;
use super::slots::{Slot, Waiting};
use super::source::Served;
use super::standing::{Polls, SourceStanding, Unanswered};
use crate::detect::{
    Band, Closed, Detect, Directive, Finding, Overridden, SeriesPage, SeriesQuery, Tally, Verdict, What,
};
use crate::diagnose::{Cause, PastIncident};
use crate::id::IncidentId;
use crate::incident::{self, Incident, Phase, Requester, Subject};
use crate::series::{SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// So many resolved incidents stay at hand, for questions about them and for answers that come late.
const RECENT_MAX: usize = 128;
/// So many are remembered as the past of their service.
const PAST_MAX: usize = 512;
/// After the start, a diagnosis waits at most so long for signals that have not been judged yet.
const AWAIT_SIGNALS_MAX: Duration = Duration::from_secs(30);

/// The pure heart of the agent.
#[derive(Debug, Clone)]
pub struct Engine {
    pub(super) settings: Settings,
    pub(super) detect: Detect,
    began: Option<Timestamp>,
    /// Signals that have not been judged yet since the start: what they say is still missing in a bundle.
    pub(super) awaited: BTreeSet<SignalName>,
    pub(super) muted_until: BTreeMap<SignalName, Timestamp>,
    first_muted_until: Timestamp,
    pub(super) judged_through: BTreeMap<SignalName, Timestamp>,
    /// Up to when detection has taken the steps of a signal, from its beginning on; nothing where it has no state.
    pub(super) reached: BTreeMap<SignalName, Timestamp>,
    pub(super) open: IndexMap<IncidentId, Incident>,
    /// The open incidents of each service, in the order in which they opened: whoever asks about one series looks at
    /// these, not at all.
    of_service: BTreeMap<Service, Vec<IncidentId>>,
    pub(super) places: Places,
    pub(super) recent: VecDeque<Incident>,
    pub(super) past: VecDeque<PastIncident>,
    /// The question that is out, by incident: the revision that it was asked at.
    pub(super) asked: BTreeMap<IncidentId, u32>,
    pub(super) questions: BTreeMap<IncidentId, u32>,
    /// The first hypothesis of the newest diagnosis.
    pub(super) causes: BTreeMap<IncidentId, Cause>,
    /// Incidents whose diagnosis no longer covers all that is known.
    pub(super) stale: BTreeSet<IncidentId>,
    /// Incidents that changed in this slot and whose severity is due at its end, once for all that changed.
    pub(super) unassessed: BTreeSet<IncidentId>,
    pub(super) served: Served,
    pub(super) holes: Holes,
    pub(super) waiting: Waiting,
    pub(super) polls: Polls,
    /// What detection was told, the oldest first: it is told again where history is read anew.
    pub(super) directives: VecDeque<Directive>,
}

impl Engine {
    /// Starts from what the store remembers. Of a signal that was never judged, samples up to `first_muted_until` only
    /// teach.
    pub fn new(settings: Settings, restored: Restored, first_muted_until: Timestamp) -> Self {
        let mut detect = Detect::new(settings.signals.iter().cloned());
        restored.directives.iter().for_each(|directive| detect.direct(directive));
        let awaited = settings.signals.iter().map(|(signal, _)| signal.clone()).collect();
        // A question that was out when the agent stopped is lost: it is asked again. So is a diagnosis that was due.
        let is_due = |incident: &&Incident| {
            incident.awaits_model || !matches!(incident.phase, Phase::Diagnosed { .. })
        };
        let stale = restored.open.iter().filter(is_due).map(|incident| incident.id).collect();
        // The one that was lost does not count as asked.
        let asked_before = |incident: &Incident| {
            (incident.id, incident.questions.saturating_sub(u32::from(incident.awaits_model)))
        };
        let questions = restored.open.iter().map(asked_before).filter(|(_, asked)| *asked > 0).collect();
        let mut engine = Self {
            settings,
            detect,
            began: None,
            awaited,
            muted_until: restored.judged_through.clone(),
            first_muted_until,
            judged_through: restored.judged_through,
            reached: BTreeMap::new(),
            open: IndexMap::new(),
            of_service: BTreeMap::new(),
            places: Places::default(),
            recent: VecDeque::new(),
            past: restored.past.into(),
            asked: BTreeMap::new(),
            questions,
            causes: BTreeMap::new(),
            stale,
            unassessed: BTreeSet::new(),
            served: Served::default(),
            holes: Holes::default(),
            waiting: Waiting::default(),
            polls: Polls::default(),
            directives: restored.directives.into(),
        };
        for incident in restored.open {
            engine.hold(incident);
        }
        engine
    }

    /// Takes one input. `now` never goes back.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.began.is_none() {
            self.began = Some(now);
            self.unwatch_what_went(now, &mut effects);
        }
        match input {
            Input::Batch(batch) => self.detect.judge(&batch, self.muted(batch.signal())),
            // A poll of a signal that is not watched any more.
            Input::SlotClosed { signal, .. } if !self.detect.watches(&signal) => {}
            Input::SlotClosed { signal, from, through, coverage } => {
                self.poll_answered(now, &signal, &mut effects);
                if let Coverage::Partial { .. } = coverage {
                    self.detect.excuse(&signal, through);
                }
                let closed = self.close(&signal, from, through);
                let reached = self.reached.entry(signal.clone()).or_insert(through);
                *reached = through.max(*reached);
                self.take_slot(now, Slot { signal, from, through, coverage, closed }, &mut effects);
            }
            // A failed poll is no data: nothing is judged, and nothing is missed.
            Input::PollFailed { signal, slot, failure, because } => {
                self.poll_failed(now, &signal, (slot, failure, &because), &mut effects);
            }
            Input::SourceGap { from, to } => self.detect.gap(from, to),
            Input::Tick => {
                self.judge_slots(now, &mut effects);
                self.tick(now, &mut effects);
            }
            Input::Command(Command::Analyze { incident }) => self.analyze(now, incident, &mut effects),
            Input::Command(Command::Rebase(wanted)) => self.rebase(now, wanted, &mut effects),
            Input::Reconfigured(to) => self.reconfigure(now, *to, &mut effects),
            Input::ReloadFailed { config_hash, because } => {
                let failed = Event::System(SystemEvent::ReloadFailed { config_hash, because });
                self.record(now, Stream::System, failed, &mut effects);
            }
            Input::Answered { incident, revision, answer } => {
                self.answered(now, incident, revision, answer, &mut effects);
            }
        }
        effects
    }

    /// Whether nothing would follow if time passed and no other input came.
    pub fn is_idle(&self) -> bool {
        self.began.is_some() && self.open.is_empty() && self.stale.is_empty() && self.waiting.is_empty()
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

    /// The overrides of one signal, and for how many series each holds.
    pub fn overridden(&self, signal: &SignalName) -> Vec<Overridden> {
        self.detect.overridden(signal)
    }

    /// The first of the series of a signal that are wanted.
    pub fn page(&self, wanted: &SeriesQuery) -> SeriesPage {
        self.detect.page(wanted)
    }

    /// How many series of a signal have state.
    pub fn tracked(&self, signal: &SignalName) -> usize {
        self.detect.tracked(signal)
    }

    /// What was said of a series' last sample; `None` where it was not judged.
    pub fn verdict_of(&self, key: &SeriesKey) -> Option<Verdict> {
        self.detect.verdict_of(key)
    }

    /// Shows every series of a signal that is judged, and whether it is anomalous.
    pub fn each_judged(&self, signal: &SignalName, show: &mut dyn FnMut(&Arc<SeriesKey>, bool)) {
        self.detect.each_judged(signal, show);
    }

    /// The band of a series; `None` where it is lost, warms up or is not known.
    pub fn band(&self, key: &SeriesKey) -> Option<Band> {
        self.detect.band(key)
    }

    /// The last step of a signal that was judged.
    pub fn judged_through(&self, signal: &SignalName) -> Option<Timestamp> {
        self.judged_through.get(signal).copied()
    }

    /// Whether the backend answers, and since when it does not.
    pub fn source_standing(&self) -> SourceStanding {
        self.polls.standing(self.settings.signals.len(), self.settings.source_lost_after)
    }

    /// The signals whose last polls failed, with since when and why.
    pub fn unanswered(&self) -> impl Iterator<Item = (&SignalName, &Unanswered)> {
        self.polls.unanswered().iter()
    }

    pub(super) fn muted(&self, signal: &SignalName) -> Timestamp {
        self.muted_until.get(signal).copied().unwrap_or(self.first_muted_until)
    }

    /// Closes a slot. Of steps that nobody asked for, nobody knows whether there were samples: silence in them is no loss.
    fn close(&mut self, signal: &SignalName, from: Timestamp, through: Timestamp) -> Closed {
        let muted = self.muted(signal);
        let step = self.detect.plan(signal).map_or(Duration::ZERO, |plan| plan.step);
        // What closed and waits for other signals was asked for all the same.
        let asked = self.waiting.closed_through(signal).max(self.judged_through(signal));
        let next = asked.map(|asked| asked.plus(step)).filter(|next| *next < from);
        let Some(next) = next else { return self.detect.finish(signal, through, muted) };
        self.detect.excuse(signal, from.minus(step));
        let mut closed = self.detect.finish(signal, through, muted);
        let known = next..from.plus(self.detect.lost_after(signal));
        closed
            .findings
            .retain(|finding| !(matches!(finding.what, What::Lost { .. }) && known.contains(&finding.at)));
        closed
    }

    /// Resolves what was over before a finding: where a long time is caught up at once, its incidents follow each other
    /// as they would have done.
    pub(super) fn resolve_before(&mut self, now: Timestamp, finding: &Finding, effects: &mut Vec<Effect>) {
        if !matches!(finding.what, What::Anomalous(_) | What::Lost { .. }) {
            return;
        }
        let over: Vec<(IncidentId, incident::Event)> = self
            .open_of(&finding.key.service)
            .filter_map(|incident| Some((incident.id, incident.tick(finding.at, &self.settings.incident)?)))
            .collect();
        self.resolve(now, over, effects);
    }

    fn resolve(
        &mut self,
        now: Timestamp,
        over: Vec<(IncidentId, incident::Event)>,
        effects: &mut Vec<Effect>,
    ) {
        for (id, event) in over {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
            self.retire(now, id);
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
            (Event::Incident(change), Some(incident)) => {
                incident.apply(now, change);
                if let incident::Event::Joined { .. } = change {
                    self.places.join(incident);
                }
            }
            (Event::Diagnosed(diagnosis), Some(incident)) => {
                incident.diagnosed(now, diagnosis.revision, diagnosis.standing())
            }
            (Event::Captured(_) | Event::System(_), _) | (_, None) => {}
        }
        effects.push(Effect::record(now, stream, event));
    }

    pub(super) fn reassess(&mut self, now: Timestamp, id: IncidentId, effects: &mut Vec<Effect>) {
        let change = self.open.get(&id).and_then(|incident| incident.reassess(&self.settings.incident));
        if let Some(event) = change {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
    }

    pub(super) fn tick(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.end_outages(now, effects);
        self.diagnose_stale(now, effects);
        let over: Vec<(IncidentId, incident::Event)> = self
            .open
            .values()
            .filter(|incident| !self.awaits_samples(incident))
            .filter_map(|incident| Some((incident.id, incident.tick(now, &self.settings.incident)?)))
            .collect();
        self.resolve(now, over, effects);
    }

    /// Whether a signal of an incident was not asked or not answered: silence is no recovery, and what is still to be
    /// caught up may hold more of it.
    fn awaits_samples(&self, incident: &Incident) -> bool {
        let unanswered = self.polls.unanswered();
        let fails = |signal| unanswered.get(signal).is_some_and(|polls| polls.failure != Failure::Query);
        incident.members.iter().any(|member| fails(&member.key.signal))
    }

    /// Takes an incident among the open ones.
    pub(super) fn hold(&mut self, incident: Incident) {
        if let Subject::Service(service) = &incident.subject {
            self.of_service.entry(service.clone()).or_default().push(incident.id);
        }
        self.places.hold(&incident);
        self.open.insert(incident.id, incident);
    }

    /// The open incidents of a service, in the order in which they opened.
    pub(super) fn open_of(&self, service: &Service) -> impl Iterator<Item = &Incident> {
        let ids = self.of_service.get(service).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.open.get(id))
    }

    fn retire(&mut self, now: Timestamp, id: IncidentId) {
        let Some(incident) = self.open.shift_remove(&id) else { return };
        self.places.retire(&incident);
        if let Subject::Service(service) = &incident.subject
            && let Some(ids) = self.of_service.get_mut(service)
        {
            ids.retain(|open| *open != id);
            if ids.is_empty() {
                self.of_service.remove(service);
            }
        }
        let mut signals = incident.signals();
        signals.sort();
        self.past.push_front(PastIncident {
            incident: id,
            subject: incident.subject.clone(),
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

//! What a finding does to the incidents: it is known, it joins one, it opens one, or it ends a part of one.

use super::event::{CapturedSeries, Event, Stream, SystemEvent};
use super::input::Effect;
use super::step::Engine;
use crate::correlate::{self, Placement};
use crate::detect::{Anomaly, FORGET_AFTER, Finding, Restart, SeriesView};
use crate::id::IncidentId;
use crate::incident::{self, Ended, Incident, Member, MemberState, Opening, Source, Trouble};
use crate::series::{SeriesKey, Service, SignalName};
use crate::time::Timestamp;

impl Engine {
    /// A series is in trouble: it is known, or it joins an incident, or it opens one.
    pub(super) fn trouble(
        &mut self,
        now: Timestamp,
        finding: &Finding,
        trouble: Trouble,
        effects: &mut Vec<Effect>,
    ) {
        let key = &finding.key;
        if self.is_active(key, &trouble) {
            self.absorb(now, finding, effects);
            return;
        }
        let mut lately =
            self.recent.iter().filter(|incident| incident.subject.service() == Some(&key.service));
        let is_known = self.members_of(key).any(|(_, member)| member.is_of(&trouble));
        if is_known || lately.any(|incident| incident.holds(key.hash, &trouble)) {
            return;
        }
        let candidates = self.open_of(&key.service).map(|incident| correlate::Open {
            id: incident.id,
            service: key.service.clone(),
            last_active: incident.last_active(now),
        });
        let placement = correlate::place(finding, trouble.onset(), candidates, &self.settings.correlate);
        let why = match trouble {
            Trouble::Deviation(_) => finding.why.clone(),
            Trouble::Lost { .. } => None,
        };
        let (kind, state) = (finding.kind, MemberState::Active);
        let member = Member { key: key.clone(), kind, trouble, state, why };
        match placement {
            Placement::Joins(id) => {
                self.tell_callers(&key.service, trouble.onset());
                let joined = Event::Incident(incident::Event::Joined { member });
                self.record(now, Stream::Incident(id), joined, effects);
                self.unassessed.insert(id);
                self.stale.insert(id);
            }
            Placement::Opens => self.open(now, finding, member, effects),
        }
    }

    /// An anomaly that opened and ended within one slot is told all the same.
    pub(super) fn trouble_that_passed(
        &mut self,
        now: Timestamp,
        finding: &Finding,
        anomaly: Anomaly,
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
        if self.open.contains_key(&id) || self.past.iter().any(|past| past.incident == id) {
            return;
        }
        self.tell_callers(&service, incident.onset());
        self.hold(incident);
        effects.push(Effect::record(now, Stream::Incident(id), Event::Incident(event)));
        let captured = Event::Captured(self.capture(&service));
        self.record(now, Stream::Incident(id), captured, effects);
        self.stale.insert(id);
    }

    /// Trouble of a service explains that of those that call it: what was said about theirs is out of date.
    fn tell_callers(&mut self, service: &Service, onset: Timestamp) {
        if self.settings.correlate.calls.is_empty() {
            return;
        }
        let window = self.settings.correlate.window;
        let is_close = |other: &Timestamp| onset.since(*other) <= window && other.since(onset) <= window;
        let open = self.open.values().filter(|incident| is_close(&incident.onset()));
        let open: Vec<(IncidentId, &Service)> =
            open.filter_map(|incident| Some((incident.id, incident.subject.service()?))).collect();
        let callers =
            self.settings.correlate.calls.callers(service, open.iter().map(|(_, service)| *service));
        let told = open.iter().filter(|(_, service)| callers.contains(service)).map(|(id, _)| *id);
        self.stale.extend(told);
    }

    fn capture(&self, service: &Service) -> Vec<CapturedSeries> {
        let captured = |view: SeriesView| CapturedSeries {
            signal: view.key.signal.clone(),
            labels: view.key.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            points: view.recent,
        };
        self.detect.of_service(service).into_iter().map(captured).collect()
    }

    /// Whether a series is in this sort of trouble in an open incident.
    fn is_active(&self, key: &SeriesKey, trouble: &Trouble) -> bool {
        self.members_of(key).any(|(_, member)| {
            let is_it = matches!(
                (&member.trouble, trouble),
                (Trouble::Deviation(_), Trouble::Deviation(_)) | (Trouble::Lost { .. }, Trouble::Lost { .. })
            );
            is_it && member.state == MemberState::Active
        })
    }

    /// Takes a finding into the incidents in which its series is active, and says whether there was one to change.
    pub(super) fn absorb(&mut self, now: Timestamp, finding: &Finding, effects: &mut Vec<Effect>) -> bool {
        let changes: Vec<(IncidentId, incident::Event)> = self
            .members_of(&finding.key)
            .filter_map(|(id, member)| Some((id, member.absorb(finding)?)))
            .collect();
        let any = !changes.is_empty();
        for (id, event) in changes {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
            self.unassessed.insert(id);
        }
        any
    }

    pub(super) fn restarted(
        &mut self,
        now: Timestamp,
        finding: &Finding,
        restart: Restart,
        effects: &mut Vec<Effect>,
    ) {
        let is_held = self.absorb(now, finding, effects);
        if !is_held && matches!(restart, Restart::Adopted { .. }) {
            let event = SystemEvent::BaselineRestarted {
                signal: finding.key.signal.clone(),
                series: finding.key.to_string(),
                restart,
            };
            self.record(now, Stream::System, Event::System(event), effects);
        }
    }

    /// Ends members that detection does not know to be in trouble: after a restart, history may show them otherwise.
    pub(super) fn reconcile(&mut self, now: Timestamp, signal: &SignalName, effects: &mut Vec<Effect>) {
        let mut ends = Vec::new();
        for incident in self.open.values() {
            for member in incident.active().filter(|member| member.key.signal == *signal) {
                let because = self.why_over(now, member);
                ends.extend(because.map(|because| (incident.id, incident.end(member, because))));
            }
        }
        for (id, event) in ends {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
    }

    fn why_over(&self, now: Timestamp, member: &Member) -> Option<Ended> {
        match (self.detect.state_of(&member.key), &member.trouble) {
            (Some((Some(_), _)), Trouble::Deviation(_)) | (Some((_, true)), Trouble::Lost { .. }) => None,
            (Some(_), Trouble::Deviation(_)) => Some(Ended::NotInHistory),
            // History may be too short for a baseline, and so for a loss. Only a sample shows that it came back.
            (Some(_), Trouble::Lost { last_seen, .. }) => self
                .detect
                .last_sample(&member.key)
                .is_some_and(|at| at > *last_seen)
                .then_some(Ended::NotInHistory),
            // Not seen since the restart. It may only be late; after a day it is gone for good.
            (None, trouble) => {
                (now.since(self.last_known(member, trouble)) > FORGET_AFTER).then_some(Ended::Forgotten)
            }
        }
    }

    /// When a series was last known to have been there. The log does not follow a deviation that goes on, so until the
    /// restart it counts as known.
    fn last_known(&self, member: &Member, trouble: &Trouble) -> Timestamp {
        match trouble {
            Trouble::Deviation(anomaly) => anomaly.until.max(self.muted(&member.key.signal)),
            Trouble::Lost { detected_at, .. } => *detected_at,
        }
    }
}

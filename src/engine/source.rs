//! The incident about the source: a backend that answers nothing, and most series of a signal that stop at once.
//!
//! There is at most one that is open, over all signals. What a signal lacks is an outage of it; it ends when the signal
//! has been served again for the hold without a relapse, so that a source that flaps opens one incident and not ten.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{Event, Stream, SystemEvent};
use super::input::{Effect, Failure};
use super::standing::SourceStanding;
use super::step::Engine;
use crate::detect::{FORGET_AFTER, Finding, Loss, What};
use crate::id::IncidentId;
use crate::incident::{Ended, Incident, MemberState, Outage, Silence, Subject};
use crate::series::SignalName;
use crate::time::Timestamp;

/// Below so many series, losing most of them is no sign of a broken source.
const SOURCE_SERIES_MIN: usize = 4;
/// Series whose last samples are at most so far apart stopped together, or so many steps where that is more: scrapes
/// have phases.
const TOGETHER: Duration = Duration::from_secs(60);
const TOGETHER_STEPS: u32 = 4;
/// A loss waits at most so long for signals that were not judged past it yet.
const AWAIT_SIGNALS_MAX: Duration = Duration::from_secs(120);

/// Since when a signal with an outage has been served again.
#[derive(Debug, Clone, Default)]
pub(super) struct Served {
    since: BTreeMap<(SignalName, &'static str), Timestamp>,
    /// Since when the backend has answered without failing for most signals.
    backend: Option<Timestamp>,
}

impl Engine {
    /// A poll failed: notes it, and opens the incident where the backend is lost by now.
    pub(super) fn poll_failed(
        &mut self,
        now: Timestamp,
        signal: &SignalName,
        failed: (Timestamp, Failure, &str),
        effects: &mut Vec<Effect>,
    ) {
        let (slot, failure, because) = failed;
        self.polls.failed(signal, slot, failure, because);
        self.waiting.not_for(signal);
        self.judge_slots(now, effects);
        if failure == Failure::Backend {
            self.served.since.remove(&(signal.clone(), "unanswered"));
            // A signal that goes on failing alone is its own trouble.
            if self.polls.fails_for_most(self.settings.signals.len()) {
                self.served.backend = None;
            }
        }
        match self.source_standing() {
            SourceStanding::Lost { since } => self.backend_lost(now, since, effects),
            SourceStanding::Answering | SourceStanding::Failing { .. } => {
                let told = self.polls.tell(signal, self.settings.source_lost_after);
                if let Some(unanswered) = told {
                    let (signal, since, failure) = (signal.clone(), unanswered.since, unanswered.failure);
                    let because = unanswered.because.clone();
                    let event = SystemEvent::SignalUnanswered { signal, since, failure, because };
                    self.record(now, Stream::System, Event::System(event), effects);
                }
            }
        }
        self.tick(now, effects);
    }

    /// A signal was answered.
    pub(super) fn poll_answered(&mut self, now: Timestamp, signal: &SignalName, effects: &mut Vec<Effect>) {
        let behind = self.polls.end_blank(self.settings.signals.len());
        self.served.backend.get_or_insert(now);
        if !behind.is_empty() {
            self.waiting.begin(now, behind);
        }
        let was_told = self.polls.answered(signal).filter(|unanswered| unanswered.is_told);
        if let Some(unanswered) = was_told {
            let event = SystemEvent::SignalAnswered { signal: signal.clone(), since: unanswered.since };
            self.record(now, Stream::System, Event::System(event), effects);
        }
        if self.has_outage(signal, "unanswered") {
            self.served.since.entry((signal.clone(), "unanswered")).or_insert(now);
        }
    }

    fn backend_lost(&mut self, now: Timestamp, since: Timestamp, effects: &mut Vec<Effect>) {
        let mut lost: Vec<Outage> = self
            .polls
            .unanswered()
            .iter()
            .filter(|(signal, unanswered)| {
                unanswered.failure == Failure::Backend && !self.has_outage(signal, "unanswered")
            })
            .map(|(signal, unanswered)| Outage {
                signal: signal.clone(),
                // What failed before the backend was lost is another story.
                since: unanswered.since.max(since),
                detected_at: now,
                silence: Silence::Unanswered { because: unanswered.because.clone() },
                state: MemberState::Active,
            })
            .collect();
        // The first one names the incident.
        lost.sort_by(|a, b| (a.since, &a.signal).cmp(&(b.since, &b.signal)));
        for outage in lost {
            self.take_outage(now, outage, effects);
        }
    }

    /// Takes an outage into the incident about the source, which it opens where there is none.
    fn take_outage(&mut self, now: Timestamp, outage: Outage, effects: &mut Vec<Effect>) {
        if let Some(id) = self.source_incident().map(|incident| incident.id) {
            let joined = crate::incident::Event::OutageJoined { outage };
            self.record(now, Stream::Incident(id), Event::Incident(joined), effects);
            self.unassessed.insert(id);
            self.stale.insert(id);
            return;
        }
        let event = outage.opening();
        let Some(incident) = Incident::from_opening(now, &event) else { return };
        let id = incident.id;
        // The same onset is the same incident: it was judged, and is over, since before a restart.
        if self.past.iter().any(|past| past.incident == id) {
            return;
        }
        self.hold(incident);
        effects.push(Effect::record(now, Stream::Incident(id), Event::Incident(event)));
        self.stale.insert(id);
    }

    fn source_incident(&self) -> Option<&Incident> {
        self.open.values().find(|incident| incident.subject == Subject::Source)
    }

    fn active_outages(&self) -> impl Iterator<Item = &Outage> {
        self.source_incident().into_iter().flat_map(|incident| &incident.outages).filter(|o| o.is_active())
    }

    fn has_outage(&self, signal: &SignalName, silence: &str) -> bool {
        self.active_outages().any(|outage| outage.signal == *signal && outage.silence.as_str() == silence)
    }

    /// Signals of which most series have stopped at once.
    pub fn degraded(&self) -> impl Iterator<Item = &SignalName> {
        let stopped = |outage: &&Outage| matches!(outage.silence, Silence::Stopped { .. });
        self.active_outages().filter(stopped).map(|outage| &outage.signal)
    }

    /// Looks whether what is lost in a slot of a signal is lost by the source, and which of it is therefore, or for now,
    /// no trouble of its service: gives the last samples of these.
    pub(super) fn watch_source(
        &mut self,
        now: Timestamp,
        signal: &SignalName,
        through: Timestamp,
        findings: &[Finding],
        effects: &mut Vec<Effect>,
    ) -> Vec<Timestamp> {
        self.see_series_return(now, signal, through);
        let lost = Lost::of(findings);
        let mut ends = Ends::new();
        let mut held = Vec::new();
        for (at, own) in &lost.by_last_seen {
            let at = *at;
            let is_of_an_outage = self.is_of_an_outage(signal, at, through, &mut ends);
            if !is_of_an_outage && !self.is_known(own, at) {
                match self.loss_at(signal, at, through, &lost) {
                    Verdict::OwnTrouble => continue,
                    Verdict::NotYetKnown => {}
                    // It is told already that the source lacks this signal.
                    Verdict::Source { .. } if self.has_outage(signal, "stopped") => {}
                    Verdict::Source { of, loss } => {
                        let (lost, tracked) = (loss.stopped.len(), loss.tracked);
                        let outage = Outage {
                            signal: of,
                            since: at,
                            detected_at: through,
                            silence: Silence::Stopped { lost, tracked },
                            state: MemberState::Active,
                        };
                        self.take_outage(now, outage, effects);
                    }
                }
                held.push(at);
            } else if is_of_an_outage {
                held.push(at);
            }
        }
        held
    }

    /// Whether every series that stopped then is in an incident of its service already.
    fn is_known(&self, own: &[&Finding], at: Timestamp) -> bool {
        let known = |finding: &&Finding| {
            let trouble = crate::incident::Trouble::Lost { last_seen: at, detected_at: at };
            self.members_of(&finding.key).any(|(_, member)| member.is_of(&trouble))
        };
        own.iter().all(known)
    }

    /// Whether what stopped at a time belongs to what is known to be an outage: of this signal, or of another, at about
    /// that time. Of this signal, series may go on stopping one after the other; what stops after a pause is another loss.
    fn is_of_an_outage(
        &self,
        signal: &SignalName,
        at: Timestamp,
        through: Timestamp,
        ends: &mut Ends,
    ) -> bool {
        let together = self.together(signal);
        let Some(incident) = self.source_incident() else { return false };
        incident.outages.iter().any(|outage| match outage.silence {
            Silence::Unanswered { .. } => false,
            Silence::Stopped { .. } if outage.is_active() && outage.signal == *signal => {
                let begun = outage.since.plus(self.lost_after(signal));
                // It takes a look at every series, and is the same for whatever stopped.
                let until = *ends
                    .entry(begun)
                    .or_insert_with(|| self.detect.stopping_until(signal, begun, together, through));
                at.plus(together) >= outage.since && at <= until.plus(together)
            }
            Silence::Stopped { .. } => {
                let (first, last) = (at.min(outage.since), at.max(outage.since));
                outage.is_active() && last.since(first) <= together.max(self.together(&outage.signal))
            }
        })
    }

    fn loss_at(&self, signal: &SignalName, at: Timestamp, through: Timestamp, lost: &Lost<'_>) -> Verdict {
        let together = self.together(signal);
        let span = (at, at.plus(together));
        // Series that are back already stopped all the same.
        let then = lost.by_last_seen.range(span.0..=span.1).flat_map(|(_, findings)| findings);
        let then = then.map(|finding| &*finding.key);
        let own = self.detect.loss(Some(signal), span, |_| Some(through), then.clone());
        let is_of_the_source =
            |loss: &Loss| is_of_the_source(loss) || self.was_lost_at(signal, at) && is_of_most(loss);
        if is_of_the_source(&own) {
            return Verdict::Source { of: signal.clone(), loss: own };
        }
        // Series that stop a little later may make it most of them.
        let step = self.detect.plan(signal).map_or(Duration::ZERO, |plan| plan.step);
        if through.since(span.1) <= step.saturating_mul(2) {
            return Verdict::NotYetKnown;
        }
        let judged = |name: &SignalName| {
            // What is judged together is there together, whichever comes first.
            let of_other = || self.waiting.judging_through(name).max(self.judged_through(name));
            if name == signal { Some(through) } else { of_other() }
        };
        let all = self.detect.loss(None, span, judged, then);
        if is_of_the_source(&all) {
            return Verdict::Source { of: signal.clone(), loss: own };
        }
        let is_behind = |name: &SignalName| {
            let is_asked = !self.polls.unanswered().contains_key(name);
            is_asked && judged(name).is_some_and(|judged| judged.since(span.1) <= step.saturating_mul(2))
        };
        let others = self.settings.signals.iter().map(|(name, _)| name);
        let waits = through.since(at) < self.lost_after(signal).saturating_add(AWAIT_SIGNALS_MAX);
        if waits && others.filter(|name| *name != signal).any(is_behind) {
            return Verdict::NotYetKnown;
        }
        Verdict::OwnTrouble
    }

    /// Whether the backend was lost at about that time, by the incident that is open. Then what else has stopped needs
    /// not be of several services.
    fn was_lost_at(&self, signal: &SignalName, at: Timestamp) -> bool {
        let is_it = |outage: &Outage| {
            let is_over = match outage.state {
                MemberState::Active => false,
                MemberState::Ended { until, .. } => at > until.plus(self.lost_after(signal)),
            };
            matches!(outage.silence, Silence::Unanswered { .. })
                && at.plus(self.lost_after(signal)) >= outage.since
                && !is_over
        };
        self.source_incident().is_some_and(|incident| incident.outages.iter().any(is_it))
    }

    fn together(&self, signal: &SignalName) -> Duration {
        let steps = self.detect.plan(signal).map(|plan| plan.step.saturating_mul(TOGETHER_STEPS));
        steps.unwrap_or_default().max(TOGETHER)
    }

    fn lost_after(&self, signal: &SignalName) -> Duration {
        self.detect.lost_after(signal)
    }

    /// Notes whether a signal whose series had stopped has them again: at least half of as many as there were. After a
    /// day only those count that are still known.
    fn see_series_return(&mut self, now: Timestamp, signal: &SignalName, through: Timestamp) {
        let outage = self.active_outages().find_map(|outage| match outage.silence {
            Silence::Stopped { tracked, .. } if outage.signal == *signal => Some((outage.since, tracked)),
            Silence::Stopped { .. } | Silence::Unanswered { .. } => None,
        });
        let Some((since, tracked)) = outage else { return };
        let (alive, known) = self.detect.alive(signal, through);
        let tracked = if through.since(since) > FORGET_AFTER { known } else { tracked };
        let key = (signal.clone(), "stopped");
        if alive > 0 && alive * 2 >= tracked {
            self.served.since.entry(key).or_insert(now);
        } else {
            self.served.since.remove(&key);
        }
    }

    /// Whether nothing of a signal is known any more, a day after its series stopped: they are gone for good.
    fn is_forgotten(&self, outage: &Outage) -> bool {
        let signal = &outage.signal;
        let Some(through) = self.judged_through(signal) else { return false };
        // Right after the start nothing is known of any signal.
        matches!(outage.silence, Silence::Stopped { .. })
            && through.since(outage.since) > FORGET_AFTER
            && !self.awaited.contains(signal)
            && self.detect.alive(signal, through) == (0, 0)
    }

    /// Since when an outage has been over, unless it goes on.
    fn served_since(&self, outage: &Outage) -> Option<Timestamp> {
        let own = self.served.since.get(&(outage.signal.clone(), outage.silence.as_str())).copied();
        match outage.silence {
            // A backend that answers is not lost, even if it goes on refusing one signal.
            Silence::Unanswered { .. } => own.or(self.served.backend),
            Silence::Stopped { .. } => own,
        }
    }

    /// Ends the outages of signals that have been served for the hold, and of those whose series are forgotten.
    pub(super) fn end_outages(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(incident) = self.source_incident() else { return };
        let id: IncidentId = incident.id;
        let hold = self.settings.incident.resolve_after;
        let end = |outage: &Outage| {
            if self.is_forgotten(outage) {
                return Some(outage.end(now, Ended::Forgotten));
            }
            let since = self.served_since(outage)?;
            (now.since(since) >= hold).then(|| outage.end(since, Ended::Returned))
        };
        let ends: Vec<_> = incident.outages.iter().filter(|o| o.is_active()).filter_map(end).collect();
        if ends.is_empty() {
            return;
        }
        for event in ends {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
        self.forget_served(id);
    }

    /// Ends the outages at which nobody looks any more, as `is_it` says.
    pub(super) fn unwatch_outages(
        &mut self,
        now: Timestamp,
        is_it: impl Fn(&Outage) -> bool,
        effects: &mut Vec<Effect>,
    ) {
        let Some(id) = self.source_incident().map(|incident| incident.id) else { return };
        let ends = self.active_outages().filter(|outage| is_it(outage));
        let ends: Vec<_> = ends.map(|outage| outage.end(now, Ended::Unwatched)).collect();
        for event in ends {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
        self.forget_served(id);
    }

    fn forget_served(&mut self, id: IncidentId) {
        let Some(incident) = self.open.get(&id) else { return };
        self.served.since.retain(|(signal, silence), _| {
            let is_it = |outage: &Outage| outage.signal == *signal && outage.silence.as_str() == *silence;
            incident.outages.iter().any(|outage| outage.is_active() && is_it(outage))
        });
    }
}

/// What a loss means.
enum Verdict {
    /// It is what it looks like: the trouble of a service.
    OwnTrouble,
    /// It may be a part of something larger, which shows a little later.
    NotYetKnown,
    /// It is the source's.
    Source { of: SignalName, loss: Loss },
}

/// Up to when series of a signal went on stopping, by the time from which they are looked at.
type Ends = BTreeMap<Timestamp, Timestamp>;

/// What is lost in a slot, by the last sample: among thousands that are lost for long, few belong to one.
struct Lost<'a> {
    by_last_seen: BTreeMap<Timestamp, Vec<&'a Finding>>,
}

impl<'a> Lost<'a> {
    fn of(findings: &'a [Finding]) -> Self {
        let mut by_last_seen: BTreeMap<Timestamp, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            if let Some(at) = lost_at(finding) {
                by_last_seen.entry(at).or_default().push(finding);
            }
        }
        Self { by_last_seen }
    }
}

fn lost_at(finding: &Finding) -> Option<Timestamp> {
    match finding.what {
        What::Lost { last_seen } => Some(last_seen),
        What::Anomalous(_) | What::Recovered(_) | What::Returned | What::Restarted(_) => None,
    }
}

/// Whether most series stopped, over more than one service: where all that is gone belongs to one, it is that service's
/// trouble.
fn is_of_the_source(loss: &Loss) -> bool {
    loss.services.len() > 1 && loss.tracked >= SOURCE_SERIES_MIN && is_of_most(loss)
}

/// Whether most series stopped, and others have not come in their place, as they do when pods are replaced.
fn is_of_most(loss: &Loss) -> bool {
    loss.stopped.len() * 2 > loss.tracked && loss.alive * 2 < loss.tracked
}

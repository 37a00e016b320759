//! Slots that closed, and the order in which they are judged.
//!
//! After a time in which the backend answered nothing, each signal brings what it missed, one after the other. What was
//! found is taken in the order in which it happened, over all of them, so that the incidents are those that polling in
//! time would have made: that waits for the signals that are still to come, but not for long.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::input::{Coverage, Effect};
use super::step::Engine;
use crate::detect::{Closed, Finding, What};
use crate::incident::Trouble;
use crate::series::SignalName;
use crate::time::Timestamp;

/// What the first answers after an outage found waits at most so long for the other signals.
const WAIT_MAX: Duration = Duration::from_secs(90);
/// A signal is caught up once its answers reach so near, or within so many steps where that is more: the last samples of
/// a poll are never quite of now.
const CAUGHT_UP: Duration = Duration::from_secs(60);
const CAUGHT_UP_STEPS: u32 = 4;

/// A slot that closed and is not judged yet.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) signal: SignalName,
    pub(super) from: Timestamp,
    pub(super) through: Timestamp,
    pub(super) coverage: Coverage,
    pub(super) closed: Closed,
}

/// The slots that wait, and the signals that they wait for.
#[derive(Debug, Clone, Default)]
pub(super) struct Waiting {
    slots: Vec<Slot>,
    /// While slots are judged: up to when those of each signal reach.
    judging: BTreeMap<SignalName, Timestamp>,
    behind: BTreeSet<SignalName>,
    since: Timestamp,
}

impl Waiting {
    /// The backend answers again: these signals are still to be caught up.
    pub(super) fn begin(&mut self, now: Timestamp, behind: BTreeSet<SignalName>) {
        // What waits already waits no longer for it: a backend that flaps would put it off again and again.
        if self.slots.is_empty() {
            self.since = now;
        }
        self.behind.extend(behind);
    }

    /// Whether no slot waits, and none is waited for.
    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.behind.is_empty()
    }

    /// Whether no slot waits: all that was found is taken.
    pub(super) fn is_settled(&self) -> bool {
        self.slots.is_empty()
    }

    /// Up to when a signal has closed slots that are not judged yet.
    pub(super) fn closed_through(&self, signal: &SignalName) -> Option<Timestamp> {
        self.slots.iter().rfind(|slot| slot.signal == *signal).map(|slot| slot.through)
    }

    /// Up to when the slots of a signal reach that are judged at this moment.
    pub(super) fn judging_through(&self, signal: &SignalName) -> Option<Timestamp> {
        self.judging.get(signal).copied()
    }

    /// A signal is not waited for any more: it is caught up, or fails again.
    pub(super) fn not_for(&mut self, signal: &SignalName) {
        self.behind.remove(signal);
    }
}

impl Engine {
    /// Takes a slot that closed, and judges all that need not wait.
    pub(super) fn take_slot(&mut self, now: Timestamp, slot: Slot, effects: &mut Vec<Effect>) {
        // A long time is caught up in parts, and what the other signals show belongs between them.
        let steps = self.detect.plan(&slot.signal).map(|plan| plan.step.saturating_mul(CAUGHT_UP_STEPS));
        if now.since(slot.through) <= steps.unwrap_or_default().max(CAUGHT_UP) {
            self.waiting.not_for(&slot.signal);
        }
        self.waiting.slots.push(slot);
        self.judge_slots(now, effects);
    }

    /// Judges the slots that closed, unless they wait for other signals.
    pub(super) fn judge_slots(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        if !self.waiting.behind.is_empty() && now.since(self.waiting.since) < WAIT_MAX {
            return;
        }
        self.judge_all_slots(now, effects);
    }

    /// Judges the slots that closed, whatever they wait for.
    pub(super) fn judge_all_slots(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        self.waiting.behind.clear();
        let slots = std::mem::take(&mut self.waiting.slots);
        if slots.is_empty() {
            return;
        }
        self.waiting.judging = slots.iter().map(|slot| (slot.signal.clone(), slot.through)).collect();
        let mut findings: Vec<(Finding, bool)> = Vec::new();
        let mut done = Vec::with_capacity(slots.len());
        for mut slot in slots {
            let found = std::mem::take(&mut slot.closed.findings);
            let held = self.watch_source(now, &slot.signal, slot.through, &found, effects);
            let is_held = |finding: &Finding| match &finding.what {
                What::Lost { last_seen } => held.contains(last_seen),
                What::Anomalous(_) | What::Recovered(_) | What::Returned | What::Restarted(_) => false,
            };
            findings.extend(found.into_iter().map(|finding| {
                let is_held = is_held(&finding);
                (finding, is_held)
            }));
            done.push(slot);
        }
        // Stable: of one moment and series, what was found first stays first.
        findings.sort_by_key(|(finding, _)| (finding.at, finding.key.hash));
        for (finding, _) in findings.iter().filter(|(_, is_held)| !is_held) {
            self.take_finding(now, finding, effects);
        }
        self.waiting.judging.clear();
        self.finish_slots(now, &done, effects);
    }

    fn take_finding(&mut self, now: Timestamp, finding: &Finding, effects: &mut Vec<Effect>) {
        self.resolve_before(now, finding, effects);
        match &finding.what {
            What::Anomalous(anomaly) => self.trouble(now, finding, Trouble::Deviation(*anomaly), effects),
            What::Lost { last_seen } => {
                let lost = Trouble::Lost { last_seen: *last_seen, detected_at: finding.at };
                self.trouble(now, finding, lost, effects);
            }
            What::Recovered(anomaly) => {
                self.trouble_that_passed(now, finding, *anomaly, effects);
                self.absorb(now, finding, effects);
            }
            What::Returned => {
                self.absorb(now, finding, effects);
            }
            What::Restarted(restart) => self.restarted(now, finding, *restart, effects),
        }
    }

    fn finish_slots(&mut self, now: Timestamp, slots: &[Slot], effects: &mut Vec<Effect>) {
        for slot in slots {
            // What is missing in a part of an answer ends nothing.
            if slot.through > self.muted(&slot.signal) && slot.coverage == Coverage::Whole {
                self.reconcile(now, &slot.signal, effects);
            }
        }
        for id in std::mem::take(&mut self.unassessed) {
            self.reassess(now, id, effects);
        }
        for slot in slots {
            self.awaited.remove(&slot.signal);
        }
        self.tick(now, effects);
        for slot in slots {
            self.advance(now, &slot.signal, (slot.from, slot.through), &slot.closed.seen_ms, effects);
        }
    }
}

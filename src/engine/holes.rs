//! The steps at which nothing was judged, so that what is judged of a signal has no hole that is not told.
//!
//! A hole is told when it begins, again when it has doubled, each hour, or each day where series are not there by nature,
//! and when it ends; meanwhile the watermark waits
//! before it. So the log stays short, and whatever is stored at any moment, every step up to the watermark is either
//! judged or told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::event::{Event, NotJudged, Stream, SystemEvent};
use super::input::Effect;
use super::step::Engine;
use crate::series::SignalName;
use crate::time::{Timestamp, millis};

/// A hole that goes on is told at least this often; of a signal without samples, which may have none by nature, only
/// each day.
const TELL_EVERY: Duration = Duration::from_secs(3600);
const TELL_EMPTY_EVERY: Duration = Duration::from_secs(86_400);

/// The holes that go on, by signal.
#[derive(Debug, Clone, Default)]
pub(super) struct Holes {
    open: BTreeMap<SignalName, Hole>,
}

impl Holes {
    /// Forgets the holes of all signals but these.
    pub(super) fn forget_but(&mut self, signals: &BTreeSet<SignalName>) {
        self.open.retain(|signal, _| signals.contains(signal));
    }
}

/// Steps without a judgement, from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Hole {
    from: Timestamp,
    to: Timestamp,
    because: NotJudged,
    /// The first step that no event tells of yet.
    untold_from: Timestamp,
}

impl Hole {
    /// Whether what is not told yet has grown to as much as what is, or for so long that it is due.
    fn is_due(&self, step: Duration) -> bool {
        let untold = self.to.plus(step).since(self.untold_from);
        let every = match self.because {
            NotJudged::NoSamples => TELL_EMPTY_EVERY,
            NotJudged::NotAsked | NotJudged::SourceGap => TELL_EVERY,
        };
        !untold.is_zero() && (untold >= self.untold_from.since(self.from) || untold >= every)
    }
}

impl Engine {
    /// Moves the watermark of a signal to `through`, as far as every step up to it is judged or told of.
    pub(super) fn advance(
        &mut self,
        now: Timestamp,
        signal: &SignalName,
        (from, through): (Timestamp, Timestamp),
        seen_ms: &[i64],
        effects: &mut Vec<Effect>,
    ) {
        let before = self.judged_through.get(signal).copied();
        // A step once judged is final: history that is read again does not take it back.
        if before.is_some_and(|before| before >= through) {
            return;
        }
        self.judged_through.insert(signal.clone(), through);
        let step = self.detect.plan(signal).map_or(Duration::from_millis(1), |plan| plan.step);
        // What was before the first answer was never meant to be judged.
        let first = before.map_or(from, |before| before.plus(step));
        for run in self.runs(first, (from, through), seen_ms, step) {
            self.take_run(now, signal, run, step, effects);
        }
        let waits = self.holes.open.get(signal).map(|hole| hole.untold_from.minus(step));
        let through = waits.map_or(through, |told| told.min(through));
        if before.is_none_or(|before| before < through) {
            effects.push(Effect::Advance { signal: signal.clone(), through });
        }
    }

    /// Up to when the steps of a signal are written down as judged or told of: a hole that goes on holds that back.
    pub(super) fn written_through(&self, signal: &SignalName) -> Option<Timestamp> {
        let judged = self.judged_through.get(signal).copied()?;
        let step = self.detect.plan(signal).map_or(Duration::from_millis(1), |plan| plan.step);
        let waits = self.holes.open.get(signal).map(|hole| hole.untold_from.minus(step));
        Some(waits.map_or(judged, |told| told.min(judged)))
    }

    /// The steps after `first` in runs of the same fate: judged, or why not.
    fn runs(
        &self,
        first: Timestamp,
        (from, through): (Timestamp, Timestamp),
        seen_ms: &[i64],
        step: Duration,
    ) -> Vec<(Timestamp, Timestamp, Option<NotJudged>)> {
        let step_ms = millis(step).max(1);
        let mut runs: Vec<(Timestamp, Timestamp, Option<NotJudged>)> = Vec::new();
        if first < from {
            runs.push((first, from.minus(step), Some(NotJudged::NotAsked)));
        }
        let begin = first.max(from);
        let mut seen = seen_ms.iter().copied().peekable();
        let mut at_ms = begin.as_millis();
        while at_ms <= through.as_millis() {
            let at = Timestamp::from_millis(at_ms);
            let mut has_sample = false;
            while let Some(time) = seen.next_if(|time| *time <= at_ms) {
                has_sample |= time > at_ms.saturating_sub(step_ms);
            }
            let fate = if self.detect.gaps().distort(at, Duration::ZERO) {
                Some(NotJudged::SourceGap)
            } else {
                (!has_sample).then_some(NotJudged::NoSamples)
            };
            match runs.last_mut().filter(|(_, _, last)| *last == fate) {
                Some((_, to, _)) => *to = at,
                None => runs.push((at, at, fate)),
            }
            at_ms = at_ms.saturating_add(step_ms);
        }
        runs
    }

    fn take_run(
        &mut self,
        now: Timestamp,
        signal: &SignalName,
        (from, to, fate): (Timestamp, Timestamp, Option<NotJudged>),
        step: Duration,
        effects: &mut Vec<Effect>,
    ) {
        let known = self.holes.open.remove(signal);
        let goes_on = known.filter(|hole| Some(hole.because) == fate);
        if let Some(over) = known.filter(|_| goes_on.is_none()) {
            self.tell_hole(now, signal, over, effects);
        }
        let Some(because) = fate else { return };
        let begun = goes_on.unwrap_or(Hole { from, to, because, untold_from: from });
        let mut hole = Hole { to, ..begun };
        if hole.is_due(step) {
            self.tell_hole(now, signal, hole, effects);
            hole.untold_from = hole.to.plus(step);
        }
        self.holes.open.insert(signal.clone(), hole);
    }

    fn tell_hole(&mut self, now: Timestamp, signal: &SignalName, hole: Hole, effects: &mut Vec<Effect>) {
        let Hole { to, because, untold_from: from, .. } = hole;
        if from <= to {
            let event = SystemEvent::StepsNotJudged { signal: signal.clone(), from, to, because };
            self.record(now, Stream::System, Event::System(event), effects);
        }
    }
}

//! Polls the past as the agent would have polled it: the same history at the start, the same slots, the same ticks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::ledger::{Ledger, Outcome};
use super::piece::{Cut, Piece};
use crate::engine::{self, Coverage, Engine, Input, Restored};
use crate::schedule::{Schedule, Slot};
use crate::series::SignalName;
use crate::time::Timestamp;

/// How often the agent tells its engine that time has passed.
const TICK: Duration = Duration::from_secs(5);

/// How one signal is polled.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// The signal.
    pub signal: SignalName,
    /// The time between two samples.
    pub step: Duration,
    /// How often it is polled.
    pub interval: Duration,
    /// How far behind the clock the newest step lies that is asked for.
    pub delay: Duration,
    /// How much history is read at the start.
    pub history: Duration,
}

impl Lane {
    /// The last step that a poll at a time asks for.
    pub fn through(&self, at: Timestamp) -> Timestamp {
        at.minus(self.delay).align_down(self.step)
    }

    /// The last step before the history that an agent reads that starts at a time.
    fn before_history(&self, begin: Timestamp) -> Timestamp {
        begin.minus(self.delay).minus(self.history).align_down(self.step)
    }

    /// The first step of that history.
    pub fn history_from(&self, begin: Timestamp) -> Timestamp {
        self.before_history(begin).plus(self.step)
    }
}

/// An engine that lives through a span of the past, in virtual time.
///
/// Pieces are given in order of time, then it runs up to where they reach; what it has used is dropped, so that a long
/// span needs no more memory than the pieces that are given at once.
#[derive(Debug)]
pub struct Rerun {
    engine: Engine,
    polls: Vec<Poll>,
    ledger: Ledger,
    now: Timestamp,
}

/// One signal on its way through the past.
#[derive(Debug)]
struct Poll {
    lane: Lane,
    schedule: Schedule,
    next: Slot,
    /// The last step that was handed to the engine.
    seen: Timestamp,
    pieces: VecDeque<Cut>,
}

impl Rerun {
    /// Starts an agent at `begin`. What was before only teaches; no model is asked about the past.
    pub fn new(settings: engine::Settings, lanes: impl IntoIterator<Item = Lane>, begin: Timestamp) -> Self {
        let settings = engine::Settings { questions_per_incident: 0, ..settings };
        let poll = |lane: Lane| {
            let schedule = Schedule::new(&lane.signal, lane.interval);
            let (next, seen) = (schedule.first(begin), lane.before_history(begin));
            Poll { lane, schedule, next, seen, pieces: VecDeque::new() }
        };
        Self {
            engine: Engine::new(settings, Restored::default(), begin),
            polls: lanes.into_iter().map(poll).collect(),
            ledger: Ledger::default(),
            now: begin,
        }
    }

    /// Takes what follows in a signal's samples.
    pub fn give(&mut self, signal: &SignalName, piece: Arc<Piece>) {
        if let Some(poll) = self.polls.iter_mut().find(|poll| poll.lane.signal == *signal) {
            let mut cut = Cut::new(piece);
            // It may reach further back than this agent reads.
            cut.take(signal, poll.seen);
            poll.pieces.push_back(cut);
        }
    }

    /// Reads what was given of the history, piece by piece: what the agent does first. Long histories are given and read
    /// in several turns.
    pub fn warm_up(&mut self) {
        for place in 0..self.polls.len() {
            let Some(poll) = self.polls.get(place) else { continue };
            let until = poll.lane.through(self.now);
            let ends: Vec<Timestamp> = poll.pieces.iter().map(|cut| cut.piece().through.min(until)).collect();
            ends.into_iter().for_each(|through| self.poll(place, through));
        }
    }

    /// Lives on up to `until`: every slot that is due by then, and the ticks between them.
    pub fn run_until(&mut self, until: Timestamp) {
        loop {
            let due = self.polls.iter().enumerate().min_by_key(|(place, poll)| (poll.next.at, *place));
            let due = due.map(|(place, poll)| (place, poll.next.at)).filter(|(_, at)| *at <= until);
            let Some((place, at)) = due else { break };
            self.tick_until(at);
            let Some(poll) = self.polls.get_mut(place) else { break };
            poll.next = poll.schedule.after(poll.next, at);
            let through = poll.lane.through(at);
            self.poll(place, through);
        }
        self.tick_until(until);
    }

    /// The time that it has come to.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The engine as it stands.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How many incidents were found so far.
    pub fn incidents(&self) -> usize {
        self.ledger.count()
    }

    /// Ends it.
    pub fn finish(self) -> Outcome {
        self.ledger.close(&self.engine, self.now)
    }

    fn tick_until(&mut self, until: Timestamp) {
        let mut next = self.now.align_down(TICK).plus(TICK);
        while next <= until {
            // Nothing waits for time to pass: only a poll can change that.
            if self.engine.is_idle() {
                break;
            }
            self.now = next;
            self.step(Input::Tick);
            next = next.plus(TICK);
        }
        self.now = self.now.max(until);
    }

    /// Hands a signal's steps that were not seen yet to the engine, up to `through`.
    fn poll(&mut self, place: usize, through: Timestamp) {
        let Some(poll) = self.polls.get_mut(place) else { return };
        let from = poll.seen.plus(poll.lane.step);
        if from > through {
            return;
        }
        poll.seen = through;
        let signal = poll.lane.signal.clone();
        let (mut inputs, mut coverage) = (Vec::new(), Coverage::Whole);
        for cut in poll.pieces.iter_mut().take_while(|cut| cut.piece().from <= through) {
            let gaps = cut.piece().gaps.iter();
            let gaps = gaps.map(|(first, last)| (from.max(*first), through.min(*last)));
            inputs
                .extend(gaps.filter(|(from, to)| from <= to).map(|(from, to)| Input::SourceGap { from, to }));
            if let Coverage::Partial { .. } = cut.piece().coverage {
                coverage = cut.piece().coverage.clone();
            }
            inputs.extend(cut.take(&signal, through).into_parts().into_iter().map(Input::Batch));
        }
        while poll.pieces.front().is_some_and(|cut| cut.piece().through <= through) {
            poll.pieces.pop_front();
        }
        // Told before the samples of these steps.
        inputs.sort_by_key(|input| !matches!(input, Input::SourceGap { .. }));
        for input in inputs {
            if let Input::Batch(batch) = &input {
                self.ledger.see(batch);
            }
            self.step(input);
        }
        self.step(Input::SlotClosed { signal, from, through, coverage });
    }

    fn step(&mut self, input: Input) {
        let effects = self.engine.step(self.now, input);
        if !effects.is_empty() {
            self.ledger.note(&self.engine, self.now, &effects);
        }
    }
}

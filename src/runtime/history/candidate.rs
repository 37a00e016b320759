//! A config as far as it decides what an agent would have said.

use std::time::Duration;

use crate::engine;
use crate::replay::{Lane, Rerun};
use crate::runtime::poller::history_of;
use crate::runtime::start::Polled;
use crate::source::SignalQuery;
use crate::time::Timestamp;

/// What one agent would have gone by.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// How its engine decides.
    pub engine: engine::Settings,
    /// What it polls, each signal also among those of `engine`.
    pub signals: Vec<Polled>,
    /// How much history it reads at its start, at least.
    pub history: Duration,
}

impl Candidate {
    /// How each signal is polled, where the newest step lies `delay` behind the clock.
    pub(super) fn lanes(&self, delay: Duration) -> Vec<Lane> {
        let lane = |polled: &Polled| {
            let SignalQuery { signal, step, .. } = &polled.query;
            let plan = self.engine.signals.iter().find(|(name, _)| name == signal);
            let wanted = plan.map_or(Duration::ZERO, |(_, plan)| history_of(plan));
            Lane {
                signal: signal.clone(),
                step: *step,
                interval: polled.interval,
                delay,
                history: self.history.max(wanted),
            }
        };
        self.signals.iter().map(lane).collect()
    }

    /// The agent at its start.
    pub(super) fn begin(&self, delay: Duration, at: Timestamp) -> Rerun {
        Rerun::new(self.engine.clone(), self.lanes(delay), at)
    }
}

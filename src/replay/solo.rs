//! One series by itself, sample by sample: what the agent would have said of each, had it watched nothing else.

use std::sync::Arc;

use crate::detect::Verdict;
use crate::engine::{Coverage, Effect, Engine, Event, Input, Restored, Settings};
use crate::incident;
use crate::series::{Batch, SeriesKey};
use crate::time::Timestamp;

/// The whole pipeline around a single series. What it holds does not grow with the number of samples.
#[derive(Debug)]
pub struct Solo {
    engine: Engine,
    key: Arc<SeriesKey>,
    last: Option<Timestamp>,
}

/// What was known of a sample at its own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// What detection says of it; `None` where it has no value, or is not judged, as while the baseline warms up.
    pub verdict: Option<Verdict>,
    /// What it did to the incidents.
    pub change: Option<Change>,
}

/// What a sample did to the incidents of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One opened. Where another one ended at the same moment, this is what counts.
    Opened,
    /// One ended.
    Resolved,
}

impl Solo {
    /// Starts without history. The settings hold the plan of the signal that the series belongs to.
    pub fn new(settings: Settings, key: Arc<SeriesKey>) -> Self {
        let muted_until = Timestamp::from_millis(i64::MIN);
        Self { engine: Engine::new(settings, Restored::default(), muted_until), key, last: None }
    }

    /// Takes the next sample. One without a value, or whose value is none (see [`Batch::push`]), is a moment at which the
    /// series was asked for and had nothing. `None` where the time is not after the one before: that step is judged.
    pub fn take(&mut self, at: Timestamp, value: Option<f64>) -> Option<Judged> {
        if self.last.is_some_and(|last| at <= last) {
            return None;
        }
        self.last = Some(at);
        let signal = self.key.signal.clone();
        let mut batch = Batch::with_capacity(signal.clone(), 1, 1);
        let mut has_value = false;
        if let Some(value) = value {
            batch.begin_row(Arc::clone(&self.key));
            has_value = batch.push(at, value);
        }
        let mut effects = Vec::new();
        if has_value {
            effects.extend(self.engine.step(at, Input::Batch(batch)));
        }
        let verdict = if has_value { self.engine.verdict_of(&self.key) } else { None };
        // Only this moment was asked for: of the time since the one before, nobody knows whether there were samples.
        let (from, through, coverage) = (at, at, Coverage::Whole);
        effects.extend(self.engine.step(at, Input::SlotClosed { signal, from, through, coverage }));
        Some(Judged { verdict, change: change_in(&effects) })
    }
}

fn change_in(effects: &[Effect]) -> Option<Change> {
    let changes = effects.iter().filter_map(|effect| match effect {
        Effect::Record(happening) => match &happening.event {
            Event::Incident(incident::Event::Opened { .. } | incident::Event::SourceOpened { .. }) => {
                Some(Change::Opened)
            }
            Event::Incident(incident::Event::Resolved { .. }) => Some(Change::Resolved),
            Event::Incident(_) | Event::Diagnosed(_) | Event::Captured(_) | Event::System(_) => None,
        },
        Effect::Advance { .. } | Effect::Ask { .. } | Effect::Reply(_) => None,
    });
    changes.min_by_key(|change| match change {
        Change::Opened => 0,
        Change::Resolved => 1,
    })
}

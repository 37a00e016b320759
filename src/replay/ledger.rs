//! What a run over the past has found so far, in bounded memory.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::found::Found;
use super::trace::Tracer;
use crate::detect::Tally;
use crate::engine::{CapturedSeries, Effect, Engine, Event, Stream};
use crate::id::IncidentId;
use crate::incident::Severity;
use crate::series::{Batch, SignalName};
use crate::time::Timestamp;

/// Further incidents are only counted: whoever has so many needs no list of them.
const INCIDENTS_MAX: usize = 20_000;
/// So many incidents are kept with samples: the worst, and of these the latest.
const TRACES_MAX: usize = 200;

/// What a run over the past found.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Every incident in the order in which they opened, up to the limit.
    pub found: Vec<Found>,
    /// How many were opened beyond that.
    pub beyond: usize,
    /// What detection counted, a row a signal.
    pub tallies: Vec<(SignalName, Tally)>,
    /// For how many series each override held, by its entry, over all signals.
    pub overridden: BTreeMap<u16, usize>,
}

/// Keeps what an engine records.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    found: IndexMap<IncidentId, Found>,
    beyond: usize,
    tracer: Tracer,
    /// The incidents that are kept with samples, the least among them first.
    traced: BTreeSet<(std::cmp::Reverse<Severity>, Timestamp, IncidentId)>,
}

impl Ledger {
    /// Takes what followed from an input.
    pub(super) fn note(&mut self, engine: &Engine, now: Timestamp, effects: &[Effect]) {
        let mut touched: BTreeMap<IncidentId, &[CapturedSeries]> = BTreeMap::new();
        for effect in effects {
            let Effect::Record(happening) = effect else { continue };
            match (happening.stream, &happening.event) {
                (Stream::Incident(id), Event::Captured(captured)) => {
                    touched.insert(id, captured);
                }
                (Stream::Incident(id), Event::Incident(_)) => {
                    touched.entry(id).or_default();
                }
                (Stream::Incident(_), Event::Diagnosed(_) | Event::System(_)) | (Stream::System, _) => {}
            }
        }
        for (id, captured) in touched {
            self.touch(engine, now, id, captured);
        }
    }

    fn touch(&mut self, engine: &Engine, now: Timestamp, id: IncidentId, captured: &[CapturedSeries]) {
        let Some(incident) = engine.incident(id) else { return };
        if let Some(found) = self.found.get_mut(&id) {
            found.update(incident, now);
        } else if self.found.len() < INCIDENTS_MAX {
            self.found.extend(Found::of(incident, now).map(|found| (id, found)));
            self.tracer.begin(id, captured);
        } else {
            // Each is touched first when it opens.
            self.beyond += usize::from(incident.opened_at == now);
            return;
        }
        self.tracer.follow(incident);
        if self.found.get(&id).is_some_and(|found| found.resolved_at.is_some()) {
            let trace = self.tracer.end(incident);
            self.keep(id, trace);
        }
    }

    /// Keeps the samples of an incident, unless enough worse ones are kept.
    fn keep(&mut self, id: IncidentId, trace: Option<super::Trace>) {
        let (Some(found), Some(trace)) = (self.found.get_mut(&id), trace) else { return };
        found.trace = Some(trace);
        self.traced.insert((std::cmp::Reverse(found.severity), found.opened_at, id));
        if self.traced.len() > TRACES_MAX
            && let Some((_, _, least)) = self.traced.pop_first()
            && let Some(found) = self.found.get_mut(&least)
        {
            found.trace = None;
        }
    }

    pub(super) fn see(&mut self, batch: &Batch) {
        self.tracer.see(batch);
    }

    /// How many incidents there are.
    pub(super) fn count(&self) -> usize {
        self.found.len() + self.beyond
    }

    /// What stands at the end of the run; what is open then goes on up to `now`.
    pub(super) fn close(mut self, engine: &Engine, now: Timestamp) -> Outcome {
        for incident in engine.open_incidents() {
            if let Some(found) = self.found.get_mut(&incident.id) {
                found.update(incident, now);
                let trace = self.tracer.end(incident);
                self.keep(incident.id, trace);
            }
        }
        let found = self.found.into_values().collect();
        let tallies = engine.tallies();
        let mut overridden = BTreeMap::new();
        for over in tallies.iter().flat_map(|(signal, _)| engine.overridden(signal)) {
            *overridden.entry(over.entry).or_default() += over.series;
        }
        Outcome { found, beyond: self.beyond, tallies, overridden }
    }
}

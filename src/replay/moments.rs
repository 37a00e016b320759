//! Runs recorded samples through the whole pipeline in virtual time: what the agent would have said, and when.

use indexmap::IndexMap;

use crate::diagnose::Diagnosis;
use crate::engine::{Coverage, Effect, Engine, Event, Input, Stream};
use crate::id::IncidentId;
use crate::incident::Incident;
use crate::series::Batch;
use crate::time::Timestamp;

/// An incident as it stood when the recording ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The incident in its last state.
    pub incident: Incident,
    /// Every diagnosis in the order in which they were made.
    pub diagnoses: Vec<Diagnosis>,
}

/// An engine with what it has recorded so far.
#[derive(Debug)]
pub struct Replay {
    engine: Engine,
    incidents: IndexMap<IncidentId, Replayed>,
}

impl Replay {
    /// Starts with an engine that has seen nothing yet.
    pub fn new(engine: Engine) -> Self {
        Self { engine, incidents: IndexMap::new() }
    }

    /// Takes one moment of the recording: a batch a signal. Virtual time is `at`; nothing in it knows what comes later.
    /// Gives what was decided.
    pub fn moment(&mut self, at: Timestamp, batches: Vec<Batch>) -> Vec<Effect> {
        let signals: Vec<_> = batches.iter().map(|batch| batch.signal().clone()).collect();
        let mut effects = Vec::new();
        for batch in batches.into_iter().flat_map(Batch::into_parts) {
            effects.extend(self.step(at, Input::Batch(batch)));
        }
        for signal in signals {
            let (from, through, coverage) = (at, at, Coverage::Whole);
            effects.extend(self.step(at, Input::SlotClosed { signal, from, through, coverage }));
        }
        effects
    }

    /// Takes one input at a moment.
    pub fn step(&mut self, at: Timestamp, input: Input) -> Vec<Effect> {
        let effects = self.engine.step(at, input);
        for effect in &effects {
            match effect {
                Effect::Record(happening) => self.note(happening.stream, happening.at, &happening.event),
                Effect::Advance { .. } | Effect::Ask { .. } | Effect::Reply(_) => {}
            }
        }
        effects
    }

    /// The engine as it stands.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Every incident so far, in the order in which they opened.
    pub fn incidents(&self) -> impl Iterator<Item = &Replayed> {
        self.incidents.values()
    }

    fn note(&mut self, stream: Stream, at: Timestamp, event: &Event) {
        let Stream::Incident(id) = stream else { return };
        match (event, self.incidents.get_mut(&id)) {
            (Event::Incident(event), Some(replayed)) => replayed.incident.apply(at, event),
            (Event::Incident(event), None) => {
                if let Some(incident) = Incident::from_opening(at, event) {
                    self.incidents.insert(id, Replayed { incident, diagnoses: Vec::new() });
                }
            }
            (Event::Diagnosed(diagnosis), Some(replayed)) => {
                replayed.incident.diagnosed(at, diagnosis.revision, diagnosis.standing());
                replayed.diagnoses.push(diagnosis.clone());
            }
            (Event::Diagnosed(_), None) | (Event::Captured(_) | Event::System(_), _) => {}
        }
    }
}

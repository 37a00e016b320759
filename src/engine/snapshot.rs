//! What the engine has learnt and no event tells, as bytes, and back: so that a start goes on where a stop left off.
//!
//! Events are what was decided; a snapshot only spares reading history. So it counts as far as it agrees with the log: it
//! may be older, as after a crash, and what came since is read and judged again in silence; it may not be ahead of it, since
//! then something was judged that nobody wrote down.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::input::Restored;
use super::settings::Settings;
use super::step::Engine;
use crate::detect::{Detect, Directive, Restoration, SnapshotFlaw};
use crate::id::Fingerprint;
use crate::series::SignalName;
use crate::time::Timestamp;

/// What stands beside the state of detection.
#[derive(Debug, Serialize, Deserialize)]
struct Notes {
    /// By signal: the last step that its state holds, and the last that is written down as judged.
    reached: Vec<(String, Timestamp, Option<Timestamp>)>,
    /// What detection was told: the series, since and at.
    told: Vec<Told>,
}

/// A directive: the series, since and at.
type Told = (Fingerprint, Timestamp, Timestamp);

/// Why a snapshot is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotResumed {
    /// It is not what was written.
    #[error(transparent)]
    Flawed(#[from] SnapshotFlaw),
    /// It holds what the log does not know of.
    #[error("it holds signal {signal} as judged up to {held}, and the log only up to {logged}")]
    Ahead {
        /// The signal.
        signal: SignalName,
        /// Up to when by the snapshot.
        held: Timestamp,
        /// Up to when by the log.
        logged: Timestamp,
    },
}

/// A snapshot that is being read.
#[derive(Debug)]
pub struct Resumption {
    restoration: Restoration,
    notes: Option<Notes>,
}

/// What a snapshot holds, where it agrees with the log.
#[derive(Debug)]
pub struct Resumed {
    detect: Detect,
    reached: BTreeMap<SignalName, Timestamp>,
    told: BTreeSet<Told>,
}

impl Engine {
    /// Writes down what is known beside the events: frames, to be taken by [`Resumption::take`] in the same order, each made
    /// when it is asked for. `None` while what was found waits for other signals and is therefore nowhere written down.
    ///
    /// Only what is committed may be in it: nothing may be on its way to the log.
    pub fn snapshot(&self) -> Option<impl Iterator<Item = Vec<u8>>> {
        if !self.waiting.is_settled() {
            return None;
        }
        let reached = self.reached.iter();
        let notes = Notes {
            reached: reached
                .map(|(signal, reached)| (signal.to_string(), *reached, self.written_through(signal)))
                .collect(),
            told: self.directives.iter().map(told).collect(),
        };
        let notes = postcard::to_stdvec(&notes).unwrap_or_default();
        let detection = self.detect.snapshot(|signal| self.reached.contains_key(signal));
        Some(std::iter::once(notes).chain(detection))
    }

    /// Starts as [`Engine::new`] does, with what a snapshot holds: the signals of it go on from there, and wait for no
    /// history.
    pub fn resume(
        settings: Settings,
        restored: Restored,
        resumed: Resumed,
        first_muted_until: Timestamp,
    ) -> Self {
        let mut engine = Self::new(settings, restored, first_muted_until);
        let Resumed { detect, reached, told: known } = resumed;
        (engine.detect, engine.reached) = (detect, reached);
        for directive in &engine.directives {
            let is_held = engine.reached.contains_key(directive.signal()) && known.contains(&told(directive));
            if !is_held {
                engine.detect.direct(directive);
            }
        }
        engine
    }
}

fn told(directive: &Directive) -> Told {
    match directive {
        Directive::Rebase { key, since, at } => (key.hash, *since, *at),
    }
}

impl Resumption {
    /// Begins to read one, for these settings. Signals that ask something else than when it was written begin without state.
    pub fn new(settings: &Settings, asks_anew: BTreeSet<SignalName>) -> Self {
        let restoration = Restoration::new(settings.signals.iter().cloned(), asks_anew);
        Self { restoration, notes: None }
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// Where it is not what was written. What was taken before is of no use then.
    pub fn take(&mut self, frame: &[u8]) -> Result<(), NotResumed> {
        if self.notes.is_some() {
            return Ok(self.restoration.take(frame)?);
        }
        let notes = postcard::from_bytes(frame).map_err(|error| SnapshotFlaw::Bytes(error.to_string()))?;
        self.notes = Some(notes);
        Ok(())
    }

    /// Gives what was read, where it agrees with what the log says.
    ///
    /// # Errors
    /// Where it is ahead of the log, or the last frame is still missing.
    pub fn finish(self, restored: &Restored, first_muted_until: Timestamp) -> Result<Resumed, NotResumed> {
        let notes = self.notes.ok_or(SnapshotFlaw::Unfinished)?;
        let logged = |signal: &SignalName| restored.judged_through.get(signal).copied();
        let muted = |signal: &SignalName| logged(signal).unwrap_or(first_muted_until);
        let (detect, held) = self.restoration.finish(muted)?;
        let mut reached = BTreeMap::new();
        for (signal, through, written) in notes.reached {
            let signal = SignalName::new(&signal);
            let logged = logged(&signal);
            if let Some(held) = written.filter(|written| logged.is_none_or(|logged| *written > logged)) {
                let logged = logged.unwrap_or_default();
                return Err(NotResumed::Ahead { signal, held, logged });
            }
            if held.contains(&signal) {
                reached.insert(signal, through);
            }
        }
        // State of which nobody knows up to when it reaches is of no use.
        if reached.len() < held.len() {
            return Err(SnapshotFlaw::Unfinished.into());
        }
        Ok(Resumed { detect, reached, told: notes.told.into_iter().collect() })
    }
}

impl Resumed {
    /// The signals that go on, each with the last step that need not be asked for: those after it are still to be judged,
    /// or to be told of.
    pub fn reached(&self, restored: &Restored) -> BTreeMap<SignalName, Timestamp> {
        let through = |(signal, reached): (&SignalName, &Timestamp)| {
            let logged = restored.judged_through.get(signal).copied();
            (signal.clone(), logged.map_or(*reached, |logged| logged.min(*reached)))
        };
        self.reached.iter().map(through).collect()
    }

    /// How many series have state.
    pub fn series(&self) -> usize {
        self.detect.tallies().iter().map(|(_, tally)| tally.series).sum()
    }
}

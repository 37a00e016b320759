//! What goes into the engine and what comes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Event, Happening, SeriesRebased, Stream};
use super::reconfigure::Reconfiguration;
use crate::detect::{Directive, NotRebased};
use crate::diagnose::{Because, Bundle, Citation, Hypothesis, PastIncident};
use crate::id::IncidentId;
use crate::incident::Incident;
use crate::series::{Batch, Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// One thing that the engine is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A part of the answer to a signal's query.
    Batch(Batch),
    /// A signal's answer is complete up to a time.
    SlotClosed {
        /// The signal.
        signal: SignalName,
        /// The first step that was asked for since the slot before closed.
        from: Timestamp,
        /// The last step that the answer covers.
        through: Timestamp,
        /// Whether the answer holds all that the backend has.
        coverage: Coverage,
    },
    /// A signal's query failed. This is no data, and no loss of a series either.
    PollFailed {
        /// The signal.
        signal: SignalName,
        /// The slot that it was asked for.
        slot: Timestamp,
        /// Whose fault it is.
        failure: Failure,
        /// Why.
        because: String,
    },
    /// The backend itself took no samples, or those of few of its targets only, at the steps from `from` to `to`, both
    /// included. Told before the batches that hold these steps or the ones after them.
    SourceGap {
        /// The first such step.
        from: Timestamp,
        /// The last such step.
        to: Timestamp,
    },
    /// Time has passed.
    Tick,
    /// Somebody wants something.
    Command(Command),
    /// Another config is in force from now on.
    Reconfigured(Box<Reconfiguration>),
    /// A config was refused.
    ReloadFailed {
        /// The hash of the config that stays in force.
        config_hash: String,
        /// Why, bounded.
        because: String,
    },
    /// A model has answered, or could not.
    Answered {
        /// The incident that it was asked about.
        incident: IncidentId,
        /// The revision that it was asked for.
        revision: u32,
        /// The name of the model and whether the answer came from the cache, with the hypotheses; or why there are none.
        answer: Result<Answer, Because>,
    },
}

/// How much of what there is an answer holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// All of it: a series that is missing has no samples.
    Whole,
    /// A part, by the backend's own word: what is missing may be there all the same.
    Partial {
        /// The backend's word.
        because: String,
    },
}

/// Whose fault a failed poll is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The backend's or the way to it: no answer, too late, 429 or 5xx, something that is no answer at all, or no secret
    /// to ask it with.
    Backend,
    /// The query's: refused, too large, or one that cannot be asked.
    Query,
    /// The agent's own: the request had no turn in time, so nobody was asked and nothing is known.
    Agent,
}

/// A model's answer that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The model.
    pub model: String,
    /// Whether the answer came from the cache.
    pub from_cache: bool,
    /// The most likely cause first.
    pub hypotheses: Vec<Hypothesis>,
    /// What the evidence said that they cite, in the bundle that was asked about.
    pub cited: Vec<Citation>,
}

/// What somebody wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A new diagnosis of an incident.
    Analyze {
        /// Which.
        incident: IncidentId,
    },
    /// The baseline of a series is to begin anew.
    Rebase(Rebase),
}

/// Which baseline is to begin anew, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebase {
    /// The signal of the series.
    pub signal: SignalName,
    /// Its service.
    pub service: Service,
    /// Labels that it has, where signal and service do not tell it from others.
    pub labels: Labels,
    /// Who wants it.
    pub by: String,
    /// Why, in their words.
    pub comment: String,
}

/// What follows from an input.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this down.
    Record(Box<Happening>),
    /// A signal is judged up to this time: write that down in the same commit.
    Advance {
        /// The signal.
        signal: SignalName,
        /// The last step that was judged.
        through: Timestamp,
    },
    /// Ask the model about this; the answer is the next input about it.
    Ask {
        /// The revision that the answer will have.
        revision: u32,
        /// What to ask about.
        bundle: Box<Bundle>,
    },
    /// Tell whoever sent the command.
    Reply(Reply),
}

impl Effect {
    pub(super) fn record(at: Timestamp, stream: Stream, event: Event) -> Self {
        Self::Record(Box::new(Happening { stream, at, event }))
    }
}

/// The answer to a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// A diagnosis will come, or has come, under this revision.
    Analyzing {
        /// Which.
        revision: u32,
    },
    /// No such incident is open or recent.
    UnknownIncident,
    /// What became of a baseline that was to begin anew.
    Rebase(Rebasing),
}

/// What became of a baseline that was to begin anew.
#[derive(Debug, Clone, PartialEq)]
pub enum Rebasing {
    /// It begins anew.
    Done {
        /// Which series, as it was written down.
        event: Box<SeriesRebased>,
        /// How many samples make the baseline so far.
        points: usize,
        /// How many it takes until the series is judged again.
        needed: usize,
        /// When the anomaly that ended by it began.
        ended: Option<Timestamp>,
    },
    /// It stays as it is.
    Refused(NotRebased),
    /// Several series are meant, at least these.
    Ambiguous(Vec<Arc<SeriesKey>>),
    /// The signal's history is still being read.
    HistoryUnread,
}

/// So many directives are remembered; of more, the newest.
pub const DIRECTIVES_MAX: usize = 10_000;

/// What the store remembers for the engine.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Restored {
    /// Incidents that are not resolved.
    pub open: Vec<Incident>,
    /// Resolved incidents, the newest first.
    pub past: Vec<PastIncident>,
    /// The last step that was judged, by signal.
    pub judged_through: BTreeMap<SignalName, Timestamp>,
    /// What detection was told, the oldest first; at most [`DIRECTIVES_MAX`].
    pub directives: Vec<Directive>,
}

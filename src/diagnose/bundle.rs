//! Everything that is known about an incident at one moment, each item with an id that evidence can cite.

use std::fmt;

use super::blind::SourceEvidence;
use super::diagnosis::Cause;
use crate::correlate::Call;
use crate::detect::{Kind, Side};
use crate::id::IncidentId;
use crate::incident::{Assessment, Subject, Trouble};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

/// What a diagnosis is made from. Bounded in size by [`super::Limits`], and the same for the same state.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The incident.
    pub incident: IncidentId,
    /// What it is about.
    pub subject: Subject,
    /// The moment.
    pub at: Timestamp,
    /// When the first of its troubles began.
    pub onset: Timestamp,
    /// How bad it is.
    pub assessment: Assessment,
    /// The evidence: anomalies first, then the rest of the service, then other services, then the past.
    pub items: Vec<Item>,
    /// Items that were left out because of the limits.
    pub left_out: usize,
    /// Which of the services in it call each other, as far as that is known.
    pub calls: Vec<Call>,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What cites it.
    pub id: EvidenceId,
    /// What it says.
    pub what: Evidence,
}

/// Names an item of one bundle: `a1` an anomaly, `s1` a signal of the same service, `o1` another service, `p1` a past
/// incident; of an incident about the source `b1` a signal that it does not serve, `f1` polls that fail, `g1` a gap in what
/// the backend took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EvidenceId(String);

impl EvidenceId {
    /// Makes the id of the `nth` item, from 1, of a class.
    pub fn new(class: char, nth: usize) -> Self {
        Self(format!("{class}{nth}"))
    }

    /// Takes an id that was stored.
    pub fn from_stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The bare text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EvidenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a piece of evidence says.
#[derive(Debug, Clone, PartialEq)]
pub enum Evidence {
    /// A series of this incident, with its last samples, oldest first.
    Anomaly {
        /// The service; always the incident's.
        service: Service,
        /// The signal.
        signal: SignalName,
        /// The series as people read it.
        series: String,
        /// What the signal measures.
        kind: Kind,
        /// What is wrong with it.
        trouble: Trouble,
        /// Whether it still is.
        is_active: bool,
        /// Its last samples.
        points: Vec<(Timestamp, f64)>,
    },
    /// Another series of the same service, which is not in trouble.
    Sibling {
        /// The signal.
        signal: SignalName,
        /// The series as people read it.
        series: String,
        /// What the signal measures.
        kind: Kind,
        /// How it stands.
        movement: Movement,
    },
    /// A series of another service that is in trouble at the same time.
    Elsewhere {
        /// That service.
        service: Service,
        /// The signal.
        signal: SignalName,
        /// The series as people read it.
        series: String,
        /// What the signal measures.
        kind: Kind,
        /// On which side it left its band; `None` where it stopped.
        side: Option<Side>,
        /// When that began.
        onset: Timestamp,
        /// How it stands.
        movement: Movement,
    },
    /// Something about the source itself; only in an incident about it.
    Source(SourceEvidence),
    /// An earlier incident of the same service, or of the source.
    Past {
        /// Its id.
        incident: IncidentId,
        /// When it was opened.
        opened_at: Timestamp,
        /// The signals that were in trouble.
        signals: Vec<SignalName>,
        /// The first hypothesis of its last diagnosis, where there was one.
        cause: Option<Cause>,
        /// How long it lasted, in seconds; `None` while it is open.
        lasted_s: Option<f64>,
    },
}

/// How a series stands against its baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Movement {
    /// The last value.
    pub value: f64,
    /// The expected value; `None` while the baseline warms up.
    pub expected: Option<f64>,
    /// The strongest score since the onset; 1.0 is the edge of the band. `None` while it warms up, where it has no
    /// sample since then, and where it has stopped.
    pub score: Option<f64>,
    /// Whether it has moved in that time: it left the band, on whichever side. `None` where that can't be said.
    pub has_moved: Option<bool>,
}

//! One signal's part in an incident about the source.

use super::event::Event;
use super::member::{Ended, MemberState};
use super::severity::assess_source;
use super::state::Source;
use crate::id::{Fingerprint, IncidentId};
use crate::series::SignalName;
use crate::time::Timestamp;

/// A signal of which nothing, or too little, comes from the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// The signal.
    pub signal: SignalName,
    /// Since when: the first slot that was not answered; where series stopped, the last sample of the first of them.
    pub since: Timestamp,
    /// When it was held to be one.
    pub detected_at: Timestamp,
    /// What is missing.
    pub silence: Silence,
    /// Whether it goes on.
    pub state: MemberState,
}

/// What the source does not give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Silence {
    /// Answers: no poll of any signal was answered.
    Unanswered {
        /// What the last poll failed with when the outage began, at most 300 characters.
        because: String,
    },
    /// Samples: queries are answered, but most series stopped at once, over more than one service.
    Stopped {
        /// How many series stopped.
        lost: usize,
        /// Of how many.
        tracked: usize,
    },
}

impl Silence {
    /// The word for it in API and log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Unanswered { .. } => "unanswered",
            Self::Stopped { .. } => "stopped",
        }
    }
}

impl Outage {
    /// The event that opens an incident about the source. Its id derives from the moment at which the outage began.
    pub fn opening(self) -> Event {
        let fingerprint = Fingerprint::of(&[b"source"]);
        Event::SourceOpened {
            id: IncidentId::derive(fingerprint, self.since.as_millis()),
            fingerprint,
            source: Source::Detector,
            assessment: assess_source(std::slice::from_ref(&self)),
            outage: self,
        }
    }

    /// The event that ends it.
    pub fn end(&self, until: Timestamp, because: Ended) -> Event {
        Event::OutageEnded { signal: self.signal.clone(), since: self.since, until, because }
    }

    /// Whether it goes on.
    pub fn is_active(&self) -> bool {
        self.state == MemberState::Active
    }
}

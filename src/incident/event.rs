//! What can happen to an incident.

use crate::id::{Fingerprint, IncidentId};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

use super::member::{Ended, Member};
use super::outage::Outage;
use super::severity::Assessment;
use super::state::Source;

/// A change of one incident, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It began.
    Opened {
        /// Its id.
        id: IncidentId,
        /// What it stands for.
        fingerprint: Fingerprint,
        /// The service that it is about.
        service: Service,
        /// Who noticed.
        source: Source,
        /// The first series in trouble.
        member: Member,
        /// How bad it is.
        assessment: Assessment,
    },
    /// It began, and is about the source of the samples and not about a service.
    SourceOpened {
        /// Its id.
        id: IncidentId,
        /// What it stands for.
        fingerprint: Fingerprint,
        /// Who noticed.
        source: Source,
        /// The first signal that the source does not serve.
        outage: Outage,
        /// How bad it is.
        assessment: Assessment,
    },
    /// The source does not serve another signal.
    OutageJoined {
        /// That signal.
        outage: Outage,
    },
    /// The source serves a signal again.
    OutageEnded {
        /// The signal.
        signal: SignalName,
        /// When its outage began.
        since: Timestamp,
        /// When it was served again.
        until: Timestamp,
        /// How it ended.
        because: Ended,
    },
    /// Another series is in trouble.
    Joined {
        /// That series.
        member: Member,
    },
    /// A member's worst sample became much worse.
    Worsened {
        /// The hash of its series.
        series: Fingerprint,
        /// The worst score so far.
        peak_score: f64,
        /// The value of that sample.
        peak_value: f64,
        /// The last anomalous sample so far.
        until: Timestamp,
    },
    /// A member's trouble ended.
    MemberEnded {
        /// The hash of its series.
        series: Fingerprint,
        /// When its trouble began: one series can be in trouble twice.
        onset: Timestamp,
        /// The last sample that was outside, or the last before the end.
        until: Timestamp,
        /// The worst score that it reached.
        peak_score: f64,
        /// The value of that sample.
        peak_value: f64,
        /// How it ended.
        because: Ended,
    },
    /// It is worse, or less bad, than was thought.
    SeverityChanged {
        /// How bad it is now.
        assessment: Assessment,
    },
    /// Somebody wants to know the cause.
    AnalysisRequested {
        /// The revision that the answer will have.
        revision: u32,
        /// Who.
        by: Requester,
    },
    /// It is over.
    Resolved {
        /// How that is known.
        because: Resolution,
    },
}

/// Who asked for a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// The pipeline, since the incident opened or grew.
    Pipeline,
    /// A person, through the API.
    Person,
}

/// How an incident ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Every member has ended and stayed so for the hold; at least one by recovering or returning.
    Recovered,
    /// Every member has ended, none of them by a recovery that was seen.
    NothingLeft,
}

impl Resolution {
    /// The word for it in API and log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::NothingLeft => "nothing_left",
        }
    }

    /// Every way.
    pub const ALL: [Self; 2] = [Self::Recovered, Self::NothingLeft];
}

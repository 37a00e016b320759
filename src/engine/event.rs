//! Everything that is written down: the sum of each stage's events.

use std::sync::Arc;

use super::input::Failure;
use crate::detect::Directive;
use crate::diagnose::Diagnosis;
use crate::id::IncidentId;
use crate::incident;
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// The log that an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// What concerns no single incident.
    System,
    /// One incident.
    Incident(IncidentId),
}

/// An event with its place and its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Happening {
    /// The log that it belongs to.
    pub stream: Stream,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// To an incident.
    Incident(incident::Event),
    /// A diagnosis was made. Its stream is that of its incident.
    Diagnosed(Diagnosis),
    /// The samples around an incident, captured at opening. Their stream is that of the incident.
    Captured(Vec<CapturedSeries>),
    /// To the agent.
    System(SystemEvent),
}

/// The last samples of one series as they were when an incident opened.
#[derive(Debug, Clone, PartialEq)]
pub struct CapturedSeries {
    /// The signal.
    pub signal: SignalName,
    /// The labels, sorted by name.
    pub labels: Vec<(String, String)>,
    /// Times and values, oldest first.
    pub points: Vec<(Timestamp, f64)>,
}

/// What happened to the agent itself.
#[derive(Debug, Clone, PartialEq)]
pub enum SystemEvent {
    /// It started.
    Started {
        /// Its version.
        version: String,
        /// The SHA-256 of its settings without secrets, in hex.
        config_hash: String,
    },
    /// A series' baseline began anew although no incident held it.
    BaselineRestarted {
        /// The signal.
        signal: SignalName,
        /// The series as people read it.
        series: String,
        /// Why.
        restart: crate::detect::Restart,
    },
    /// Somebody let the baseline of a series begin anew.
    SeriesRebased(SeriesRebased),
    /// Most series of a signal stopped at once. Releases up to 0.1 wrote it; it is an incident about the source now.
    SourceDegraded {
        /// The signal.
        signal: SignalName,
        /// How many series stopped.
        lost: usize,
        /// Of how many.
        tracked: usize,
    },
    /// Another config is in force.
    ConfigReloaded(ConfigChange),
    /// A config was refused; the one before it stays in force.
    ReloadFailed {
        /// The hash of the config that stays.
        config_hash: String,
        /// Everything that is wrong with the other one, a line each; bounded.
        because: String,
    },
    /// A signal has not been answered for `source_lost_after`, while the backend answers others or refuses this one.
    SignalUnanswered {
        /// The signal.
        signal: SignalName,
        /// The first slot that failed.
        since: Timestamp,
        /// Whose fault it is.
        failure: Failure,
        /// The last failure, at most 300 characters.
        because: String,
    },
    /// A signal of which that was told is answered again.
    SignalAnswered {
        /// The signal.
        signal: SignalName,
        /// The first slot that had failed.
        since: Timestamp,
    },
    /// Steps that no sample was judged at: with these, what is judged of a signal has no hole that is not told.
    StepsNotJudged {
        /// The signal.
        signal: SignalName,
        /// The first step.
        from: Timestamp,
        /// The last step.
        to: Timestamp,
        /// Why.
        because: NotJudged,
    },
}

/// A baseline that began anew since somebody wanted that.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesRebased {
    /// Which series.
    pub key: Arc<SeriesKey>,
    /// The first sample of the new baseline.
    pub since: Timestamp,
    /// The last sample that there was: what comes later is judged by the new baseline.
    pub at: Timestamp,
    /// The expected value before.
    pub from: f64,
    /// The mean of the samples from `since` on.
    pub to: f64,
    /// Who wanted it.
    pub by: String,
    /// Why, in their words.
    pub comment: String,
}

impl SeriesRebased {
    /// What detection is told again where it reads this history anew.
    pub fn directive(&self) -> Directive {
        Directive::Rebase { key: Arc::clone(&self.key), since: self.since, at: self.at }
    }
}

/// What differs between two configs, without any value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigChange {
    /// The SHA-256 of the settings that were in force, without secrets, in hex.
    pub hash_before: String,
    /// The SHA-256 of those that are in force now.
    pub config_hash: String,
    /// Signals that were not there before, in the order of the config.
    pub added: Vec<SignalName>,
    /// Signals that are not there any more.
    pub removed: Vec<SignalName>,
    /// Signals that are asked or judged in another way.
    pub changed: Vec<SignalName>,
    /// The other sections in which something changed, sorted.
    pub sections: Vec<String>,
}

/// Why no sample was judged at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotJudged {
    /// The backend was not asked for it: it lay too far back, or the clock jumped.
    NotAsked,
    /// The answer had no sample of any series at it.
    NoSamples,
    /// The backend itself took no samples then, or few: what there is, is unsettled.
    SourceGap,
}

impl NotJudged {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::NotAsked, Self::NoSamples, Self::SourceGap];

    /// The word for it in log and store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotAsked => "not_asked",
            Self::NoSamples => "no_samples",
            Self::SourceGap => "source_gap",
        }
    }
}

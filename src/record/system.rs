//! The wire form of what happens to the agent itself.

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::event::{Body, Encoded, write};
use super::member::RestartWire;
use super::scalar::{millis, signal};
use super::words::{FailureWire, NotJudgedWire};
use crate::detect::Restart;
use crate::engine::{Failure, NotJudged, SystemEvent};
use crate::series::SignalName;
use crate::time::Timestamp;

pub(super) const STARTED: &str = "system.started";
pub(super) const BASELINE_RESTARTED: &str = "system.baseline_restarted";
pub(super) const SOURCE_DEGRADED: &str = "system.source_degraded";
pub(super) const SIGNAL_UNANSWERED: &str = "system.signal_unanswered";
pub(super) const SIGNAL_ANSWERED: &str = "system.signal_answered";
pub(super) const STEPS_NOT_JUDGED: &str = "system.steps_not_judged";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Started {
    version: String,
    config_hash: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineRestarted {
    #[serde(with = "signal")]
    signal: SignalName,
    series: String,
    #[serde(with = "RestartWire")]
    restart: Restart,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceDegraded {
    #[serde(with = "signal")]
    signal: SignalName,
    lost: usize,
    tracked: usize,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalUnanswered {
    #[serde(with = "signal")]
    signal: SignalName,
    #[serde(with = "millis", rename = "since_ms")]
    since: Timestamp,
    #[serde(with = "FailureWire")]
    failure: Failure,
    because: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignalAnswered {
    #[serde(with = "signal")]
    signal: SignalName,
    #[serde(with = "millis", rename = "since_ms")]
    since: Timestamp,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepsNotJudged {
    #[serde(with = "signal")]
    signal: SignalName,
    #[serde(with = "millis", rename = "from_ms")]
    from: Timestamp,
    #[serde(with = "millis", rename = "to_ms")]
    to: Timestamp,
    #[serde(with = "NotJudgedWire")]
    because: NotJudged,
}

pub(super) fn encode(event: &SystemEvent) -> Result<Encoded, RecordError> {
    match event.clone() {
        SystemEvent::Started { version, config_hash } => write(STARTED, &Started { version, config_hash }),
        SystemEvent::BaselineRestarted { signal, series, restart } => {
            write(BASELINE_RESTARTED, &BaselineRestarted { signal, series, restart })
        }
        SystemEvent::SourceDegraded { signal, lost, tracked } => {
            write(SOURCE_DEGRADED, &SourceDegraded { signal, lost, tracked })
        }
        SystemEvent::SignalUnanswered { signal, since, failure, because } => {
            write(SIGNAL_UNANSWERED, &SignalUnanswered { signal, since, failure, because })
        }
        SystemEvent::SignalAnswered { signal, since } => {
            write(SIGNAL_ANSWERED, &SignalAnswered { signal, since })
        }
        SystemEvent::StepsNotJudged { signal, from, to, because } => {
            write(STEPS_NOT_JUDGED, &StepsNotJudged { signal, from, to, because })
        }
    }
}

pub(super) fn decode(body: &Body<'_>) -> Result<SystemEvent, RecordError> {
    match body.kind {
        STARTED => {
            let Started { version, config_hash } = body.read()?;
            Ok(SystemEvent::Started { version, config_hash })
        }
        BASELINE_RESTARTED => {
            let BaselineRestarted { signal, series, restart } = body.read()?;
            Ok(SystemEvent::BaselineRestarted { signal, series, restart })
        }
        SOURCE_DEGRADED => {
            let SourceDegraded { signal, lost, tracked } = body.read()?;
            Ok(SystemEvent::SourceDegraded { signal, lost, tracked })
        }
        SIGNAL_UNANSWERED => {
            let SignalUnanswered { signal, since, failure, because } = body.read()?;
            Ok(SystemEvent::SignalUnanswered { signal, since, failure, because })
        }
        SIGNAL_ANSWERED => {
            let SignalAnswered { signal, since } = body.read()?;
            Ok(SystemEvent::SignalAnswered { signal, since })
        }
        STEPS_NOT_JUDGED => {
            let StepsNotJudged { signal, from, to, because } = body.read()?;
            Ok(SystemEvent::StepsNotJudged { signal, from, to, because })
        }
        other => Err(RecordError::UnknownKind { kind: other.to_owned(), version: body.version }),
    }
}

//! The wire form of what happens to the agent itself.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::event::{Body, Encoded, write};
use super::member::{RestartWire, key};
use super::scalar::{finite, millis, signal};
use super::words::{FailureWire, NotJudgedWire};
use crate::detect::Restart;
use crate::engine::{ConfigChange, Failure, NotJudged, SeriesRebased, SystemEvent};
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

pub(super) const STARTED: &str = "system.started";
pub(super) const BASELINE_RESTARTED: &str = "system.baseline_restarted";
pub(super) const SERIES_REBASED: &str = "system.series_rebased";
pub(super) const SOURCE_DEGRADED: &str = "system.source_degraded";
pub(super) const CONFIG_RELOADED: &str = "system.config_reloaded";
pub(super) const RELOAD_FAILED: &str = "system.reload_failed";
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
#[serde(remote = "SeriesRebased", deny_unknown_fields)]
struct SeriesRebasedWire {
    #[serde(with = "key", rename = "series")]
    key: Arc<SeriesKey>,
    #[serde(with = "millis", rename = "since_ms")]
    since: Timestamp,
    #[serde(with = "millis", rename = "at_ms")]
    at: Timestamp,
    #[serde(with = "finite")]
    from: f64,
    #[serde(with = "finite")]
    to: f64,
    by: String,
    comment: String,
}

/// What is read and written whole needs a type around the mirror.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Rebased(#[serde(with = "SeriesRebasedWire")] SeriesRebased);

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
struct ConfigReloaded {
    config_hash_before: String,
    config_hash: String,
    signals_added: Vec<String>,
    signals_removed: Vec<String>,
    signals_changed: Vec<String>,
    sections_changed: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReloadFailed {
    config_hash: String,
    because: String,
}

impl From<ConfigChange> for ConfigReloaded {
    fn from(change: ConfigChange) -> Self {
        let names = |signals: Vec<SignalName>| signals.iter().map(ToString::to_string).collect();
        Self {
            config_hash_before: change.hash_before,
            config_hash: change.config_hash,
            signals_added: names(change.added),
            signals_removed: names(change.removed),
            signals_changed: names(change.changed),
            sections_changed: change.sections,
        }
    }
}

impl From<ConfigReloaded> for ConfigChange {
    fn from(body: ConfigReloaded) -> Self {
        let signals = |names: Vec<String>| names.iter().map(|name| SignalName::new(name)).collect();
        Self {
            hash_before: body.config_hash_before,
            config_hash: body.config_hash,
            added: signals(body.signals_added),
            removed: signals(body.signals_removed),
            changed: signals(body.signals_changed),
            sections: body.sections_changed,
        }
    }
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
        SystemEvent::SeriesRebased(rebased) => write(SERIES_REBASED, &Rebased(rebased)),
        SystemEvent::SourceDegraded { signal, lost, tracked } => {
            write(SOURCE_DEGRADED, &SourceDegraded { signal, lost, tracked })
        }
        SystemEvent::ConfigReloaded(change) => write(CONFIG_RELOADED, &ConfigReloaded::from(change)),
        SystemEvent::ReloadFailed { config_hash, because } => {
            write(RELOAD_FAILED, &ReloadFailed { config_hash, because })
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
        SERIES_REBASED => Ok(SystemEvent::SeriesRebased(body.read::<Rebased>()?.0)),
        CONFIG_RELOADED => Ok(SystemEvent::ConfigReloaded(body.read::<ConfigReloaded>()?.into())),
        RELOAD_FAILED => {
            let ReloadFailed { config_hash, because } = body.read()?;
            Ok(SystemEvent::ReloadFailed { config_hash, because })
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

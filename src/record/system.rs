//! The wire form of what happens to the agent itself.

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::event::{Body, Encoded, write};
use super::member::RestartWire;
use super::scalar::signal;
use crate::detect::Restart;
use crate::engine::SystemEvent;
use crate::series::SignalName;

pub(super) const STARTED: &str = "system.started";
pub(super) const BASELINE_RESTARTED: &str = "system.baseline_restarted";
pub(super) const SOURCE_DEGRADED: &str = "system.source_degraded";

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

pub(super) fn encode(event: &SystemEvent) -> Result<Encoded, RecordError> {
    match event.clone() {
        SystemEvent::Started { version, config_hash } => write(STARTED, &Started { version, config_hash }),
        SystemEvent::BaselineRestarted { signal, series, restart } => {
            write(BASELINE_RESTARTED, &BaselineRestarted { signal, series, restart })
        }
        SystemEvent::SourceDegraded { signal, lost, tracked } => {
            write(SOURCE_DEGRADED, &SourceDegraded { signal, lost, tracked })
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
        other => Err(RecordError::UnknownKind { kind: other.to_owned(), version: body.version }),
    }
}

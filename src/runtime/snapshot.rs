//! The state of detection on disk: written beside the store at a stop and every so often, read at a start.
//!
//! It only spares reading history. Whatever is wrong with it, the agent starts as it would without: from what the backend
//! still has.

mod file;
mod keeper;
mod metrics;
mod reading;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub(super) use self::keeper::Keeper;
pub(super) use self::metrics::SnapshotMetrics;
pub(super) use self::reading::{Begin, resume};
use super::start::Polled;
use crate::id::{Digest, Fingerprint};
use crate::series::SignalName;
use crate::store::Store;
use crate::time::Timestamp;

/// Whether state is kept over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotSettings {
    /// Whether it is written, and read at a start.
    pub is_on: bool,
    /// How often it is written while the agent runs.
    pub interval: Duration,
}

/// What each signal asks, as a hash: state that was learnt from another query, or with series named in another way, is
/// that of other series.
pub(super) type Asked = BTreeMap<SignalName, Fingerprint>;

/// What the signals ask.
pub(super) fn asked(signals: &[Polled]) -> Asked {
    let of = |polled: &Polled| {
        let (promql, labels) = (polled.query.promql.as_bytes(), polled.query.service_label.to_string());
        (polled.query.signal.clone(), Fingerprint::of(&[b"query", promql, labels.as_bytes()]))
    };
    signals.iter().map(of).collect()
}

/// Where the state of a store's agent is.
pub(super) fn path_of(store: &Store) -> PathBuf {
    let mut path = store.file().as_os_str().to_owned();
    path.push(".snapshot");
    PathBuf::from(path)
}

/// What a file begins with.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Cover {
    /// When it was written, by the agent's clock.
    at: Timestamp,
    /// By which version of the agent.
    version: String,
    /// The end of the log that it belongs to: the last event's number and hash.
    log: (i64, [u8; 32]),
    /// What each signal asked.
    asked: Vec<(String, Fingerprint)>,
}

impl Cover {
    fn log(&self) -> (i64, Digest) {
        (self.log.0, Digest::from_bytes(self.log.1))
    }
}

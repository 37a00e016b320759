//! What is told of the state on disk.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Registry;
use crate::time::Timestamp;

type Float = Gauge<f64, AtomicU64>;

/// What is told of the state on disk. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub(in crate::runtime) struct SnapshotMetrics {
    bytes: Gauge,
    written_at: Float,
    write_seconds: Float,
    hold_seconds: Float,
    failures: Counter,
    resumed: Gauge,
}

impl SnapshotMetrics {
    pub(in crate::runtime) fn register(&self, to: &mut Registry) {
        to.register(
            "snapshot_size_bytes",
            "Size of the last snapshot of detection's state",
            self.bytes.clone(),
        );
        to.register(
            "snapshot_last_success_timestamp_seconds",
            "When the last snapshot was written; 0 before the first",
            self.written_at.clone(),
        );
        to.register(
            "snapshot_write_duration_seconds",
            "Real time from the beginning of the last snapshot until it was on disk",
            self.write_seconds.clone(),
        );
        to.register(
            "snapshot_hold_duration_seconds",
            "Real time for which the last snapshot held up the engine",
            self.hold_seconds.clone(),
        );
        to.register("snapshot_failures", "Snapshots that could not be written", self.failures.clone());
        to.register(
            "snapshot_resumed_series",
            "Series whose state came from a snapshot at the start",
            self.resumed.clone(),
        );
    }

    pub(super) fn written(&self, bytes: u64, at: Timestamp, took: Duration) {
        self.bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.written_at.set(at.as_seconds());
        self.write_seconds.set(took.as_secs_f64());
    }

    pub(super) fn held(&self, took: Duration) {
        self.hold_seconds.set(took.as_secs_f64());
    }

    pub(super) fn failed(&self) {
        self.failures.inc();
    }

    pub(super) fn resumed(&self, series: usize) {
        self.resumed.set(i64::try_from(series).unwrap_or(i64::MAX));
    }
}

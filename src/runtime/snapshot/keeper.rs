//! Writes the state of the engine, at a stop and every so often.
//!
//! Between two commits the engine's state is what the log tells. It is turned into bytes on the engine's thread, a megabyte
//! at a time, and another thread writes these: memory holds a few of them, and the engine waits as long as it takes to make
//! and hand over all, but not for the disk to have them for good.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::{debug, warn};

use super::file::Writing;
use super::{Asked, Cover, SnapshotMetrics, SnapshotSettings};
use crate::engine::Engine;
use crate::id::Digest;
use crate::runtime::clock::Clock;
use crate::time::Timestamp;

/// So many frames wait for the disk at most.
const FRAMES_WAITING_MAX: usize = 4;
/// A stop waits so long for the disk at most; what is not written by then is left, and the file of before stays.
const STOP_WAIT: Duration = Duration::from_secs(8);

/// Keeps the state of one agent on disk.
#[derive(Debug)]
pub(in crate::runtime) struct Keeper {
    pub(in crate::runtime) settings: SnapshotSettings,
    pub(in crate::runtime) asked: Asked,
    pub(in crate::runtime) path: PathBuf,
    pub(in crate::runtime) version: String,
    pub(in crate::runtime) metrics: SnapshotMetrics,
    pub(in crate::runtime) clock: Clock,
    /// When the last one was begun; the first is due an interval after the start.
    pub(in crate::runtime) begun_at: Timestamp,
    /// Says when the file is written, or will not be.
    pub(in crate::runtime) writing: Option<Receiver<()>>,
}

impl Keeper {
    /// Whether one is to be written: none is being written, and the last one is old enough.
    pub(in crate::runtime) fn is_due(&mut self) -> bool {
        if self
            .writing
            .as_ref()
            .is_some_and(|end| end.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty))
        {
            return false;
        }
        self.writing = None;
        self.settings.is_on && self.clock.now().since(self.begun_at) >= self.settings.interval
    }

    /// Writes the state of an engine of which all is committed, up to this end of the log.
    pub(in crate::runtime) fn write(&mut self, engine: &Engine, log: (i64, Digest)) {
        self.write_within(Duration::MAX, engine, log);
    }

    /// Gives it up where it takes longer, in real time: the file of before stays.
    fn write_within(&mut self, limit: Duration, engine: &Engine, log: (i64, Digest)) {
        let Some(frames) = engine.snapshot() else { return };
        self.begun_at = self.clock.now();
        let asked = self.asked.iter().map(|(signal, asked)| (signal.to_string(), *asked)).collect();
        let log = (log.0, *log.1.as_bytes());
        let cover = Cover { at: self.begun_at, version: self.version.clone(), log, asked };
        let cover = postcard::to_stdvec(&cover).unwrap_or_default();
        let (sender, taken) = sync_channel(FRAMES_WAITING_MAX);
        if !self.begin(taken) {
            return;
        }
        let (clock, begun_at) = (self.clock.clone(), self.begun_at);
        let is_in_time = |_: &Vec<u8>| real(&clock, begun_at) < limit;
        if hand_over(std::iter::once(cover).chain(frames).take_while(is_in_time), &sender)
            && real(&clock, begun_at) < limit
        {
            // Nothing more: what was handed over is whole.
            let _ = sender.send(Vec::new());
        }
        self.metrics.held(real(&self.clock, self.begun_at));
    }

    /// Writes the last one and waits until it is on disk, but not for ever.
    pub(in crate::runtime) fn write_last(&mut self, engine: &Engine, log: (i64, Digest)) {
        let begun_at = self.clock.now();
        let left = |clock: &Clock| STOP_WAIT.saturating_sub(real(clock, begun_at));
        if self.settings.is_on && self.has_ended(STOP_WAIT) {
            self.write_within(left(&self.clock), engine, log);
            self.has_ended(left(&self.clock));
        }
    }

    /// Waits until nothing is being written, for so long at most, and says whether that is so.
    fn has_ended(&mut self, wait: Duration) -> bool {
        let Some(end) = self.writing.take() else { return true };
        let has_ended = end.recv_timeout(wait) != Err(std::sync::mpsc::RecvTimeoutError::Timeout);
        if !has_ended {
            warn!("the snapshot of detection's state takes too long to write; the one before stays");
        }
        has_ended
    }

    /// Begins a thread that writes what it takes.
    fn begin(&mut self, taken: Receiver<Vec<u8>>) -> bool {
        let (ended, end) = sync_channel(1);
        let (path, metrics, clock, at) =
            (self.path.clone(), self.metrics.clone(), self.clock.clone(), self.begun_at);
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            match write_all(&path, &taken) {
                Ok(bytes) => {
                    metrics.written(bytes, at, real(&clock, at));
                    debug!("wrote the state of detection to {}: {bytes} bytes", path.display());
                }
                Err(error) => {
                    metrics.failed();
                    warn!("the state of detection cannot be written to {}: {error}", path.display());
                }
            }
            let _ = ended.send(());
        });
        if let Err(error) = &thread {
            self.metrics.failed();
            warn!("no thread to write the state of detection: {error}");
        }
        self.writing = Some(end);
        thread.is_ok()
    }
}

/// Hands frames over; says whether all were taken.
fn hand_over(frames: impl Iterator<Item = Vec<u8>>, to: &SyncSender<Vec<u8>>) -> bool {
    for frame in frames {
        // An empty frame is one that could not be made; whoever writes has ended where the disk takes nothing.
        if frame.is_empty() || to.send(frame).is_err() {
            return false;
        }
    }
    true
}

fn write_all(path: &std::path::Path, frames: &Receiver<Vec<u8>>) -> std::io::Result<u64> {
    let mut writing = Writing::begin(path)?;
    for frame in frames {
        if frame.is_empty() {
            return writing.finish();
        }
        writing.frame(&frame)?;
    }
    Err(std::io::Error::other("it was given up half-way"))
}

fn real(clock: &Clock, since: Timestamp) -> Duration {
    clock.now().since(since).div_f64(clock.speed())
}

//! The seasonal ladder as a detector of its own.
#![expect(clippy::indexing_slicing, reason = "a numeric kernel: every index is a row that was grown")]

use std::time::Duration;

use crate::detect::Opinion;
use crate::detect::detectors::Keep;
use crate::detect::season::{SeasonSettings, Seasons};
use crate::detect::settings::Settings;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use crate::time::Timestamp;

/// How far a sample lies from what is expected is smoothed over about so many.
const SMOOTHED: f64 = 8.0;

/// The seasons of a signal's series, and what is needed to move their level at once.
#[derive(Debug, Clone)]
pub(super) struct Seasonal {
    seasons: Seasons,
    step: Duration,
    /// The time of a row's last sample.
    last: Vec<Timestamp>,
    /// How far a row's last samples lay from what was expected.
    off: Vec<f64>,
}

impl Seasonal {
    pub(super) fn new(settings: &Settings, step: Duration) -> Self {
        let seasons = Seasons::new(&SeasonSettings::of(settings), step);
        Self { seasons, step, last: Vec::new(), off: Vec::new() }
    }

    pub(super) fn grow(&mut self) {
        self.seasons.grow();
        self.last.push(Timestamp::from_millis(0));
        self.off.push(0.0);
    }

    pub(super) fn forget(&mut self, row: usize) {
        self.seasons.forget(row);
        self.off[row] = 0.0;
    }

    /// Judges a sample and learns it, whatever comes of it: it takes several cycles that agree, so an outage is no habit.
    pub(super) fn judge(&mut self, row: usize, (at, value): (Timestamp, f64), sigma: f64) -> Option<Opinion> {
        let expected = self.seasons.expect(row, at);
        let _ = self.seasons.learn(row, at.as_millis(), value);
        self.last[row] = at;
        let expected = expected?;
        self.off[row] += (value - expected.value - self.off[row]) / SMOOTHED;
        Some(expected.judge(value, sigma))
    }

    /// Makes what the last samples lay off the level's own move.
    pub(super) fn rebase(&mut self, row: usize) {
        self.seasons.shift(row, self.off[row]);
        self.off[row] = 0.0;
    }

    /// What is expected of the next sample, as if it came; `None` while the row warms up.
    pub(super) fn next(&self, row: usize, sigma: f64) -> Option<Opinion> {
        let expected = self.seasons.expect(row, self.last[row].plus(self.step))?;
        Some(expected.judge(expected.value, sigma))
    }
}

impl Keep for Seasonal {
    fn keep(&self, row: usize, out: &mut Writer) {
        out.put(&(self.last[row], self.off[row]));
        self.seasons.keep(row, out);
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        (self.last[row], self.off[row]) = from.take()?;
        sound(self.off[row].is_finite(), "a row of seasonal")?;
        self.seasons.restore(row, from)
    }
}

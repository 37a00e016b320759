//! Drift: where the series has been for the last half hour, against the extremes of its own history.
//!
//! A leak is too slow for any comparison with the last minutes or hours, since they have leaked too. What it cannot hide
//! from is the history before it. Single samples say little there: the half hour speaks with its median of means, which
//! neither a spike nor a heavy tail moves.
#![expect(clippy::indexing_slicing, reason = "a numeric kernel: buckets are at most 15")]

use std::time::Duration;

use super::memory::{Floors, usable};
use super::range::{Range, RangeSettings};
use super::single::{Rows, Single};
use crate::detect::Opinion;

/// A block is the median of so many means at most.
const BUCKETS: usize = 15;
/// A block has no fewer samples.
pub const BLOCK_POINTS_MIN: usize = 6;

/// How [`Drift`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DriftSettings {
    /// What is judged as one: this time, and at least six samples.
    pub block: Duration,
    /// The range of blocks.
    pub range: RangeSettings,
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self { block: Duration::from_secs(1800), range: RangeSettings::default() }
    }
}

/// The block under way, and what was said of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct State {
    means: [f64; BUCKETS],
    sum: f64,
    count: u32,
    /// Whether a sample of the block belongs to an anomaly.
    is_tainted: bool,
    /// The level of a block that has just ended and is not learned yet.
    ended: Option<f64>,
    /// How far out the last block was.
    score: f64,
}

/// The block under way and the range of blocks of each row: 520 bytes a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// So many samples make a mean, and so many means a block.
    bucket: u32,
    buckets: u32,
    range: Range,
    rows: Rows<State>,
}

impl Drift {
    /// Makes the detector without rows, for series with a sample each `step`.
    pub fn new(settings: &DriftSettings, step: Duration) -> Self {
        let points = (settings.block.as_millis() / step.as_millis().max(1)).min(1 << 20) as usize;
        let points = points.max(BLOCK_POINTS_MIN);
        let bucket = points.div_ceil(BUCKETS);
        let buckets = points / bucket;
        let block = step.saturating_mul((bucket * buckets) as u32);
        let range = Range::new(&settings.range, block);
        Self { bucket: bucket as u32, buckets: buckets as u32, range, rows: Rows::default() }
    }

    /// Takes note that the sample that was judged last belongs to an anomaly: its block teaches nothing.
    pub fn leave_out(&mut self, row: usize) {
        let state = &mut self.rows[row];
        (state.is_tainted, state.ended) = (state.count > 0, None);
    }

    /// Adds the level of some samples to the history, which stays.
    pub fn extend(&mut self, row: usize, values: &[f64]) {
        let mut values: Vec<f64> = values.iter().filter_map(|value| usable(*value)).collect();
        if let Some(level) = median(&mut values) {
            self.range.learn(row, 0, level);
        }
        self.rows[row] = State::default();
    }
}

impl Single for Drift {
    fn grow(&mut self) {
        self.range.grow();
        self.rows.grow();
    }

    fn forget(&mut self, row: usize) {
        self.range.forget(row);
        self.rows.forget(row);
    }

    /// A sample is as far out as its own place and the last block's are, whichever is less: so an anomaly ends with what
    /// it is about, and not half an hour later.
    fn judge(&mut self, row: usize, at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let state = &mut self.rows[row];
        // Shares of each sample, so that no sum of large ones is infinite.
        state.sum += value / f64::from(self.bucket);
        state.count += 1;
        if state.count.is_multiple_of(self.bucket) {
            state.means[(state.count / self.bucket) as usize - 1] = state.sum;
            state.sum = 0.0;
        }
        if state.count >= self.bucket * self.buckets {
            let level = median(&mut state.means[..self.buckets as usize]);
            let judged = level.and_then(|level| self.range.judge(row, at_ms, level));
            state.score = judged.map_or(0.0, |opinion| opinion.score);
            state.ended = level.filter(|_| !state.is_tainted);
            (state.count, state.is_tainted) = (0, false);
        }
        let opinion = self.range.judge(row, at_ms, value)?;
        let tail = if state.score < 1.0 { 1.0 } else { opinion.tail };
        Some(Opinion { score: opinion.score.min(state.score), tail, ..opinion })
    }

    /// Learns a block with its last sample, where none of its samples belongs to an anomaly.
    fn learn(&mut self, row: usize, at_ms: i64, _value: f64) {
        if let Some(level) = self.rows[row].ended.take() {
            self.range.learn(row, at_ms, level);
        }
    }

    fn rebase(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        for value in values {
            let _ = self.judge(row, 0, *value);
            self.learn(row, 0, *value);
        }
    }

    fn tune(&mut self, sigma: f64, floors: Floors) {
        self.range.tune(sigma, floors);
    }

    /// How many blocks are learned.
    fn held(&self, row: usize) -> usize {
        self.range.held(row)
    }

    fn band(&self, row: usize) -> Option<(f64, f64, f64)> {
        self.range.band(row)
    }
}

/// The middle one of some values; of an even number, the upper of the two. Leaves them in another order.
fn median(values: &mut [f64]) -> Option<f64> {
    let middle = values.len() / 2;
    if values.is_empty() {
        return None;
    }
    Some(*values.select_nth_unstable_by(middle, f64::total_cmp).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn noise(seed: u64) -> impl Iterator<Item = f64> {
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        std::iter::repeat_with(move || {
            mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (mixed >> 11) as f64 / (1_u64 << 53) as f64 - 0.5
        })
    }

    /// Feeds values, learning what is inside; gives the places of those that are outside.
    fn outside(drift: &mut Drift, values: impl Iterator<Item = f64>) -> Vec<usize> {
        let mut found = Vec::new();
        for (nth, value) in values.enumerate() {
            let is_outside = drift.judge(0, 0, value).is_some_and(|opinion| opinion.is_outside());
            if is_outside {
                drift.leave_out(0);
                found.push(nth);
            } else {
                drift.learn(0, 0, value);
            }
        }
        found
    }

    fn two_days(step: Duration) -> Drift {
        let mut drift = Drift::new(&DriftSettings::default(), step);
        drift.grow();
        let count = 2 * 86_400 / step.as_secs() as usize;
        assert!(outside(&mut drift, noise(1).take(count).map(|noise| 100.0 + noise)).is_empty());
        drift
    }

    #[test]
    fn a_leak_of_a_fifth_in_six_hours_is_found_within_three() {
        for step in [15, 60, 300].map(Duration::from_secs) {
            let count = 6 * 3600 / step.as_secs() as usize;
            let leak = noise(2).take(count).enumerate();
            let leak = leak.map(|(nth, noise)| 100.0 * (1.0 + 0.2 * nth as f64 / count as f64) + noise);
            let found = outside(&mut two_days(step), leak);
            assert!(found.first().is_some_and(|first| *first < count / 2), "{step:?}: {:?}", found.first());
        }
    }

    #[test]
    fn neither_a_spike_nor_a_quarter_of_an_hour_is_a_drift() {
        let spikes = noise(3).take(3000).enumerate();
        let spikes = spikes.map(|(nth, noise)| noise + if nth % 50 < 10 { 1e6 } else { 100.0 });
        assert!(outside(&mut two_days(MINUTE), spikes).is_empty());
    }

    #[test]
    fn what_is_over_is_inside_at_once() {
        let mut drift = two_days(MINUTE);
        assert!(!outside(&mut drift, noise(4).take(120).map(|noise| 150.0 + noise)).is_empty());
        assert!(outside(&mut drift, noise(5).take(300).map(|noise| 100.0 + noise)).is_empty());
    }

    #[test]
    fn a_wave_is_inside_once_it_was_seen() {
        let wave = |nth: usize| 100.0 + 50.0 * (nth as f64 * std::f64::consts::TAU / 1440.0).sin();
        let values = noise(6).take(1440 * 10).enumerate().map(|(nth, noise)| wave(nth) + noise);
        let mut drift = Drift::new(&DriftSettings::default(), MINUTE);
        drift.grow();
        assert!(outside(&mut drift, values).is_empty());
    }

    #[test]
    fn steady_growth_is_a_habit() {
        let values =
            noise(7).take(1440 * 10).enumerate().map(|(nth, noise)| 100.0 + 0.02 * nth as f64 + noise);
        let mut drift = Drift::new(&DriftSettings::default(), MINUTE);
        drift.grow();
        assert!(outside(&mut drift, values).is_empty());
    }
}

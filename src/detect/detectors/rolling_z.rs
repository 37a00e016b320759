//! Rolling z-score: the sample against the mean and the standard deviation of the last so many.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row that the caller has grown"
)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::edge::Edges;
use super::memory::{Floors, Memory, usable};
use super::single::{Keep, Rows, Single};
use crate::detect::Opinion;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

/// A row holds at most so many samples of 8 bytes.
const POINTS_MAX: usize = 1440;

/// When so little is left of the largest sum of squares since the sums were last taken afresh, rounding has eaten half
/// of its digits, and they are taken afresh.
const CANCELLED: f64 = 1e-6;

/// After so many turns of the ring the sums are taken afresh in any case: what each update rounds adds up.
const LAPS: u16 = 8;

/// How [`RollingZ`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RollingZSettings {
    /// The window. 8 to 1,440 points.
    pub memory: Memory,
    /// It says nothing before it has so many samples. 3 to the memory's points.
    pub min_points: usize,
    /// The edge of the band: as improbable as so many standard deviations in a normal distribution. 1 to 10.
    pub sigma: f64,
    /// What the deviation never falls below.
    pub floors: Floors,
}

impl Default for RollingZSettings {
    fn default() -> Self {
        Self { memory: Memory::default(), min_points: 20, sigma: 4.0, floors: Floors::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sums {
    mean: f64,
    /// The sum of the squared deviations from the mean.
    squares: f64,
    /// The largest that `squares` was since it was last taken afresh.
    largest: f64,
    count: u32,
    /// The place of the next sample in the ring: the oldest one, where the ring is full.
    next: u16,
    /// How many times the ring went round since the sums were last taken afresh.
    laps: u16,
}

/// The windows of all rows: 8 bytes a sample and 32 a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RollingZ {
    floors: Floors,
    min_points: u32,
    edges: Edges,
    sums: Rows<Sums>,
    /// For each place in the rings, the sample of every row. Series that are polled together stand at the same place, so
    /// that a poll reads and writes memory from front to back.
    values: Vec<Vec<f64>>,
}

impl RollingZ {
    /// Makes the detector without rows, for series with a sample each `step`.
    pub fn new(settings: &RollingZSettings, step: Duration) -> Self {
        let points = settings.memory.points_at(step, POINTS_MAX);
        let edges = Edges::new(settings.sigma, points, |count| {
            let n = (count as f64).max(2.0);
            // The mean of `n` is uncertain too.
            (n - 1.0, (1.0 + 1.0 / n).sqrt())
        });
        let min_points = settings.min_points.clamp(3, points) as u32;
        Self {
            floors: settings.floors,
            min_points,
            edges,
            sums: Rows::default(),
            values: vec![Vec::new(); points],
        }
    }

    /// The standard deviation of a row, raised to the floors.
    fn scale(&self, sums: &Sums) -> f64 {
        self.floors.hold((sums.squares / f64::from(sums.count - 1)).sqrt(), sums.mean)
    }

    /// Takes mean and squares of the ring in two passes.
    #[cold]
    #[inline(never)]
    fn take_afresh(&mut self, row: usize) {
        let sums = &mut self.sums[row];
        let window = || self.values[..sums.count as usize].iter().map(|place| place[row]);
        let n = f64::from(sums.count);
        let rough = window().sum::<f64>() / n;
        // A pass over what is left takes the rounding of the first one out.
        let mean = rough + window().map(|value| value - rough).sum::<f64>() / n;
        let squares: f64 = window().map(|value| (value - mean) * (value - mean)).sum();
        (sums.mean, sums.squares, sums.largest, sums.laps) = (mean, squares, squares, 0);
    }
}

impl Single for RollingZ {
    fn grow(&mut self) {
        self.sums.grow();
        self.values.iter_mut().for_each(|place| place.push(0.0));
    }

    fn forget(&mut self, row: usize) {
        self.sums.forget(row);
    }

    #[inline]
    fn judge(&mut self, row: usize, _at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let sums = self.sums[row];
        if sums.count < self.min_points {
            return None;
        }
        Some(self.edges.opinion(value, sums.mean, self.scale(&sums), sums.count as usize))
    }

    #[inline]
    fn learn(&mut self, row: usize, _at_ms: i64, value: f64) {
        let Some(value) = usable(value) else { return };
        let points = self.values.len();
        let sums = &mut self.sums[row];
        let oldest = std::mem::replace(&mut self.values[usize::from(sums.next)][row], value);
        sums.next += 1;
        if usize::from(sums.next) == points {
            (sums.next, sums.laps) = (0, sums.laps + 1);
        }
        if (sums.count as usize) < points {
            // Welford 1962.
            sums.count += 1;
            let deviation = value - sums.mean;
            sums.mean += deviation / f64::from(sums.count);
            sums.squares += deviation * (value - sums.mean);
        } else {
            let (change, before) = (value - oldest, sums.mean);
            sums.mean += change / points as f64;
            sums.squares += change * ((value - sums.mean) + (oldest - before));
        }
        sums.largest = if sums.squares > sums.largest { sums.squares } else { sums.largest };
        if sums.laps >= LAPS || sums.squares < CANCELLED * sums.largest {
            self.take_afresh(row);
        }
    }

    fn tune(&mut self, sigma: f64, floors: Floors) {
        self.floors = floors;
        self.edges.move_to(sigma);
    }

    fn held(&self, row: usize) -> usize {
        self.sums[row].count as usize
    }

    fn band(&self, row: usize) -> Option<(f64, f64, f64)> {
        let sums = &self.sums[row];
        let is_warm = sums.count >= self.min_points;
        is_warm.then(|| self.edges.band(sums.mean, self.scale(sums), sums.count as usize))
    }
}

impl Keep for RollingZ {
    fn keep(&self, row: usize, out: &mut Writer) {
        let sums = &self.sums[row];
        out.put(sums);
        out.put_all(self.values[..sums.count as usize].iter().map(|place| place[row]));
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let (sums, points): (Sums, usize) = (from.take()?, self.values.len());
        let held = sums.count as usize;
        let is_next =
            if held < points { usize::from(sums.next) == held } else { usize::from(sums.next) < points };
        let figures = [sums.mean, sums.squares, sums.largest];
        let is_finite = figures.iter().all(|figure| figure.is_finite());
        sound(held <= points && is_next && is_finite && sums.laps < LAPS, "a row of rolling_z")?;
        sound(from.take::<usize>()? == held, "a window of another length")?;
        for place in &mut self.values[..held] {
            place[row] = from.take()?;
            sound(place[row].is_finite(), "a sample that is no number")?;
        }
        self.sums[row] = sums;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn empty() -> RollingZ {
        let mut rolling = RollingZ::new(&RollingZSettings::default(), Duration::from_secs(60));
        rolling.grow();
        rolling
    }

    #[test]
    fn sums_do_not_drift_and_survive_an_outlier() {
        let mut rolling = empty();
        let mut all = Vec::new();
        for nth in 0..20_000_u32 {
            let wobble = f64::from(nth.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
            let value = if nth == 10_000 { 1e150 } else { 1e9 + wobble };
            all.push(value);
            rolling.learn(0, 0, value);
            if nth > 300 {
                let window = &all[all.len() - 240..];
                let mean = 1e9 + window.iter().map(|value| value - 1e9).sum::<f64>() / 240.0;
                let squares: f64 = window.iter().map(|value| (value - mean).powi(2)).sum();
                let found = rolling.sums[0].squares;
                assert!((found / squares - 1.0).abs() < 1e-4, "{nth}: {found} for {squares}");
            }
        }
    }

    proptest! {
        #[test]
        fn the_sums_are_those_of_the_window(values in proptest::collection::vec(-1e3_f64..1e3, 9..900)) {
            let mut rolling = empty();
            values.iter().for_each(|value| rolling.learn(0, 0, *value));
            let window = &values[values.len().saturating_sub(240)..];
            let mean = window.iter().sum::<f64>() / window.len() as f64;
            let squares: f64 = window.iter().map(|value| (value - mean).powi(2)).sum();
            prop_assert!((rolling.sums[0].mean - mean).abs() < 1e-9);
            prop_assert!((rolling.sums[0].squares - squares).abs() <= 1e-9 * squares);
        }
    }
}

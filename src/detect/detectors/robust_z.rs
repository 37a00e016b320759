//! Robust z-score: the sample against the median and the median absolute deviation (MAD) of the last so many.
//!
//! Half of the window may be wrong and the band still stands. A row keeps its window sorted, so that the median is a
//! look-up, the MAD is a step or two from where it was, and learning moves a few hundred bytes.
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

/// A place in the order of arrival is a byte, and a row stays near 2 kB.
const POINTS_MAX: usize = 240;

/// The MAD of a normal distribution is its standard deviation over this: 1 / Φ⁻¹(3/4).
const MAD_TO_DEVIATION: f64 = 1.482_602_218_505_602;
/// The mean absolute deviation likewise: √(π/2).
const MEAN_TO_DEVIATION: f64 = 1.253_314_137_315_500_3;
/// The variance of the MAD as an estimate is that of a standard deviation from so many fewer samples (Rousseeuw and Croux
/// 1993: an efficiency of 37 %).
const MAD_EFFICIENCY: f64 = 0.37;
/// Distances below this share of the window's range are rounding, not steps.
const SAME: f64 = 1e-9;

/// How [`RobustZ`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RobustZSettings {
    /// The window. 8 to 240 points.
    pub memory: Memory,
    /// It says nothing before it has so many samples. 5 to the memory's points.
    pub min_points: usize,
    /// The edge of the band: as improbable as so many standard deviations in a normal distribution. 1 to 10.
    pub sigma: f64,
    /// What the scale never falls below.
    pub floors: Floors,
    /// Where more than half of the window is the same value, the scale is at least this share of the smallest step
    /// between two values in it. 0 to 2.
    pub floor_steps: f64,
}

impl Default for RobustZSettings {
    fn default() -> Self {
        Self {
            memory: Memory::default(),
            min_points: 20,
            sigma: 4.0,
            floors: Floors::default(),
            floor_steps: 0.5,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Centre {
    median: f64,
    /// In standard deviations, before the floors of the settings.
    scale: f64,
    count: u32,
    /// The place in the order of arrival of the next sample: the oldest one's, where the window is full.
    next: u16,
    /// Where the half of the window that is nearest to the median begins.
    nearest: u16,
}

/// The sorted windows of all rows: 9 bytes a sample and 24 a row.
#[derive(Debug, Clone, PartialEq)]
pub struct RobustZ {
    floors: Floors,
    floor_steps: f64,
    min_points: u32,
    edges: Edges,
    centres: Rows<Centre>,
    /// A row's window in rising order.
    sorted: Vec<f64>,
    /// For each place in the sorted window, the place of its sample in the order of arrival.
    arrivals: Vec<u8>,
}

impl RobustZ {
    /// Makes the detector without rows, for series with a sample each `step`.
    pub fn new(settings: &RobustZSettings, step: Duration) -> Self {
        let points = settings.memory.points_at(step, POINTS_MAX);
        let edges = Edges::new(settings.sigma, points, |count| {
            let n = (count as f64).max(3.0);
            // The variance of a median is π/2 of a mean's; small samples underrate the MAD (Croux and Rousseeuw 1992).
            let bias = n / (n - 0.8);
            let freedom = (MAD_EFFICIENCY * (n - 1.0)).max(1.0);
            (freedom, bias * (1.0 + std::f64::consts::FRAC_PI_2 / n).sqrt())
        });
        Self {
            floors: settings.floors,
            floor_steps: settings.floor_steps,
            min_points: settings.min_points.clamp(5, points) as u32,
            edges,
            centres: Rows::default(),
            sorted: Vec::new(),
            arrivals: Vec::new(),
        }
    }

    fn take(&mut self, row: usize, value: f64) {
        let points = self.edges.points();
        let centre = &mut self.centres[row];
        let sorted = &mut self.sorted[row * points..(row + 1) * points];
        let arrivals = &mut self.arrivals[row * points..(row + 1) * points];
        let (arrival, held) = (centre.next as u8, centre.count as usize);
        // Counting reads the window once from front to back: from cold memory, that is faster than bisection.
        let below = sorted[..held].iter().map(|other| u64::from(*other < value)).sum::<u64>() as usize;
        let place = if held < points {
            sorted.copy_within(below..held, below + 1);
            arrivals.copy_within(below..held, below + 1);
            centre.count += 1;
            below
        } else {
            let oldest = place_of(arrivals, arrival);
            if below > oldest {
                sorted.copy_within(oldest + 1..below, oldest);
                arrivals.copy_within(oldest + 1..below, oldest);
                below - 1
            } else {
                sorted.copy_within(below..oldest, below + 1);
                arrivals.copy_within(below..oldest, below + 1);
                below
            }
        };
        (sorted[place], arrivals[place]) = (value, arrival);
        centre.next = (centre.next + 1) % points as u16;
    }

    /// Takes the median and the scale of a row's window.
    fn measure(&mut self, row: usize) {
        let points = self.edges.points();
        let centre = &mut self.centres[row];
        let window = &self.sorted[row * points..row * points + centre.count as usize];
        centre.median = median_of(window);
        let nearest = nearest_half(window, centre.median, usize::from(centre.nearest));
        centre.nearest = nearest as u16;
        let deviation = median_deviation(window, centre.median, nearest);
        let range = window[window.len() - 1] - window[0];
        centre.scale = if deviation > SAME * range {
            MAD_TO_DEVIATION * deviation
        } else {
            scale_where_most_are_the_same(window, centre.median, range, self.floor_steps)
        };
    }
}

impl Single for RobustZ {
    fn grow(&mut self) {
        self.centres.grow();
        self.sorted.resize(self.centres.len() * self.edges.points(), 0.0);
        self.arrivals.resize(self.centres.len() * self.edges.points(), 0);
    }

    fn forget(&mut self, row: usize) {
        self.centres.forget(row);
    }

    #[inline]
    fn judge(&mut self, row: usize, _at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let Centre { median, scale, count, .. } = self.centres[row];
        if count < self.min_points {
            return None;
        }
        Some(self.edges.opinion(value, median, self.floors.hold(scale, median), count as usize))
    }

    fn learn(&mut self, row: usize, _at_ms: i64, value: f64) {
        if let Some(value) = usable(value) {
            self.take(row, value);
            self.measure(row);
        }
    }

    fn rebase(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        let last = values.len().saturating_sub(self.edges.points());
        values.iter().skip(last).filter_map(|value| usable(*value)).for_each(|value| self.take(row, value));
        if self.centres[row].count > 0 {
            self.measure(row);
        }
    }

    fn tune(&mut self, sigma: f64, floors: Floors) {
        self.floors = floors;
        self.edges.move_to(sigma);
    }

    fn held(&self, row: usize) -> usize {
        self.centres[row].count as usize
    }

    fn band(&self, row: usize) -> Option<(f64, f64, f64)> {
        let Centre { median, scale, count, .. } = self.centres[row];
        let is_warm = count >= self.min_points;
        is_warm.then(|| self.edges.band(median, self.floors.hold(scale, median), count as usize))
    }
}

impl Keep for RobustZ {
    fn keep(&self, row: usize, out: &mut Writer) {
        let (centre, from) = (&self.centres[row], row * self.edges.points());
        let held = centre.count as usize;
        out.put(centre);
        out.put_all(self.sorted[from..from + held].iter());
        out.put_all(self.arrivals[from..from + held].iter());
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let (centre, points): (Centre, usize) = (from.take()?, self.edges.points());
        let (held, begin) = (centre.count as usize, row * points);
        let is_next =
            if held < points { usize::from(centre.next) == held } else { usize::from(centre.next) < points };
        let is_finite = centre.median.is_finite() && centre.scale >= 0.0;
        sound(held <= points && is_next && is_finite, "a row of robust_z")?;
        let window = &mut self.sorted[begin..begin + held];
        from.fill(window)?;
        sound(window.is_sorted() && window.iter().all(|value| value.is_finite()), "a window out of order")?;
        let arrivals = &mut self.arrivals[begin..begin + held];
        from.fill(arrivals)?;
        let mut places = arrivals.to_vec();
        places.sort_unstable();
        let is_each = places.iter().enumerate().all(|(nth, place)| nth == usize::from(*place));
        sound(is_each, "samples that came at the same place")?;
        self.centres[row] = centre;
        Ok(())
    }
}

/// Where in the sorted window the sample with a place in the order of arrival is.
fn place_of(arrivals: &[u8], arrival: u8) -> usize {
    // In blocks, whose comparisons the compiler does all at once.
    let mut base = 0;
    for block in arrivals.chunks(32) {
        if block.iter().fold(false, |found, other| found | (*other == arrival)) {
            return base + block.iter().position(|other| *other == arrival).unwrap_or(0);
        }
        base += block.len();
    }
    debug_assert!(false, "every place of a full window is taken");
    0
}

fn median_of(window: &[f64]) -> f64 {
    let (middle, n) = (window.len() / 2, window.len());
    if n % 2 == 1 { window[middle] } else { 0.5 * window[middle - 1] + 0.5 * window[middle] }
}

/// Where the half of a sorted window that is nearest to its median begins; those samples stand side by side.
///
/// One sample comes and one goes at a time, so it is found a step or two from where it was. However far off `guess` is,
/// the walk ends at the right place.
fn nearest_half(window: &[f64], median: f64, guess: usize) -> usize {
    let k = window.len().div_ceil(2);
    let last = window.len() - k;
    // Whether the sample at the front of a half is further away than the one that would come in at its end.
    let is_further = |begin: usize| median - window[begin] > window[begin + k] - median;
    let mut begin = guess.min(last);
    while begin < last && is_further(begin) {
        begin += 1;
    }
    while begin > 0 && !is_further(begin - 1) {
        begin -= 1;
    }
    begin
}

/// The median of the distances from `median`, of a sorted window whose nearest half begins at `low`.
fn median_deviation(window: &[f64], median: f64, low: usize) -> f64 {
    let n = window.len();
    let k = n.div_ceil(2);
    let kth = (median - window[low]).max(window[low + k - 1] - median);
    if n % 2 == 1 {
        return kth;
    }
    let left = if low > 0 { median - window[low - 1] } else { f64::INFINITY };
    let right = if low + k < n { window[low + k] - median } else { f64::INFINITY };
    0.5 * kth + 0.5 * left.min(right)
}

/// The scale where the MAD is nothing since more than half of the window is one value: from the mean absolute deviation,
/// which sees the other half, and not below a share of the step in which the series moves.
fn scale_where_most_are_the_same(window: &[f64], median: f64, range: f64, floor_steps: f64) -> f64 {
    if range <= 0.0 {
        return 0.0;
    }
    let sum: f64 = window.iter().map(|value| (value - median).abs()).sum();
    let mean = MEAN_TO_DEVIATION * sum / window.len() as f64;
    let steps = window.windows(2).map(|pair| pair[1] - pair[0]).filter(|step| *step > SAME * range);
    mean.max(floor_steps * steps.fold(range, f64::min))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sorted(mut values: Vec<f64>) -> Vec<f64> {
        values.sort_by(f64::total_cmp);
        values
    }

    fn scale_of(values: &[f64]) -> f64 {
        let mut robust = RobustZ::new(&RobustZSettings::default(), Duration::from_secs(60));
        robust.grow();
        robust.rebase(0, values);
        robust.centres[0].scale
    }

    #[test]
    fn a_constant_has_no_scale_of_its_own() {
        assert_eq!(scale_of(&[7.0; 240]).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn where_most_are_the_same_a_step_counts() {
        let mut values = vec![0.0; 240];
        values[17] = 1.0;
        assert!((scale_of(&values) - 0.5).abs() < 1e-12);
        // Rounding is no step.
        values[18] = 1e-16;
        assert!((scale_of(&values) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn where_most_are_the_same_the_others_still_count() {
        let values: Vec<f64> = (0..240).map(|n| if n % 3 == 0 { 30.0 } else { 0.0 }).collect();
        assert!((scale_of(&values) - MEAN_TO_DEVIATION * 10.0).abs() < 15.0);
        assert!(scale_of(&values) >= MEAN_TO_DEVIATION * 10.0 - 1e-9);
    }

    proptest! {
        #[test]
        fn median_and_mad_are_those_of_the_window(
            values in proptest::collection::vec(-20_i32..20, 1..700),
            points in 8_usize..=240,
        ) {
            let memory = Memory { points, at_least: Duration::ZERO, at_most: Duration::MAX };
            let settings = RobustZSettings { memory, ..RobustZSettings::default() };
            let mut robust = RobustZ::new(&settings, Duration::from_secs(60));
            robust.grow();
            robust.grow();
            for (nth, value) in values.iter().enumerate() {
                robust.learn(1, 0, f64::from(*value));
                let held = &values[(nth + 1).saturating_sub(points)..=nth];
                let window = sorted(held.iter().map(|value| f64::from(*value)).collect());
                let centre = robust.centres[1];
                prop_assert_eq!(&robust.sorted[points..points + window.len()], &window[..]);
                let median = median_of(&window);
                let distances = sorted(window.iter().map(|value| (value - median).abs()).collect());
                let nearest = nearest_half(&window, median, usize::from(*value as u8));
                prop_assert_eq!(nearest, nearest_half(&window, median, 0));
                prop_assert!((median_deviation(&window, median, nearest) - median_of(&distances)).abs() < 1e-12);
                prop_assert!(nearest == usize::from(centre.nearest));
                prop_assert!((centre.median - median).abs() < 1e-12);
            }
        }
    }
}

//! Out of range: the sample against the extremes of the series' own history.
//!
//! The history is cut into blocks of which each leaves its largest and its smallest sample. The range is what they reach,
//! and some way on: as far as an exponential tail, fitted to the upper block maxima, makes probable.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: rows are grown by the caller, blocks are at most 16"
)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::memory::{Floors, usable};
use super::single::{Keep, Rows, Single};
use super::student::{digamma, normal_two_sided};
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use crate::detect::{Opinion, SCORE_MAX, Side};

const BLOCKS: usize = 16;
/// A tail is fitted to no fewer blocks.
const BLOCKS_MIN: usize = 4;
/// A block of fewer samples has no extreme to speak of.
const BLOCK_POINTS_MIN: u32 = 8;
/// From this score on the tail is computed; below it is not looked at.
const TAIL_FROM: f64 = 0.8;

/// Steps below this share of the range are rounding.
const SAME: f64 = 1e-9;

/// How [`Range`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RangeSettings {
    /// What is older than this is forgotten, in sixteenths. A day or more.
    pub memory: Duration,
    /// It says nothing before so many samples. 32 or more.
    pub min_points: usize,
    /// It says nothing before it has seen this time: a range without a day in it is no history. Zero or more.
    pub min_span: Duration,
    /// The edge: as improbable as so many standard deviations in a normal distribution. 1 to 10.
    pub sigma: f64,
    /// The range reaches at least `sigma` times this beyond the extremes.
    pub floors: Floors,
}

impl Default for RangeSettings {
    fn default() -> Self {
        Self {
            memory: Duration::from_secs(14 * 24 * 3600),
            min_points: 64,
            min_span: Duration::from_secs(24 * 3600),
            sigma: 4.0,
            floors: Floors::default(),
        }
    }
}

/// The extremes of the blocks, those of one side with its sign turned, so that both are maxima.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Extremes {
    blocks: [f64; BLOCKS],
    /// Where the tail begins, its scale times its degrees of freedom, and the edge.
    threshold: f64,
    spread: f64,
    edge: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct State {
    top: Extremes,
    bottom: Extremes,
    /// How many blocks were begun; the last one is being filled.
    begun: u32,
    filled: u32,
    block_points: u32,
    /// How many samples were learned.
    count: u32,
    /// The middle of the range.
    middle: f64,
    last: f64,
    /// The smallest step between neighbours so far, or nothing.
    step: f64,
}

/// What the fit needs to know of a number of full blocks.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Fit {
    /// How many of the upper block maxima are taken.
    taken: usize,
    /// How many samples lie above the last of them, on average, some blocks having several.
    above: f64,
    /// The sum of their distances from the last one, in scales of the tail, on average.
    distance: f64,
}

/// The block extremes of each row: 344 bytes a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    settings: RangeSettings,
    /// How long a block becomes, in samples.
    block_points: u32,
    min_points: u32,
    at_edge: f64,
    fits: [Fit; BLOCKS + 1],
    rows: Rows<State>,
}

impl Range {
    /// Makes the detector without rows, for series with a sample each `step`.
    pub fn new(settings: &RangeSettings, step: Duration) -> Self {
        let steps = |span: Duration| (span.as_millis() / step.as_millis().max(1)).min(1 << 30) as u32;
        let least = (settings.min_points as u32).max(BLOCK_POINTS_MIN * BLOCKS_MIN as u32 + 1);
        let mut fits = [Fit::default(); BLOCKS + 1];
        for (blocks, fit) in fits.iter_mut().enumerate().skip(BLOCKS_MIN) {
            *fit = Fit::of(blocks);
        }
        Self {
            settings: *settings,
            block_points: (steps(settings.memory) / BLOCKS as u32).max(BLOCK_POINTS_MIN),
            min_points: least.max(steps(settings.min_span)),
            at_edge: normal_two_sided(settings.sigma),
            fits,
            rows: Rows::default(),
        }
    }

    /// Fits the tails and sets the edges of a row.
    fn measure(&mut self, row: usize) {
        let state = &mut self.rows[row];
        let middle = 0.5 * state.top.largest(state.begun) - 0.5 * state.bottom.largest(state.begun);
        state.middle = middle;
        let Floors { absolute, relative } = self.settings.floors;
        let reach = self.settings.sigma * absolute.max(relative * middle.abs()).max(1e-150);
        // Rounding may not swallow a small reach beside a large value.
        let reach = reach.max(4.0 * f64::EPSILON * middle.abs());
        // A series that moves in steps may always take one more.
        let reach = reach.max(state.step);
        let full = state.begun as usize - 1;
        let samples = state.samples();
        let begun = state.begun;
        for side in [&mut state.top, &mut state.bottom] {
            let extreme = side.largest(begun);
            side.edge = extreme + reach;
            let Some(fit) = self.fits.get(full).filter(|fit| fit.taken > 0) else { continue };
            let freedom = (fit.taken - 1) as f64;
            (side.threshold, side.spread) = side.upper(full, fit.taken);
            side.spread *= freedom / fit.distance;
            let wanted = (2.0 * fit.above / (samples * self.at_edge)).max(1.0);
            let far = side.threshold + side.spread * (wanted.powf(1.0 / freedom) - 1.0);
            side.edge = side.edge.max(far);
        }
    }

    /// The probability of a sample at least so far out, on either side.
    #[cold]
    fn tail(&self, state: &State, side: &Extremes, value: f64) -> f64 {
        let Some(fit) = self.fits.get(state.begun as usize - 1).filter(|fit| fit.taken > 0) else {
            return 1.0;
        };
        let beyond = value - side.threshold;
        if beyond <= 0.0 {
            return 1.0;
        }
        // Beyond a range of one single value, the floors are all that is known.
        let spread = side.spread.max((side.edge - side.threshold) / (1.0 + self.settings.sigma));
        let one_side = fit.above / state.samples() * (1.0 + beyond / spread).powf(1.0 - fit.taken as f64);
        (2.0 * one_side).clamp(0.0, 1.0)
    }
}

impl Single for Range {
    fn grow(&mut self) {
        self.rows.grow();
    }

    fn forget(&mut self, row: usize) {
        self.rows.forget(row);
    }

    /// The expected value is the middle of the range. The tail is 1, its bound, where the score is below 0.8.
    fn judge(&mut self, row: usize, _at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let state = &self.rows[row];
        if state.count < self.min_points {
            return None;
        }
        let (lower, upper) = (-state.bottom.edge, state.top.edge);
        let expected = state.middle;
        let (side, score) = if value >= expected {
            (Side::Up, (value - expected) / (upper - expected))
        } else {
            (Side::Down, (expected - value) / (expected - lower))
        };
        let tail = match side {
            _ if score < TAIL_FROM => 1.0,
            Side::Up => self.tail(state, &state.top, value),
            Side::Down => self.tail(state, &state.bottom, -value),
        };
        let scale = 0.5 * (upper - lower) / self.settings.sigma;
        Some(Opinion { expected, lower, upper, score: score.min(SCORE_MAX), side, scale, tail })
    }

    fn learn(&mut self, row: usize, _at_ms: i64, value: f64) {
        let Some(value) = usable(value) else { return };
        let state = &mut self.rows[row];
        state.count = state.count.saturating_add(1);
        if state.begun == 0 || state.filled >= state.block_points {
            state.begin_block(self.block_points);
            let last = state.begun as usize - 1;
            (state.top.blocks[last], state.bottom.blocks[last]) = (value, -value);
            state.see_step(value);
            self.measure(row);
            return;
        }
        let last = state.begun as usize - 1;
        state.filled += 1;
        let is_finer = state.see_step(value);
        let (is_high, is_low) = (value > state.top.blocks[last], -value > state.bottom.blocks[last]);
        if is_high {
            state.top.blocks[last] = value;
        }
        if is_low {
            state.bottom.blocks[last] = -value;
        }
        if is_high || is_low || is_finer {
            self.measure(row);
        }
    }

    fn tune(&mut self, sigma: f64, floors: Floors) {
        (self.settings.sigma, self.settings.floors) = (sigma, floors);
        self.at_edge = normal_two_sided(sigma);
        for row in 0..self.rows.len() {
            if self.rows[row].begun > 0 {
                self.measure(row);
            }
        }
    }

    fn held(&self, row: usize) -> usize {
        self.rows[row].count as usize
    }

    fn band(&self, row: usize) -> Option<(f64, f64, f64)> {
        let state = &self.rows[row];
        let is_warm = state.count >= self.min_points;
        is_warm.then_some((state.middle, -state.bottom.edge, state.top.edge))
    }
}

impl State {
    /// Ends the block that is being filled. Blocks are short at first, so that there is a range soon; whenever all are
    /// full, two become one, until they have their length. Then the oldest one is dropped.
    fn begin_block(&mut self, longest: u32) {
        self.block_points = self.block_points.max(BLOCK_POINTS_MIN);
        if self.begun as usize == BLOCKS {
            if self.block_points < longest {
                self.top.join_pairs();
                self.bottom.join_pairs();
                self.block_points *= 2;
                self.begun /= 2;
            } else {
                self.top.blocks.copy_within(1.., 0);
                self.bottom.blocks.copy_within(1.., 0);
                self.begun -= 1;
            }
        }
        self.begun += 1;
        self.filled = 1;
    }

    /// Takes the step from the sample before; whether it is the smallest so far. Rounding is no step.
    fn see_step(&mut self, value: f64) -> bool {
        let width = self.top.edge + self.bottom.edge;
        let step = (value - self.last).abs();
        self.last = value;
        let is_finer = self.count > 1 && step > SAME * width && (step < self.step || self.step <= 0.0);
        if is_finer {
            self.step = step;
        }
        is_finer
    }

    /// How many samples the full blocks stand for.
    fn samples(&self) -> f64 {
        f64::from(self.begun - 1) * f64::from(self.block_points)
    }
}

impl Extremes {
    fn largest(&self, begun: u32) -> f64 {
        self.blocks[..begun as usize].iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn join_pairs(&mut self) {
        for nth in 0..BLOCKS / 2 {
            self.blocks[nth] = self.blocks[2 * nth].max(self.blocks[2 * nth + 1]);
        }
    }

    /// The `taken`-th largest extreme of the full blocks, and the sum of the distances of the larger ones from it.
    fn upper(&self, full: usize, taken: usize) -> (f64, f64) {
        let mut sorted = self.blocks;
        let sorted = &mut sorted[..full];
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let threshold = sorted[taken - 1];
        (threshold, sorted[..taken].iter().map(|extreme| extreme - threshold).sum())
    }
}

impl Fit {
    /// Going down from the largest sample, the `j`-th new block is met after `blocks · (1/blocks + … )` samples, `j` terms
    /// up to `1/(blocks - j + 1)`: blocks with several large samples are met again on the way. Between the `a`-th and the
    /// `b`-th largest of exponential samples lie `ψ(b) - ψ(a)` scales (Rényi 1953).
    fn of(blocks: usize) -> Self {
        let taken = blocks / 2 + 1;
        let met = |nth: usize| -> f64 { (0..nth).map(|done| blocks as f64 / (blocks - done) as f64).sum() };
        let distance = |nth: usize| nth as f64 * (digamma(met(nth + 1)) - digamma(met(nth)));
        Self { taken, above: met(taken), distance: (1..taken).map(distance).sum() }
    }
}

impl Keep for Range {
    fn keep(&self, row: usize, out: &mut Writer) {
        out.put(&self.rows[row]);
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let state: State = from.take()?;
        sound(state.is_sound(), "a row of range")?;
        self.rows[row] = state;
        Ok(())
    }
}

impl State {
    fn is_sound(&self) -> bool {
        let begun = self.begun as usize;
        let is_side = |side: &Extremes| side.blocks.iter().all(|extreme| extreme.is_finite());
        begun <= BLOCKS
            && (begun > 0) == (self.count > 0)
            && self.block_points <= 1 << 30
            && self.filled <= 1 << 30
            && is_side(&self.top)
            && is_side(&self.bottom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: u32) -> impl Iterator<Item = f64> {
        let mut mixed = 7_u64;
        (0..count).map(move |_| {
            mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        })
    }

    /// The share of samples that are outside, all being learned.
    fn share_outside(values: impl Iterator<Item = f64>, sigma: f64) -> f64 {
        let settings = RangeSettings { sigma, ..RangeSettings::default() };
        let mut range = Range::new(&settings, Duration::from_secs(300));
        range.grow();
        let (mut judged, mut outside) = (0.0, 0.0);
        for value in values {
            let opinion = range.judge(0, 0, value);
            judged += f64::from(opinion.is_some());
            match opinion {
                Some(opinion) if opinion.is_outside() => outside += 1.0,
                _ => {}
            }
            range.learn(0, 0, value);
        }
        outside / judged
    }

    #[test]
    fn an_exponential_tail_is_left_as_rarely_as_said() {
        // Only one side has a tail; the other ends at zero.
        for sigma in [3.0, 4.0] {
            let share = share_outside(noise(400_000).map(|uniform| -uniform.ln()), sigma);
            let said = normal_two_sided(sigma) / 2.0;
            assert!(share < 1.5 * said && share > 0.1 * said, "{sigma}: {share} for {said}");
        }
    }

    #[test]
    fn bounded_noise_never_leaves_its_range_for_long() {
        assert!(share_outside(noise(100_000), 4.0) < 6e-5);
    }

    #[test]
    fn what_is_older_than_the_memory_is_forgotten() {
        let mut range = Range::new(&RangeSettings::default(), Duration::from_secs(300));
        range.grow();
        noise(3000).for_each(|value| range.learn(0, 0, value + 100.0));
        noise(3000).for_each(|value| range.learn(0, 0, value));
        assert!(!range.judge(0, 0, 100.0).unwrap().is_outside());
        noise(2000).for_each(|value| range.learn(0, 0, value));
        let opinion = range.judge(0, 0, 100.0).unwrap();
        assert!(opinion.is_outside() && opinion.upper < 3.0 && opinion.tail < 1e-5, "{opinion:?}");
    }

    #[test]
    fn what_was_seen_is_inside() {
        let mut range = Range::new(&RangeSettings::default(), Duration::from_secs(3600));
        range.grow();
        let values: Vec<f64> = noise(300).map(|uniform| uniform.powi(-2)).collect();
        values.iter().for_each(|value| range.learn(0, 0, *value));
        assert!(values.iter().all(|value| !range.judge(0, 0, *value).unwrap().is_outside()));
    }

    #[test]
    fn the_first_day_is_not_judged() {
        let mut range = Range::new(&RangeSettings::default(), Duration::from_secs(60));
        range.grow();
        range.rebase(0, &[1.0; 1439]);
        assert!(range.judge(0, 0, 50.0).is_none());
        range.learn(0, 0, 1.0);
        assert!(range.judge(0, 0, 50.0).is_some_and(|opinion| opinion.is_outside()));
    }
}

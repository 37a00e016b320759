//! The fitted tails of statistics: how rare is a value that far out?
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is below the length of its array"
)]

use serde::{Deserialize, Serialize};
use wide::f32x8;

/// So many statistics are fitted side by side.
pub(super) const LANES: usize = 8;

/// The tails of several statistics that are never negative, as they have been seen so far, side by side.
///
/// Peaks over a threshold (Pickands 1975; Siffer et al., KDD 2017): the threshold is a tracked quantile, what exceeds it
/// follows a generalised Pareto distribution whose shape and scale come from the first two moments of the excesses
/// (method of moments, Hosking and Wallis 1987). Few excesses are pooled with a prior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Fits {
    threshold: [f32; LANES],
    seen: [f32; LANES],
    excesses: [f32; LANES],
    mean: [f32; LANES],
    square: [f32; LANES],
    /// The excess at the probability asked for last: what the boundary lies above the threshold.
    reach: [f32; LANES],
}

/// What a fit is held to before it has seen anything, and how far it may go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Prior {
    /// The threshold to begin with.
    pub(super) threshold: f32,
    /// The mean of the excesses.
    pub(super) mean: f64,
    /// The shape: 0 is an exponential tail, above it a heavier one.
    pub(super) shape: f64,
    /// No lighter tail than this is believed.
    pub(super) least_shape: f64,
}

/// The share of samples that exceed the threshold.
pub(super) const SHARE: f64 = 0.05;
/// The prior of the mean counts as so many excesses.
const PRIOR_EXCESSES: f64 = 5.0;
/// The prior of the shape counts as so many: from n excesses a shape is known to about 1/sqrt(n) only (Hosking and Wallis
/// 1987), and the boundary lies far beyond all of them, where a shape of 0.3 in place of 0.1 is a factor of three.
const PRIOR_SHAPE_EXCESSES: f64 = 20.0;
/// The moments are those of about so many excesses, 2,000 samples.
const EXCESSES_MAX: f32 = 100.0;
/// How fast the threshold follows once it has settled, in its own size a sample.
const THRESHOLD_RATE: f32 = 0.005;
const THRESHOLD_MIN: f32 = 0.05;
/// An excess counts as at most so many times the mean of those before it. Of an exponential tail 0.25 % are larger. What a
/// fault has left under the boundary may not make that boundary: second moments would follow a single one.
const EXCESS_MEANS_MAX: f64 = 6.0;
/// A method of moments knows no heavier tail than this.
const SHAPE_MAX: f64 = 0.49;

impl Fits {
    /// Fits that have seen nothing.
    pub(super) fn new(priors: &[Prior; LANES]) -> Self {
        Self {
            threshold: priors.map(|prior| prior.threshold),
            seen: [0.0; LANES],
            excesses: [0.0; LANES],
            mean: [0.0; LANES],
            square: [0.0; LANES],
            reach: [f32::NAN; LANES],
        }
    }

    /// Whether its figures are such as can come of values.
    pub(super) fn is_sound(&self) -> bool {
        let columns = [self.threshold, self.seen, self.excesses, self.mean, self.square];
        let is_reach = |reach: &f32| reach.is_nan() || *reach >= 0.0;
        columns.iter().flatten().all(|figure| figure.is_finite() && *figure >= 0.0)
            && self.reach.iter().all(is_reach)
    }

    /// Has one begin anew.
    pub(super) fn forget(&mut self, nth: usize, prior: &Prior) {
        (self.threshold[nth], self.seen[nth], self.excesses[nth]) = (prior.threshold, 0.0, 0.0);
        (self.mean[nth], self.square[nth], self.reach[nth]) = (0.0, 0.0, f32::NAN);
    }

    /// Takes a value of each statistic whose `least` is at most `have`.
    pub(super) fn learn(&mut self, values: f32x8, least: f32x8, have: f32, priors: &[Prior; LANES]) {
        let (before, seen_before) = (f32x8::new(self.threshold), f32x8::new(self.seen));
        let counts = least.simd_le(f32x8::splat(have));
        let seen = seen_before + 1.0;
        let rate = (1.0 / (1.0 + 0.1 * seen)).fast_max(f32x8::splat(THRESHOLD_RATE));
        let exceeds = values.simd_gt(before);
        let pull = exceeds.bitselect(f32x8::splat(1.0 - SHARE as f32), f32x8::splat(-SHARE as f32));
        let threshold = before + rate * before.fast_max(f32x8::splat(0.2)) * pull;
        let threshold = threshold.fast_max(f32x8::splat(THRESHOLD_MIN));
        self.threshold = counts.bitselect(threshold, before).to_array();
        self.seen = counts.bitselect(seen, seen_before).to_array();
        let mut exceeding = (counts & exceeds).to_bitmask();
        while exceeding != 0 {
            let nth = exceeding.trailing_zeros() as usize;
            exceeding &= exceeding - 1;
            self.learn_excess(nth, values.to_array()[nth], &priors[nth]);
        }
    }

    /// Takes a value that was above the threshold. It is measured from where the threshold went by it, so that a jump takes
    /// nothing twice.
    fn learn_excess(&mut self, nth: usize, value: f32, prior: &Prior) {
        let most = (EXCESS_MEANS_MAX * self.mean_excess(nth, prior)) as f32;
        let excess = (value - self.threshold[nth]).clamp(0.0, most);
        let weight = 1.0 / (self.excesses[nth] + 1.0).min(EXCESSES_MAX);
        self.mean[nth] += weight * (excess - self.mean[nth]);
        self.square[nth] += weight * (excess * excess - self.square[nth]);
        self.excesses[nth] = (self.excesses[nth] + 1.0).min(EXCESSES_MAX);
        self.reach[nth] = f32::NAN;
    }

    /// Whether one has seen fewer values.
    pub(super) fn is_younger_than(&self, nth: usize, values: f32) -> bool {
        self.seen[nth] < values
    }

    /// Says that the boundaries are asked for at another probability.
    pub(super) fn forget_boundaries(&mut self) {
        self.reach = [f32::NAN; LANES];
    }

    /// The values that are exceeded with a probability, each with its own. That of a statistic which has no value just
    /// now, but for the one at `shown`, is worth no fitting: it may be `NaN`.
    pub(super) fn boundaries(
        &mut self,
        values: f32x8,
        shown: usize,
        probability: impl Fn(usize) -> f64,
        priors: &[Prior; LANES],
    ) -> f32x8 {
        let mut unknown = f32x8::new(self.reach).is_nan().to_bitmask();
        if unknown != 0 {
            unknown &= values.simd_gt(f32x8::ZERO).to_bitmask() | 1 << shown;
        }
        while unknown != 0 {
            let nth = unknown.trailing_zeros() as usize;
            unknown &= unknown - 1;
            self.reach[nth] = self.reach_at(nth, probability(nth), &priors[nth]);
        }
        f32x8::new(self.threshold) + f32x8::new(self.reach)
    }

    /// The value of one that is exceeded with a probability.
    pub(super) fn boundary(&self, nth: usize, probability: f64, prior: &Prior) -> f64 {
        let known = self.reach[nth];
        let reach = if known.is_nan() { self.reach_at(nth, probability, prior) } else { known };
        f64::from(self.threshold[nth] + reach)
    }

    /// The value of one that is exceeded with a probability that is not the one asked for mostly.
    pub(super) fn boundary_at(&self, nth: usize, probability: f64, prior: &Prior) -> f64 {
        f64::from(self.threshold[nth] + self.reach_at(nth, probability, prior))
    }

    /// Whether a value is in the tail of one.
    pub(super) fn is_exceeded_by(&self, nth: usize, value: f32) -> bool {
        value > self.threshold[nth]
    }

    fn reach_at(&self, nth: usize, probability: f64, prior: &Prior) -> f32 {
        let (shape, scale) = self.shape_and_scale(nth, prior);
        let share = (probability / SHARE).clamp(f64::MIN_POSITIVE, 1.0);
        let reach =
            if shape < 1e-4 { -scale * share.ln() } else { scale / shape * (share.powf(-shape) - 1.0) };
        reach.clamp(0.0, f64::from(f32::MAX)) as f32
    }

    /// The probability of a value at least as large; at or below the threshold no better is known than 1.
    #[cfg(test)]
    pub(super) fn tail(&self, nth: usize, value: f64, prior: &Prior) -> f64 {
        let excess = value - f64::from(self.threshold[nth]);
        if excess <= 0.0 {
            return 1.0;
        }
        let (shape, scale) = self.shape_and_scale(nth, prior);
        let beyond = if shape < 1e-4 {
            (-excess / scale).exp()
        } else {
            (1.0 + shape * excess / scale).powf(-1.0 / shape)
        };
        SHARE * beyond
    }

    /// The mean excess, pooled with the prior's.
    fn mean_excess(&self, nth: usize, prior: &Prior) -> f64 {
        let n = f64::from(self.excesses[nth]);
        (n * f64::from(self.mean[nth]) + PRIOR_EXCESSES * prior.mean) / (n + PRIOR_EXCESSES)
    }

    fn shape_and_scale(&self, nth: usize, prior: &Prior) -> (f64, f64) {
        let of = |column: &[f32; LANES]| f64::from(column[nth]);
        let (n, mean, square) = (of(&self.excesses), of(&self.mean), of(&self.square));
        let pooled = self.mean_excess(nth, prior);
        let variance = (square - mean * mean).max(1e-12);
        let fitted = if n > 2.0 { 0.5 * (1.0 - mean * mean / variance) } else { prior.shape };
        let shape = (n * fitted + PRIOR_SHAPE_EXCESSES * prior.shape) / (n + PRIOR_SHAPE_EXCESSES);
        let shape = shape.clamp(prior.least_shape, SHAPE_MAX);
        (shape, (pooled * (1.0 - shape)).max(1e-9))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PRIOR: Prior = Prior { threshold: 2.5, mean: 0.6, shape: 0.3, least_shape: 0.0 };

    fn learn(fit: &mut Fits, value: f32) {
        fit.learn(f32x8::splat(value), f32x8::ZERO, 1.0, &[PRIOR; LANES]);
    }

    /// Quantiles of an exponential with mean 1, in an order without a trend.
    fn exponential(n: u32) -> impl Iterator<Item = f32> {
        (0..n).map(move |nth| -((f64::from(nth * 7919 % n) + 0.5) / f64::from(n)).ln() as f32)
    }

    #[test]
    fn an_exponential_tail_is_found() {
        let mut fit = Fits::new(&[PRIOR; LANES]);
        exponential(20_011).for_each(|value| learn(&mut fit, value));
        // P(X > 9) = e^-9.
        let found = fit.tail(0, 9.0, &PRIOR);
        assert!(found > 1.2e-4 / 8.0 && found < 1.2e-4 * 8.0, "{found}");
    }

    #[test]
    fn the_boundary_is_where_the_tail_is_the_probability() {
        let mut fit = Fits::new(&[PRIOR; LANES]);
        exponential(5003).for_each(|value| learn(&mut fit, value));
        for probability in [1e-3, 1e-6, 1e-9] {
            fit.forget_boundaries();
            let boundary = fit.boundary(0, probability, &PRIOR);
            let found = fit.tail(0, boundary, &PRIOR);
            assert!((found / probability).ln().abs() < 0.01, "{probability}: {found}");
        }
    }

    proptest! {
        #[test]
        fn it_stays_finite(values in proptest::collection::vec(0.0_f32..1e30, 0..300), at in 0.0_f64..1e30) {
            let mut fit = Fits::new(&[PRIOR; LANES]);
            values.iter().for_each(|value| learn(&mut fit, *value));
            let tail = fit.tail(0, at, &PRIOR);
            prop_assert!((0.0..=1.0).contains(&tail), "{tail}");
            prop_assert!(fit.boundary(0, 1e-9, &PRIOR).is_finite());
        }
    }
}

//! The fitted tail of a statistic: how rare is a value that far out?

use serde::{Deserialize, Serialize};

/// The tail of a statistic that is never negative, as it has been seen so far.
///
/// Peaks over a threshold (Pickands 1975; Siffer et al., KDD 2017): the threshold is a tracked quantile, what exceeds it
/// follows a generalised Pareto distribution whose shape and scale come from the first two moments of the excesses
/// (method of moments, Hosking and Wallis 1987). Few excesses are pooled with a prior.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Fit {
    threshold: f32,
    seen: f32,
    excesses: f32,
    mean: f32,
    square: f32,
    /// The excess at the probability asked for last: what the boundary lies above the threshold.
    reach: f32,
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

impl Fit {
    pub(super) fn new(prior: &Prior) -> Self {
        Self { threshold: prior.threshold, seen: 0.0, excesses: 0.0, mean: 0.0, square: 0.0, reach: f32::NAN }
    }

    /// Takes a value of the statistic.
    pub(super) fn learn(&mut self, value: f32, prior: &Prior) {
        self.seen += 1.0;
        let rate = (1.0 / (1.0 + 0.1 * self.seen)).max(THRESHOLD_RATE);
        let exceeds = value > self.threshold;
        let pull = if exceeds { 1.0 - SHARE as f32 } else { -SHARE as f32 };
        let before = self.threshold;
        self.threshold = (before + rate * before.max(0.2) * pull).max(THRESHOLD_MIN);
        if exceeds {
            // What exceeds is measured from where the threshold goes, so that a jump of it takes nothing twice.
            let most = (EXCESS_MEANS_MAX * self.mean(prior)) as f32;
            let excess = (value - self.threshold).clamp(0.0, most);
            let weight = 1.0 / (self.excesses + 1.0).min(EXCESSES_MAX);
            self.mean += weight * (excess - self.mean);
            self.square += weight * (excess * excess - self.square);
            self.excesses = (self.excesses + 1.0).min(EXCESSES_MAX);
            self.reach = f32::NAN;
        }
    }

    /// Whether its figures are such as can come of values.
    pub(super) fn is_sound(&self) -> bool {
        let figures = [self.threshold, self.seen, self.excesses, self.mean, self.square];
        let is_reach = self.reach.is_nan() || self.reach >= 0.0;
        figures.iter().all(|figure| figure.is_finite() && *figure >= 0.0) && is_reach
    }

    /// Whether it has seen fewer values.
    pub(super) fn is_younger_than(&self, values: f32) -> bool {
        self.seen < values
    }

    /// Says that the boundary is asked for at another probability.
    pub(super) fn forget_boundary(&mut self) {
        self.reach = f32::NAN;
    }

    /// The value that is exceeded with a probability.
    pub(super) fn boundary(&mut self, probability: f64, prior: &Prior) -> f64 {
        if self.reach.is_nan() {
            let (shape, scale) = self.shape_and_scale(prior);
            let share = (probability / SHARE).clamp(f64::MIN_POSITIVE, 1.0);
            let reach =
                if shape < 1e-4 { -scale * share.ln() } else { scale / shape * (share.powf(-shape) - 1.0) };
            self.reach = reach.clamp(0.0, f64::from(f32::MAX)) as f32;
        }
        f64::from(self.threshold) + f64::from(self.reach)
    }

    /// The probability of a value at least as large; at or below the threshold no better is known than 1.
    #[cfg(test)]
    pub(super) fn tail(&self, value: f64, prior: &Prior) -> f64 {
        let excess = value - f64::from(self.threshold);
        if excess <= 0.0 {
            return 1.0;
        }
        let (shape, scale) = self.shape_and_scale(prior);
        let beyond = if shape < 1e-4 {
            (-excess / scale).exp()
        } else {
            (1.0 + shape * excess / scale).powf(-1.0 / shape)
        };
        SHARE * beyond
    }

    /// The mean excess, pooled with the prior's.
    fn mean(&self, prior: &Prior) -> f64 {
        let n = f64::from(self.excesses);
        (n * f64::from(self.mean) + PRIOR_EXCESSES * prior.mean) / (n + PRIOR_EXCESSES)
    }

    fn shape_and_scale(&self, prior: &Prior) -> (f64, f64) {
        let (n, mean, square) = (f64::from(self.excesses), f64::from(self.mean), f64::from(self.square));
        let pooled = self.mean(prior);
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

    /// Quantiles of an exponential with mean 1, in an order without a trend.
    fn exponential(n: u32) -> impl Iterator<Item = f32> {
        (0..n).map(move |nth| -((f64::from(nth * 7919 % n) + 0.5) / f64::from(n)).ln() as f32)
    }

    #[test]
    fn an_exponential_tail_is_found() {
        let mut fit = Fit::new(&PRIOR);
        exponential(20_011).for_each(|value| fit.learn(value, &PRIOR));
        // P(X > 9) = e^-9.
        let found = fit.tail(9.0, &PRIOR);
        assert!(found > 1.2e-4 / 8.0 && found < 1.2e-4 * 8.0, "{found}");
    }

    #[test]
    fn the_boundary_is_where_the_tail_is_the_probability() {
        let mut fit = Fit::new(&PRIOR);
        exponential(5003).for_each(|value| fit.learn(value, &PRIOR));
        for probability in [1e-3, 1e-6, 1e-9] {
            fit.forget_boundary();
            let boundary = fit.boundary(probability, &PRIOR);
            let found = fit.tail(boundary, &PRIOR);
            assert!((found / probability).ln().abs() < 0.01, "{probability}: {found}");
        }
    }

    proptest! {
        #[test]
        fn it_stays_finite(values in proptest::collection::vec(0.0_f32..1e30, 0..300), at in 0.0_f64..1e30) {
            let mut fit = Fit::new(&PRIOR);
            values.iter().for_each(|value| fit.learn(*value, &PRIOR));
            let tail = fit.tail(at, &PRIOR);
            prop_assert!((0.0..=1.0).contains(&tail), "{tail}");
            prop_assert!(fit.boundary(1e-9, &PRIOR).is_finite());
        }
    }
}

//! The edge of the band by the number of samples behind it, for detectors that measure a deviation in scales.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is held below the table's length"
)]

use super::student::{edge_of, two_sided};
use crate::detect::{Opinion, SCORE_MAX, Side};

/// From this score on the tail is exact; below it is a bound from above.
const EXACT_FROM: f64 = 0.8;

/// For each number of samples, how wide the band is and how a deviation becomes a probability.
///
/// A new sample lies `t = (x - centre) / (scale · factor)` away, and `t` follows Student's distribution, where `factor`
/// holds the uncertainty of the centre. The edge is where the two-sided tail is that of `sigma` in a normal
/// distribution: as improbable with ten samples as with a thousand.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edges {
    /// Half the width of the band in scales, by the number of samples.
    half: Vec<f64>,
    /// The edge in units of `t`, and the degrees of freedom, by the number of samples.
    tail: Vec<(f64, f64)>,
    /// The degrees of freedom and the factor, by the number of samples.
    terms: Vec<(f64, f64)>,
    /// How fast the bound of the tail falls with the score.
    slope: f64,
}

impl Edges {
    /// Makes the table for up to `points` samples; `of` gives the degrees of freedom and the factor for each number.
    pub(super) fn new(sigma: f64, points: usize, of: impl Fn(usize) -> (f64, f64)) -> Self {
        let terms = (0..=points).map(of).collect();
        let mut edges = Self { half: Vec::new(), tail: Vec::new(), terms, slope: 0.0 };
        edges.move_to(sigma);
        edges
    }

    /// Moves the edge to where the tail is that of another `sigma`.
    pub(super) fn move_to(&mut self, sigma: f64) {
        self.half.clear();
        self.tail.clear();
        let mut largest = 0.0_f64;
        for (freedom, factor) in &self.terms {
            let edge = edge_of(sigma, *freedom);
            largest = largest.max(two_sided(EXACT_FROM * edge, *freedom));
            self.half.push(edge * factor);
            self.tail.push((edge, *freedom));
        }
        self.slope = (1.0 - largest) / EXACT_FROM;
    }

    /// How many samples the table goes up to; more count as this many.
    pub(super) fn points(&self) -> usize {
        self.terms.len() - 1
    }

    /// Puts a deviation into an opinion. `scale` is above zero, `count` at most [`Self::points`].
    ///
    /// The tail falls ever more slowly with the distance, so that the chord from 1 at the centre to the exact tail at a
    /// score of 0.8 is nowhere below it. That bound costs a multiplication; nobody asks how improbable the probable is.
    #[inline]
    pub(super) fn opinion(&self, value: f64, expected: f64, scale: f64, count: usize) -> Opinion {
        let half = scale * self.half[count];
        let deviation = value - expected;
        let score = deviation.abs() / half;
        let score = if score < SCORE_MAX { score } else { SCORE_MAX };
        let tail = if score < EXACT_FROM { 1.0 - score * self.slope } else { self.tail(score, count) };
        let side = if deviation >= 0.0 { Side::Up } else { Side::Down };
        Opinion { expected, lower: expected - half, upper: expected + half, score, side, scale, tail }
    }

    /// The band about an expected value.
    pub(super) fn band(&self, expected: f64, scale: f64, count: usize) -> (f64, f64, f64) {
        let half = scale * self.half[count];
        (expected, expected - half, expected + half)
    }

    #[cold]
    #[inline(never)]
    fn tail(&self, score: f64, count: usize) -> f64 {
        let (edge, freedom) = self.tail[count];
        two_sided(score * edge, freedom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::student::normal_two_sided;
    use super::*;

    #[test]
    fn the_bound_is_never_below_the_tail() {
        let edges = Edges::new(4.0, 240, |count| ((count as f64 - 1.0).max(1.0), 1.0));
        for count in [2, 3, 8, 20, 240] {
            for nth in 0..200 {
                let score = f64::from(nth) * 0.01;
                let opinion = edges.opinion(score * edges.half[count], 0.0, 1.0, count);
                let exact = edges.tail(opinion.score, count);
                assert!(opinion.tail >= exact - 1e-12, "{count} {score}: {} {exact}", opinion.tail);
            }
        }
    }

    #[test]
    fn the_edge_is_as_improbable_with_few_samples_as_with_many() {
        let edges = Edges::new(4.0, 240, |count| ((count as f64 - 1.0).max(1.0), 1.0));
        for count in 2..=240 {
            let tail = edges.tail(1.0, count);
            assert!((tail / normal_two_sided(4.0) - 1.0).abs() < 1e-6, "{count}: {tail}");
        }
    }
}

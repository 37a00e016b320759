//! What is expected of a sample, and how far from that it is.

use super::super::detectors::student::{normal_of_student, normal_two_sided, student_of_normal};
use super::super::finding::Side;
use super::super::opinion::{Opinion, SCORE_MAX};
use super::ladder::Rung;

/// What the season adds to the level at one time.
///
/// Where neighbouring slots differ by a jump, as around a job, nobody knows to the minute when it comes: anything between
/// `low` and `high` is as expected. On a smooth wave both are `value`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Season {
    /// The likeliest part.
    pub value: f64,
    /// The least part that is as expected.
    pub low: f64,
    /// The greatest part that is as expected.
    pub high: f64,
}

impl Season {
    /// The part that is nearest to a deviation from the level: `value - level` of a sample, by whatever level the caller
    /// has. What is left after taking it off is what the season does not explain.
    pub fn nearest(&self, deviation: f64) -> f64 {
        // Without a branch, since noise makes a guess of it.
        let at_most = if deviation > self.high { self.high } else { deviation };
        if at_most < self.low { self.low } else { at_most }
    }

    /// The part in slot 2 of five neighbouring ones, at a place that leans towards slot 1 or slot 3.
    ///
    /// Between the middles of slots it runs straight. Where the slots bend by more than noise of this scale does, the
    /// range opens towards the neighbours.
    pub(super) fn between(parts: [f64; 5], lean: f64, scale: f64) -> Self {
        /// Parts are known to about half a scale, so a second difference of mere noise has about one.
        const NOISE_SCALES: f64 = 6.0;
        let [first, before, here, after, last] = parts;
        let toward = if lean < 0.0 { before } else { after };
        let value = here + lean.abs() * (toward - here);
        let bend = |left: f64, middle: f64, right: f64| (left - 2.0 * middle + right).abs();
        let rough = bend(first, before, here).max(bend(before, here, after)).max(bend(here, after, last));
        let slack = (rough - NOISE_SCALES * scale).max(0.0);
        let (least, most) = (before.min(here).min(after), before.max(here).max(after));
        Self { value, low: value.min(least.max(value - slack)), high: value.max(most.min(value + slack)) }
    }
}

/// What is expected at one time of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expectation {
    /// The expected value.
    pub value: f64,
    /// The least value that is as expected; at most `value`.
    pub low: f64,
    /// The greatest value that is as expected; at least `value`.
    pub high: f64,
    /// The scale of samples about it, as a standard deviation; above zero.
    pub scale: f64,
    /// How the scale is known: the degrees of freedom of Student's t.
    pub freedom: f64,
    /// By which rung.
    pub rung: Rung,
}

impl Expectation {
    /// How far a sample lies beyond what is expected; 0 within.
    pub fn beyond(&self, value: f64) -> f64 {
        if value > self.high {
            value - self.high
        } else if value < self.low {
            value - self.low
        } else {
            0.0
        }
    }

    /// What a sample is, in a band that is left as seldom as normal noise leaves `sigma` scales.
    pub fn judge(&self, value: f64, sigma: f64) -> Opinion {
        let half = self.scale * student_of_normal(sigma, self.freedom);
        let beyond = self.beyond(value);
        Opinion {
            expected: self.value,
            lower: self.low - half,
            upper: self.high + half,
            score: (beyond.abs() / half).min(SCORE_MAX),
            side: if value >= self.value { Side::Up } else { Side::Down },
            scale: self.scale,
            tail: normal_two_sided(normal_of_student(beyond / self.scale, self.freedom)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smooth_wave_runs_straight_between_slots_and_leaves_no_slack() {
        let season = Season::between([0.0, 10.0, 20.0, 29.0, 37.0], -0.25, 1.0);
        assert_eq!(season, Season { value: 17.5, low: 17.5, high: 17.5 });
    }

    #[test]
    fn next_to_a_job_all_between_calm_and_job_is_expected() {
        for parts in [[0.0, 0.0, 100.0, 0.0, 0.0], [0.0, 0.0, 0.0, 100.0, 0.0], [0.0, 100.0, 0.0, 0.0, 0.0]] {
            for lean in [-0.5, 0.0, 0.5] {
                let season = Season::between(parts, lean, 1.0);
                assert!(season.low <= 0.0 && season.high >= 100.0, "{parts:?} {lean}: {season:?}");
            }
        }
        let beside = Season::between([100.0, 0.0, 0.0, 0.0, 0.0], 0.0, 1.0);
        assert!(beside.high <= 0.0, "two slots off is another time: {beside:?}");
    }

    #[test]
    fn the_edge_of_the_band_scores_one_and_is_as_rare_as_sigma() {
        let expected =
            Expectation { value: 5.0, low: 5.0, high: 8.0, scale: 2.0, freedom: 20.0, rung: Rung::Day };
        let upper = expected.judge(0.0, 3.0).upper;
        let edge = expected.judge(upper, 3.0);
        assert!(
            (edge.score - 1.0).abs() < 1e-9 && (edge.tail / normal_two_sided(3.0) - 1.0).abs() < 1e-6,
            "{edge:?}"
        );
        assert_eq!(expected.judge(7.0, 3.0).score.to_bits(), 0.0_f64.to_bits());
    }
}

//! The classic rule without its flaws: the current sample against the mean and the scale of those before it.

use serde::{Deserialize, Serialize};

use super::finding::Side;
use super::opinion::SCORE_MAX;
use super::settings::Settings;

/// The long memory of a series' noise: squared one-step errors with exponentially fading weights.
///
/// Nineteen points tell the scale of a series only to about 16 %, and a window that happens to be calm turns ordinary
/// noise into runs of "anomalies". The memory of many windows steadies it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Noise {
    sum: f64,
    weight: f64,
}

/// How many samples the memory of noise effectively holds: an hour at a step of 15 s.
const NOISE_MEMORY_POINTS: f64 = 240.0;
/// The memory counts for at most so many degrees of freedom beside the window's own.
const NOISE_FREEDOM_MAX: f64 = 100.0;

impl Noise {
    /// Whether its sums are such as can come of samples.
    pub(super) fn is_sound(&self) -> bool {
        [self.sum, self.weight].iter().all(|sum| sum.is_finite() && *sum >= 0.0)
    }

    /// Learns from a sample that was inside the band: its squared distance from the mean of the `points` before it,
    /// reduced by the part that is the mean's own uncertainty.
    pub(super) fn learn(&mut self, deviation: f64, points: usize) {
        let n = points as f64;
        let fade = 1.0 - 1.0 / NOISE_MEMORY_POINTS;
        self.sum = self.sum * fade + deviation * deviation * n / (n + 1.0);
        self.weight = self.weight * fade + 1.0;
    }
}

/// What a series is expected to do next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baseline {
    /// The mean of the window.
    pub mean: f64,
    /// The pooled standard deviation, never below the floors.
    pub scale: f64,
}

/// Takes the baseline of a window of accepted samples.
///
/// The variance is pooled: that of the window with `n - 1` degrees of freedom and that of the long memory with up to
/// 100, as in a pooled two-sample estimate. Mean and variance are taken in two passes, so that a shift of the whole
/// series by a constant changes neither verdict nor scale.
pub fn baseline_of(window: &[f64], noise: Noise, settings: &Settings) -> Baseline {
    let n = window.len().max(1) as f64;
    let mean = window.iter().sum::<f64>() / n;
    let squares: f64 = window.iter().map(|value| (value - mean) * (value - mean)).sum();
    let freedom = noise.weight.min(NOISE_FREEDOM_MAX);
    let remembered = if noise.weight > 0.0 { noise.sum / noise.weight } else { 0.0 };
    let degrees = (n - 1.0 + freedom).max(1.0);
    let pooled = ((squares + freedom * remembered) / degrees).sqrt();
    let floor = settings.scale_floor_absolute.max(settings.scale_floor_relative * mean.abs());
    // A floor of nothing would divide by zero on a flat series; the least positive number keeps the score finite.
    Baseline { mean, scale: pooled.max(floor).max(f64::MIN_POSITIVE.sqrt()) }
}

/// How one sample compares with its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The expected value.
    pub expected: f64,
    /// The lower edge of the band.
    pub lower: f64,
    /// The upper edge of the band.
    pub upper: f64,
    /// The deviation in scales, signed.
    pub z: f64,
    /// The deviation in half widths of the band: 1.0 is the boundary.
    pub score: f64,
    /// On which side of the expected value it lies.
    pub side: Side,
}

impl Verdict {
    /// Whether the sample is outside the band. A sample on the edge is inside.
    pub fn is_outside(&self) -> bool {
        self.score > 1.0
    }
}

/// Judges one sample.
///
/// The band's half width is the largest of `sigma` scales and the two least deviations, so that the score's boundary
/// of 1.0 has every one of these gates in it.
pub fn judge(value: f64, baseline: Baseline, settings: &Settings) -> Verdict {
    let half = (settings.sigma * baseline.scale)
        .max(settings.min_deviation_absolute)
        .max(settings.min_deviation_relative * baseline.mean.abs());
    let deviation = value - baseline.mean;
    Verdict {
        expected: baseline.mean,
        lower: baseline.mean - half,
        upper: baseline.mean + half,
        z: (deviation / baseline.scale).clamp(-SCORE_MAX, SCORE_MAX),
        score: (deviation.abs() / half).min(SCORE_MAX),
        side: if deviation >= 0.0 { Side::Up } else { Side::Down },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn score(window: &[f64], value: f64) -> f64 {
        let settings = Settings::classic();
        judge(value, baseline_of(window, Noise::default(), &settings), &settings).score
    }

    #[test]
    fn a_flat_zero_series_that_jumps_is_outside() {
        assert!(score(&[0.0; 19], 0.5) > 1.0);
    }

    #[test]
    fn a_flat_series_that_ticks_within_the_floor_is_inside() {
        assert!(score(&[100.0; 19], 105.0) < 1.0);
    }

    #[test]
    fn the_same_flat_value_scores_nothing() {
        for level in [0.0, 1e-300, 5.0, -7.0, 1e300] {
            assert!(score(&[level; 19], level) < 1e-6, "{level}");
        }
    }

    #[test]
    fn the_boundary_is_sigma_scales() {
        let window: Vec<f64> = (0..19).map(|n| 100.0 + if n % 2 == 0 { 10.0 } else { -10.0 }).collect();
        let settings = Settings { min_deviation_relative: 0.0, ..Settings::classic() };
        let baseline = baseline_of(&window, Noise::default(), &settings);
        let at = |z: f64| judge(baseline.mean + z * baseline.scale, baseline, &settings).score;
        assert!((at(3.0) - 1.0).abs() < 1e-9);
        assert!((at(-6.0) - 2.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn nothing_finite_gives_a_figure_that_is_not(
            window in proptest::collection::vec(-1e150_f64..1e150, 1..40),
            value in -1e150_f64..1e150,
        ) {
            let settings = Settings::classic();
            let verdict = judge(value, baseline_of(&window, Noise::default(), &settings), &settings);
            prop_assert!(verdict.score.is_finite() && verdict.z.is_finite() && verdict.expected.is_finite());
        }

        #[test]
        fn shifting_a_series_does_not_change_its_score(
            window in proptest::collection::vec(0.0_f64..100.0, 19),
            value in 0.0_f64..100.0,
            shift in -1e3_f64..1e3,
        ) {
            let settings = Settings {
                scale_floor_relative: 0.0, scale_floor_absolute: 0.1, min_deviation_relative: 0.0,
                ..Settings::classic()
            };
            let of = |window: &[f64], value| judge(value, baseline_of(window, Noise::default(), &settings), &settings).score;
            let moved: Vec<f64> = window.iter().map(|v| v + shift).collect();
            prop_assert!((of(&window, value) - of(&moved, value + shift)).abs() < 1e-6);
        }
    }
}

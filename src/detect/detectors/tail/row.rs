//! What is kept of one series, and what holds for its statistics.

use serde::{Deserialize, Serialize};

use super::reached::{History, Reached};
use super::runs::{Past, RUNS};
use super::{Fits, LANES, Prior, VIEWS};
use crate::detect::season::Rung;
use crate::detect::settings::Settings;

/// The share of the cut within what the series has reached lately, where the other half is kept for what it has not: a value
/// that it takes all the time is weaker evidence of a fault than one it has never had (weighted hypotheses, Genovese, Roeder
/// and Wasserman 2006).
const WITHIN: f64 = 0.5;

/// No scale and no band is narrower: divisions by it stay finite.
pub(super) const LEAST: f64 = 1.5e-154;

/// The larger of two numbers, neither of which is `NaN`: `f64::max` pays for that case.
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// How the views of a series stand.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Scales {
    pub(super) values: [f64; VIEWS],
    pub(super) seen: [f32; VIEWS],
}

/// What is kept of one series beside its levels and seasons.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) scales: Scales,
    pub(super) fits: Fits,
    pub(super) past: Past,
    /// The smallest usual difference of two samples in a row.
    pub(super) quantum: f64,
    pub(super) last: f64,
    pub(super) reached: Reached,
    /// The probability that the boundaries are for; where the value is beyond all history, or a season foretells it, it is
    /// `1 / share` of that.
    pub(super) cut: f64,
    pub(super) share: f64,
    /// How many samples are held back, and where in the ring the oldest is.
    pub(super) pending: u8,
    pub(super) oldest: u8,
    /// How many samples there were since one that belongs to an anomaly.
    pub(super) clean: u8,
    /// By which rung the long view sees.
    pub(super) rung: Rung,
}

/// The least of `k` independent samples with a tail of shape s has one of shape s/k: longer runs are held to a lighter
/// tail.
pub(super) fn prior(run: usize, is_least: bool) -> Prior {
    let (threshold, mean) = if is_least { (2.5, 0.6) } else { (1.5, 0.4) };
    Prior { threshold, mean, shape: 0.3 / run as f64, least_shape: 0.1 / run as f64 }
}

impl Row {
    pub(super) fn blank(priors: &[Prior; LANES]) -> Self {
        Self {
            scales: Scales::default(),
            fits: Fits::new(priors),
            past: Past::EMPTY,
            quantum: 0.0,
            last: f64::NAN,
            reached: Reached::EMPTY,
            cut: 0.0,
            share: 1.0,
            pending: 0,
            oldest: 0,
            clean: 0,
            rung: Rung::Plain,
        }
    }

    /// Follows the smallest usual difference: at once downwards, slowly upwards.
    pub(super) fn note_quantum(&mut self, value: f64) {
        let difference = (value - self.last).abs();
        self.last = value;
        if difference > 0.0 && difference.is_finite() {
            self.quantum =
                if self.quantum <= 0.0 { difference } else { difference.min(self.quantum * 1.002) };
        }
    }

    /// A scale is never below what the series' own resolution and the settings say.
    pub(super) fn floor(&self, level: f64, settings: &Settings) -> f64 {
        let least = larger(settings.scale_floor_absolute, larger(self.quantum, LEAST));
        larger(settings.scale_floor_relative * level.abs(), least)
    }

    /// Residuals from another level are another statistic.
    pub(super) fn see_by(&mut self, rung: Rung, priors: &[Prior; LANES]) {
        if rung == self.rung {
            return;
        }
        self.rung = rung;
        (self.scales.values[VIEWS - 1], self.scales.seen[VIEWS - 1]) = (0.0, 0.0);
        self.past.forget_view(VIEWS - 1);
        for (nth, prior) in priors.iter().enumerate().skip((VIEWS - 1) * RUNS) {
            self.fits.forget(nth, prior);
        }
    }

    /// Takes the probability, of all views together, that the boundaries are for.
    pub(super) fn cut_at(&mut self, cut: f64, history: &History) {
        let share = if self.reached.is_known(history) { WITHIN } else { 1.0 };
        let each = share * cut / VIEWS as f64;
        if (self.cut - each).abs() > 1e-6 * each {
            (self.cut, self.share) = (each, share);
            self.fits.forget_boundaries();
            self.reached.forget_edges();
        }
    }

    /// Whether a view sees by a season: that says more of a value than whether there was one like it.
    pub(super) fn is_seasonal(&self, view: usize) -> bool {
        view == VIEWS - 1 && self.rung != Rung::Plain
    }

    /// The probability that the boundary of a statistic is for.
    pub(super) fn cut_of(&self, nth: usize) -> f64 {
        if self.is_seasonal(nth / RUNS) { self.cut / self.share } else { self.cut }
    }
}

/// No band is narrower on either side of a level.
pub(super) fn least_half(level: f64, settings: &Settings) -> f64 {
    let least = larger(settings.min_deviation_absolute, settings.min_deviation_relative * level.abs());
    larger(least, LEAST)
}

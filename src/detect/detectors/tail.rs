//! The tail detector: residuals at several time scales, each against the fitted tail of its own past.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, times a stride"
)]

mod kept;
mod level;
mod runs;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::level::{LOCAL, Levels};
use self::runs::{FITS, Lengths, Past, RUN_MAX, RUNS};
use super::fit::{Fit, Prior};
use crate::detect::finding::Side;
use crate::detect::opinion::SCORE_MAX;
use crate::detect::season::{Expectation, Rung, SeasonSettings, Seasons};
use crate::detect::settings::Settings;
use crate::time::Timestamp;

/// A sample is compared with three levels: of the last few samples (a jump), the local one, the long one.
const VIEWS: usize = 3;
/// A jump is one from the median of so many accepted samples. Where it takes several samples to find something it is of
/// more: what was too short to be found may not be the level from which its end is a jump.
const JUMP: usize = 3;
/// No verdict before so many samples are learnt.
const WARM_UP: f32 = 18.0;
/// No level is made of fewer.
const LEAST_LEVEL: usize = 5;
/// The long view is believed later, since its level is.
const WARM_UP_LONG: f32 = 100.0;
/// Scales are means of about so many samples.
const SCALE_MEMORY: f32 = 240.0;
/// A residual teaches its scale at most so many times that.
const WINSOR: f64 = 4.0;
/// Until so many samples are learnt, the scale is the spread of the level's own samples.
const ROBUST_UNTIL: f32 = 48.0;
/// The mean absolute deviation of a normal distribution times this is its standard deviation.
const MEAN_TO_DEVIATION: f64 = 1.2533;

/// No scale and no band is narrower: divisions by it stay finite.
const LEAST: f64 = 1.5e-154;

/// The larger of two numbers, neither of which is `NaN`: `f64::max` pays for that case.
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// How the views of a series stand.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Scales {
    values: [f64; VIEWS],
    seen: [f32; VIEWS],
}

/// A sample that is not learnt yet: it may still be the beginning of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Pending {
    value: f64,
    residuals: [f64; VIEWS],
    statistics: [f32; FITS],
    /// 0 where the sample was not compared with anything.
    floor: f64,
    /// How many samples in a row, with this one, belong to no anomaly.
    clean: u8,
}

impl Pending {
    fn unjudged(value: f64) -> Self {
        Self { value, residuals: [0.0; VIEWS], statistics: [0.0; FITS], floor: 0.0, clean: 0 }
    }
}

/// What it says of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::detect) struct TailOpinion {
    pub(in crate::detect) expected: f64,
    pub(in crate::detect) half: f64,
    pub(in crate::detect) scale: f64,
    pub(in crate::detect) score: f64,
    pub(in crate::detect) side: Side,
    /// The deviation in scales: from the season where that decides, else from the local or the long level, the larger.
    pub(in crate::detect) deviation: f64,
    /// Whether a season foretells otherwise.
    pub(in crate::detect) is_seasonal: bool,
    /// How many samples in a row, with this one, make the strongest statistic.
    pub(in crate::detect) run: usize,
}

/// The state of a signal's series, a row each.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Tail {
    lengths: Lengths,
    priors: [Prior; FITS],
    levels: Levels,
    rows: Vec<Row>,
    /// Samples held back: `lengths.least` a row, oldest first.
    pending: Vec<Pending>,
    seasons: Seasons,
}

/// What is kept of one series beside its levels and seasons.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    scales: Scales,
    fits: [Fit; FITS],
    past: Past,
    /// The smallest usual difference of two samples in a row.
    quantum: f64,
    last: f64,
    /// The probability that the boundaries are for.
    cut: f64,
    pending: u8,
    /// How many samples there were since one that belongs to an anomaly.
    clean: u8,
    /// By which rung the long view sees.
    rung: Rung,
}

/// What a sample is compared with.
#[derive(Debug, Clone, Copy)]
struct Compared {
    expected: [f64; VIEWS],
    residuals: [f64; VIEWS],
}

/// The least of `k` independent samples with a tail of shape s has one of shape s/k: longer runs are held to a lighter
/// tail.
fn prior(run: usize, is_least: bool) -> Prior {
    let (threshold, mean) = if is_least { (2.5, 0.6) } else { (1.5, 0.4) };
    Prior { threshold, mean, shape: 0.3 / run as f64, least_shape: 0.1 / run as f64 }
}

impl Row {
    fn blank(priors: &[Prior; FITS]) -> Self {
        Self {
            scales: Scales::default(),
            fits: priors.map(|prior| Fit::new(&prior)),
            past: Past::EMPTY,
            quantum: 0.0,
            last: f64::NAN,
            cut: 0.0,
            pending: 0,
            clean: 0,
            rung: Rung::Plain,
        }
    }

    /// Follows the smallest usual difference: at once downwards, slowly upwards.
    fn note_quantum(&mut self, value: f64) {
        let difference = (value - self.last).abs();
        self.last = value;
        if difference > 0.0 && difference.is_finite() {
            self.quantum =
                if self.quantum <= 0.0 { difference } else { difference.min(self.quantum * 1.002) };
        }
    }

    /// A scale is never below what the series' own resolution and the settings say.
    fn floor(&self, level: f64, settings: &Settings) -> f64 {
        let least = larger(settings.scale_floor_absolute, larger(self.quantum, LEAST));
        larger(settings.scale_floor_relative * level.abs(), least)
    }

    /// Residuals from another level are another statistic.
    fn see_by(&mut self, rung: Rung, priors: &[Prior; FITS]) {
        if rung == self.rung {
            return;
        }
        self.rung = rung;
        (self.scales.values[VIEWS - 1], self.scales.seen[VIEWS - 1]) = (0.0, 0.0);
        self.past.forget_view(VIEWS - 1);
        for (fit, prior) in self.fits.iter_mut().zip(priors).skip((VIEWS - 1) * RUNS) {
            *fit = Fit::new(prior);
        }
    }

    fn half(&mut self, nth: usize, scale: f64, level: f64, prior: &Prior, settings: &Settings) -> f64 {
        let boundary = self.fits[nth].boundary(self.cut, prior);
        let least = larger(settings.min_deviation_absolute, settings.min_deviation_relative * level.abs());
        larger(boundary * scale, larger(least, LEAST))
    }
}

impl Tail {
    pub(in crate::detect) fn new(settings: &Settings, step: Duration) -> Self {
        let lengths = Lengths::at(step);
        Self {
            lengths,
            priors: std::array::from_fn(|nth| prior(lengths.of(nth), nth.is_multiple_of(RUNS))),
            levels: Levels::default(),
            rows: Vec::new(),
            pending: Vec::new(),
            seasons: Seasons::new(&SeasonSettings::of(settings), step),
        }
    }

    pub(in crate::detect) fn grow(&mut self) {
        self.rows.push(Row::blank(&self.priors));
        self.pending.resize(self.rows.len() * self.lengths.least, Pending::unjudged(0.0));
        self.levels.grow();
        self.seasons.grow();
    }

    pub(in crate::detect) fn forget(&mut self, row: usize) {
        self.rows[row] = Row::blank(&self.priors);
        self.levels.forget(row);
        self.seasons.forget(row);
    }

    /// Whether it gives verdicts.
    pub(in crate::detect) fn is_warm(&self, row: usize) -> bool {
        self.rows[row].scales.seen[1] >= WARM_UP && self.levels.accepted(row) >= LEAST_LEVEL
    }

    /// Judges a sample, and holds it back from learning until it is decided. `cut` is the probability, for one sample of
    /// one series, at which the score is 1. `None` while it warms up.
    pub(in crate::detect) fn judge(
        &mut self,
        row: usize,
        (at, value): (Timestamp, f64),
        cut: f64,
        settings: &Settings,
    ) -> Option<TailOpinion> {
        // A season is learnt from every sample: it takes several cycles that agree, so that an outage is no habit.
        let season = self.seasons.foretell_and_learn(row, at, value);
        self.rows[row].note_quantum(value);
        if self.levels.accepted(row) < LEAST_LEVEL {
            self.hold(row, Pending::unjudged(value));
            return None;
        }
        let compared = self.compare(row, value, season);
        let state = &mut self.rows[row];
        let floor = state.floor(compared.expected[1], settings);
        let clean = state.clean.saturating_add(1).min(RUN_MAX as u8);
        state.clean = clean;
        let residuals = compared.residuals;
        let mut pending = Pending { value, residuals, statistics: [0.0; FITS], floor, clean };
        for (view, residual) in residuals.into_iter().enumerate() {
            let is_known = state.scales.seen[view] >= 5.0;
            let deviation = if is_known { residual / larger(state.scales.values[view], floor) } else { 0.0 };
            let statistics = state.past.take(view, deviation, &self.lengths);
            pending.statistics[view * RUNS..(view + 1) * RUNS].copy_from_slice(&statistics);
        }
        self.hold(row, pending);
        if !self.is_warm(row) {
            return None;
        }
        Some(self.weigh(row, &pending, compared.expected, cut, settings))
    }

    /// What a sample is compared with, and by how much it differs. The long view goes by the season where there is one.
    fn compare(&mut self, row: usize, value: f64, season: Option<Expectation>) -> Compared {
        let jump = self.levels.jump(row, JUMP.max(2 * self.lengths.least + 1));
        let mut expected = [jump, self.levels.local(row), self.levels.long(row)];
        let mut residuals = expected.map(|level| value - level);
        let rung = season.map_or(Rung::Plain, |season| season.rung);
        if let Some(season) = season {
            residuals[VIEWS - 1] = season.beyond(value);
            expected[VIEWS - 1] = value - residuals[VIEWS - 1];
        }
        self.rows[row].see_by(rung, &self.priors);
        Compared { expected, residuals }
    }

    /// The strongest statistic decides: how far it is out, in terms of its boundary.
    fn weigh(
        &mut self,
        row: usize,
        pending: &Pending,
        levels: [f64; VIEWS],
        cut: f64,
        settings: &Settings,
    ) -> TailOpinion {
        let state = &mut self.rows[row];
        // Three views look at each sample.
        let each = cut / VIEWS as f64;
        if (state.cut - each).abs() > 1e-6 * each {
            state.cut = each;
            state.fits.iter_mut().for_each(Fit::forget_boundary);
        }
        let scales = state.scales.values.map(|scale| larger(scale, pending.floor));
        // The local view is the one shown where nothing is found.
        let (mut best, mut best_nth) = (0.0, RUNS);
        for nth in 0..FITS {
            let view = nth / RUNS;
            let statistic = f64::from(pending.statistics[nth]);
            let is_young = view == VIEWS - 1 && state.fits[nth].is_younger_than(WARM_UP_LONG);
            if statistic <= 0.0 || is_young || self.lengths.is_repeated(nth) {
                continue;
            }
            let half = state.half(nth, scales[view], levels[view], &self.priors[nth], settings);
            let score = statistic * scales[view] / half;
            if score > best {
                (best, best_nth) = (score, nth);
            }
        }
        let view = best_nth / RUNS;
        let deviation = [1, 2].map(|view| pending.residuals[view].abs() / scales[view]);
        let is_seasonal = view == VIEWS - 1 && state.rung != Rung::Plain;
        TailOpinion {
            expected: levels[view],
            half: state.half(best_nth, scales[view], levels[view], &self.priors[best_nth], settings),
            scale: scales[view],
            score: best.min(SCORE_MAX),
            side: if pending.residuals[view] >= 0.0 { Side::Up } else { Side::Down },
            deviation: if is_seasonal { deviation[1] } else { deviation[0].max(deviation[1]) },
            is_seasonal,
            run: self.lengths.of(best_nth),
        }
    }

    /// How many samples the level has, of how many that make it whole.
    pub(in crate::detect) fn held(&self, row: usize) -> (usize, usize) {
        (self.levels.accepted(row).min(LOCAL), LOCAL)
    }

    /// The half width of the band that is shown for the next sample.
    pub(in crate::detect) fn half_width(&self, row: usize, settings: &Settings) -> Option<f64> {
        let (level, scale) = self.expectation(row, settings)?;
        let state = &self.rows[row];
        let mut fit = state.fits[RUNS];
        let cut = state.cut.max(f64::MIN_POSITIVE);
        let half = fit.boundary(cut, &self.priors[RUNS]) * scale;
        Some(half.max(settings.min_deviation_absolute).max(settings.min_deviation_relative * level.abs()))
    }

    /// What is expected next, and the scale of that; `None` while it warms up.
    pub(in crate::detect) fn expectation(&self, row: usize, settings: &Settings) -> Option<(f64, f64)> {
        if !self.is_warm(row) {
            return None;
        }
        let (level, state) = (self.levels.local(row), &self.rows[row]);
        Some((level, state.scales.values[1].max(state.floor(level, settings))))
    }

    /// Takes the samples that were held back long enough; all but `lengths.least - 1` of them may still be the beginning
    /// of something.
    pub(in crate::detect) fn learn(&mut self, row: usize) {
        let (from, least) = (row * self.lengths.least, self.lengths.least);
        if usize::from(self.rows[row].pending) < least {
            return;
        }
        let first = self.pending[from];
        for nth in from + 1..from + least {
            self.pending[nth - 1] = self.pending[nth];
        }
        self.rows[row].pending -= 1;
        self.take(row, &first);
    }

    /// Drops what was held back: it belongs to what was found.
    pub(in crate::detect) fn drop_pending(&mut self, row: usize) {
        (self.rows[row].pending, self.rows[row].clean) = (0, 0);
    }

    /// Samples become the level, whatever it was; scales and tails stay.
    pub(in crate::detect) fn rebase(&mut self, row: usize, values: &[f64]) {
        let before = self.levels.long(row);
        self.levels.restart(row, values);
        let state = &mut self.rows[row];
        (0..VIEWS).for_each(|view| state.past.forget_view(view));
        state.pending = 0;
        // What varies more than before is not only elsewhere: two levels in turn are no outage each time.
        let level = self.levels.long(row);
        let last = || values.iter().rev().take(LOCAL);
        let apart = last().map(|value| (value - level).abs()).sum::<f64>() / last().count().max(1) as f64;
        for scale in &mut state.scales.values {
            *scale = scale.max(MEAN_TO_DEVIATION * apart);
        }
        self.seasons.shift(row, level - before);
    }

    fn hold(&mut self, row: usize, pending: Pending) {
        let held = usize::from(self.rows[row].pending);
        if held < self.lengths.least {
            self.pending[row * self.lengths.least + held] = pending;
            self.rows[row].pending += 1;
        }
    }

    fn take(&mut self, row: usize, pending: &Pending) {
        self.levels.accept(row, pending.value);
        if pending.floor <= 0.0 {
            return;
        }
        // A fault among the first samples may not make the scale: it would hide the next ones.
        let is_early = self.rows[row].scales.seen.iter().any(|seen| *seen < ROBUST_UNTIL);
        let early = if is_early { self.levels.spread(row) } else { 0.0 };
        let state = &mut self.rows[row];
        for view in 0..VIEWS {
            let seen = (state.scales.seen[view] + 1.0).min(SCALE_MEMORY);
            state.scales.seen[view] = seen;
            let scale = &mut state.scales.values[view];
            if seen <= ROBUST_UNTIL {
                *scale = early;
            } else {
                let most = WINSOR * larger(*scale, pending.floor);
                let residual = pending.residuals[view].abs();
                let residual = if residual < most { residual } else { most };
                *scale += (MEAN_TO_DEVIATION * residual - *scale) / f64::from(seen);
            }
            if seen > 8.0 {
                for nth in view * RUNS..(view + 1) * RUNS {
                    // A run that reaches back into an anomaly is none of the noise.
                    if self.lengths.of(nth) <= usize::from(pending.clean) {
                        state.fits[nth].learn(pending.statistics[nth], &self.priors[nth]);
                    }
                }
            }
        }
    }
}

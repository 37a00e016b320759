//! The tail detector: residuals at several time scales, each against the fitted tail of its own past.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, times a stride"
)]

mod level;
mod runs;

use std::time::Duration;

use wide::{f32x8, f64x2};

use self::level::{LOCAL, Levels};
use self::runs::{FITS, Lengths, Past, RUN_MAX, RUNS};
use super::fit::{Fits, LANES, Prior};
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

/// The statistic of the local view that is shown where nothing is found.
const SHOWN: usize = RUNS;

/// No scale and no band is narrower: divisions by it stay finite.
const LEAST: f64 = 1.5e-154;

/// The larger of two numbers, neither of which is `NaN`: `f64::max` pays for that case.
fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// How the views of a series stand.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Scales {
    values: [f64; VIEWS],
    seen: [f32; VIEWS],
}

/// A sample that is not learnt yet: it may still be the beginning of what is found.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pending {
    value: f64,
    residuals: [f64; VIEWS],
    statistics: [f32; LANES],
    /// 0 where the sample was not compared with anything.
    floor: f64,
    /// How many samples in a row, with this one, belong to no anomaly.
    clean: u8,
}

impl Pending {
    fn unjudged(value: f64) -> Self {
        Self { value, residuals: [0.0; VIEWS], statistics: [0.0; LANES], floor: 0.0, clean: 0 }
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
    /// The lengths of the runs, by statistic.
    least: [f32; LANES],
    priors: [Prior; LANES],
    levels: Levels,
    rows: Vec<Row>,
    /// Samples held back: a ring of `lengths.least` a row.
    pending: Vec<Pending>,
    seasons: Seasons,
}

/// What is kept of one series beside its levels and seasons.
#[derive(Debug, Clone)]
struct Row {
    scales: Scales,
    fits: Fits,
    past: Past,
    /// The smallest usual difference of two samples in a row.
    quantum: f64,
    last: f64,
    /// The probability that the boundaries are for.
    cut: f64,
    /// How many samples are held back, and where in the ring the oldest is.
    pending: u8,
    oldest: u8,
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

/// What there is to weigh of a sample.
#[derive(Debug, Clone, Copy)]
struct Seen {
    compared: Compared,
    /// How strong the runs are that end with it.
    statistics: f32x8,
    floor: f64,
}

/// The least of `k` independent samples with a tail of shape s has one of shape s/k: longer runs are held to a lighter
/// tail.
fn prior(run: usize, is_least: bool) -> Prior {
    let (threshold, mean) = if is_least { (2.5, 0.6) } else { (1.5, 0.4) };
    Prior { threshold, mean, shape: 0.3 / run as f64, least_shape: 0.1 / run as f64 }
}

impl Row {
    fn blank(priors: &[Prior; LANES]) -> Self {
        Self {
            scales: Scales::default(),
            fits: Fits::new(priors),
            past: Past::EMPTY,
            quantum: 0.0,
            last: f64::NAN,
            cut: 0.0,
            pending: 0,
            oldest: 0,
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
    fn see_by(&mut self, rung: Rung, priors: &[Prior; LANES]) {
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
}

/// No band is narrower on either side of a level.
fn least_half(level: f64, settings: &Settings) -> f64 {
    let least = larger(settings.min_deviation_absolute, settings.min_deviation_relative * level.abs());
    larger(least, LEAST)
}

impl Tail {
    pub(in crate::detect) fn new(settings: &Settings, step: Duration) -> Self {
        let lengths = Lengths::at(step);
        Self {
            lengths,
            least: lengths.by_lane(),
            priors: std::array::from_fn(|nth| prior(lengths.of(nth.min(FITS - 1)), nth.is_multiple_of(RUNS))),
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
            if let Some(held) = self.hold(row) {
                *held = Pending::unjudged(value);
            }
            return None;
        }
        let compared = self.compare(row, value, season);
        let state = &mut self.rows[row];
        let floor = state.floor(compared.expected[1], settings);
        let clean = state.clean.saturating_add(1).min(RUN_MAX as u8);
        state.clean = clean;
        let residuals = compared.residuals;
        let deviations = std::array::from_fn(|view| {
            let is_known = state.scales.seen[view] >= 5.0;
            if is_known { residuals[view] / larger(state.scales.values[view], floor) } else { 0.0 }
        });
        let statistics = state.past.take(deviations, &self.lengths);
        // Field by field: a copy of the whole would wait for what was just written.
        if let Some(held) = self.hold(row) {
            (held.value, held.floor, held.clean) = (value, floor, clean);
            (held.residuals, held.statistics) = (residuals, statistics.to_array());
        }
        if !self.is_warm(row) {
            return None;
        }
        Some(self.weigh(row, &Seen { compared, statistics, floor }, cut, settings))
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
    fn weigh(&mut self, row: usize, seen: &Seen, cut: f64, settings: &Settings) -> TailOpinion {
        let Seen { compared: Compared { expected: levels, residuals }, statistics, floor } = *seen;
        let state = &mut self.rows[row];
        // Three views look at each sample.
        let each = cut / VIEWS as f64;
        if (state.cut - each).abs() > 1e-6 * each {
            state.cut = each;
            state.fits.forget_boundaries();
        }
        let scales @ [of_first, of_local, of_long] = state.scales.values.map(|scale| larger(scale, floor));
        let [first_least, local_least, long_least] = levels.map(|level| least_half(level, settings));
        let boundaries = state.fits.boundaries(statistics, SHOWN, each, &self.priors).to_array();
        let statistics = statistics.to_array();
        let of_view = |view: usize, scale: f64, least: f64| {
            let of =
                |lanes: &[f32; LANES]| f64x2::new([lanes[view * RUNS].into(), lanes[view * RUNS + 1].into()]);
            let scale = f64x2::splat(scale);
            let half = (of(&boundaries) * scale).fast_max(f64x2::splat(least));
            ((of(&statistics) * scale / half).to_array(), half.to_array())
        };
        let (first, first_halves) = of_view(0, of_first, first_least);
        let (local, local_halves) = of_view(1, of_local, local_least);
        let (long, long_halves) = of_view(2, of_long, long_least);
        let is_young = state.fits.is_younger_than((VIEWS - 1) * RUNS, WARM_UP_LONG);
        let long = if is_young { [0.0; RUNS] } else { long };
        let (mut best, mut best_nth, mut half) = (0.0, SHOWN, local_halves[0]);
        let all = [(first, first_halves), (local, local_halves), (long, long_halves)];
        for (view, (scores, halves)) in all.into_iter().enumerate() {
            for nth in 0..RUNS {
                let is_better = scores[nth] > best;
                best = if is_better { scores[nth] } else { best };
                best_nth = if is_better { view * RUNS + nth } else { best_nth };
                half = if is_better { halves[nth] } else { half };
            }
        }
        let view = best_nth / RUNS;
        let deviation = [1, 2].map(|view| residuals[view].abs() / scales[view]);
        let is_seasonal = view == VIEWS - 1 && state.rung != Rung::Plain;
        TailOpinion {
            expected: levels[view],
            half,
            scale: scales[view],
            score: best.min(SCORE_MAX),
            side: if residuals[view] >= 0.0 { Side::Up } else { Side::Down },
            deviation: if is_seasonal { deviation[1] } else { larger(deviation[0], deviation[1]) },
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
        let cut = state.cut.max(f64::MIN_POSITIVE);
        let half = state.fits.boundary(SHOWN, cut, &self.priors[SHOWN]) * scale;
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
        let least = self.lengths.least;
        let state = &mut self.rows[row];
        if usize::from(state.pending) < least {
            return;
        }
        let oldest = usize::from(state.oldest);
        state.oldest = if oldest + 1 == least { 0 } else { state.oldest + 1 };
        state.pending -= 1;
        let first = self.pending[row * least + oldest];
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

    /// The place for a sample that is held back, if there is one.
    fn hold(&mut self, row: usize) -> Option<&mut Pending> {
        let (least, state) = (self.lengths.least, &mut self.rows[row]);
        let held = usize::from(state.pending);
        if held == least {
            return None;
        }
        state.pending += 1;
        let place = usize::from(state.oldest) + held;
        let place = if place < least { place } else { place - least };
        Some(&mut self.pending[row * least + place])
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
        }
        // A run that reaches back into an anomaly is none of the noise.
        let (clean, statistics) = (f32::from(pending.clean), f32x8::new(pending.statistics));
        let is_known = state.scales.seen.map(|seen| seen > 8.0);
        if is_known == [true; VIEWS] {
            state.fits.learn(statistics, f32x8::new(self.least), clean, &self.priors);
        } else {
            let of = |nth: usize| is_known.get(nth / RUNS).is_some_and(|is_known| *is_known);
            let least = std::array::from_fn(|nth| if of(nth) { self.least[nth] } else { f32::INFINITY });
            state.fits.learn(statistics, f32x8::new(least), clean, &self.priors);
        }
    }
}

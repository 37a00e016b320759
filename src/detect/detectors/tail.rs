//! The tail detector: residuals at several time scales, each against the fitted tail of its own past.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, times a stride"
)]

mod kept;
mod level;
mod reached;
mod row;
mod runs;
mod weigh;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wide::f32x8;

use self::level::{LOCAL, Levels};
use self::reached::History;
use self::row::{Row, larger, prior};
use self::runs::{FITS, Lengths, RUN_MAX, RUNS};
use self::weigh::{Compared, Seen};
use super::fit::{Fits, LANES, Prior};
use crate::detect::finding::Side;
use crate::detect::recurrence::Matter;
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

/// A sample that is not learnt yet: it may still be the beginning of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Pending {
    value: f64,
    residuals: [f64; VIEWS],
    statistics: [f32; LANES],
    /// 0 where the sample was not compared with anything.
    floor: f64,
    /// How many samples in a row, with this one, belong to no anomaly.
    clean: u8,
    /// Whether the value can be.
    is_valid: bool,
}

impl Pending {
    fn unjudged(value: f64) -> Self {
        Self {
            value,
            residuals: [0.0; VIEWS],
            statistics: [0.0; LANES],
            floor: 0.0,
            clean: 0,
            is_valid: true,
        }
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
    /// The deviation in scales: from the season where that decides, else from the local or the long level, the larger; of
    /// what is beyond all history, the score in sigmas.
    pub(in crate::detect) deviation: f64,
    /// What it is about.
    pub(in crate::detect) of: Matter,
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
    history: History,
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
            history: History::at(step),
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
        let deviation = |view: usize| {
            let is_known = state.scales.seen[view] >= 5.0;
            if is_known { residuals[view] / larger(state.scales.values[view], floor) } else { 0.0 }
        };
        // One by one: arrays that are made from arrays go through memory.
        let deviations = [deviation(0), deviation(1), deviation(2)];
        let statistics = state.past.take(deviations, &self.lengths);
        // Field by field: a copy of the whole would wait for what was just written.
        if let Some(held) = self.hold(row) {
            (held.value, held.floor, held.clean) = (value, floor, clean);
            held.is_valid = settings.valid.side(value).is_none();
            (held.residuals, held.statistics) = (residuals, statistics.to_array());
        }
        if !self.is_warm(row) {
            return None;
        }
        Some(self.weigh(row, &Seen { compared, value, statistics, floor }, cut, settings))
    }

    /// What a sample is compared with, and by how much it differs. The long view goes by the season where there is one.
    fn compare(&mut self, row: usize, value: f64, season: Option<Expectation>) -> Compared {
        let jump = self.levels.jump(row, JUMP.max(2 * self.lengths.least + 1));
        let mut expected = [jump, self.levels.local(row), self.levels.long(row)];
        let [jump, local, long] = expected;
        let mut residuals = [value - jump, value - local, value - long];
        let rung = season.map_or(Rung::Plain, |season| season.rung);
        if let Some(season) = season {
            residuals[VIEWS - 1] = season.beyond(value);
            expected[VIEWS - 1] = value - residuals[VIEWS - 1];
        }
        self.rows[row].see_by(rung, &self.priors);
        Compared { expected, residuals }
    }

    /// How many samples the level has, of how many that make it whole.
    pub(in crate::detect) fn held(&self, row: usize) -> (usize, usize) {
        (self.levels.accepted(row).min(LOCAL), LOCAL)
    }

    /// The half width of the band that is shown for the next sample.
    pub(in crate::detect) fn half_width(&self, row: usize, settings: &Settings) -> Option<f64> {
        let (level, scale) = self.expectation(row, settings)?;
        let state = &self.rows[row];
        let cut = state.cut_of(SHOWN).max(f64::MIN_POSITIVE);
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
        let from = row * self.lengths.least;
        let (state, all) = (&mut self.rows[row], &self.pending[from..from + self.lengths.least]);
        // What an anomaly reached is no news once it is over.
        let held =
            (0..usize::from(state.pending)).map(|nth| all[(usize::from(state.oldest) + nth) % all.len()]);
        held.filter(|pending| pending.is_valid).for_each(|pending| state.reached.hold(pending.value));
        (state.pending, state.clean) = (0, 0);
    }

    /// Samples become the level, whatever it was; scales and tails stay.
    pub(in crate::detect) fn rebase(&mut self, row: usize, values: &[f64]) {
        let before = self.levels.long(row);
        self.levels.restart(row, values);
        let state = &mut self.rows[row];
        (0..VIEWS).for_each(|view| state.past.forget_view(view));
        state.pending = 0;
        // What was normal stays so, and this is too.
        values.iter().for_each(|value| state.reached.take(*value, &self.history));
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
        self.rows[row].reached.take(pending.value, &self.history);
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

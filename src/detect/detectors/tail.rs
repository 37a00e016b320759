//! The tail detector: residuals at several time scales, each against the fitted tail of its own past.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, times a stride"
)]

use std::time::Duration;

use super::fit::{Fit, Prior};
use crate::detect::finding::Side;
use crate::detect::opinion::SCORE_MAX;
use crate::detect::season::{Expectation, Rung, SeasonSettings, Seasons};
use crate::detect::settings::Settings;
use crate::time::Timestamp;

/// Accepted samples that are remembered, for the long level.
const MEMORY: usize = 240;
/// The levels that a sample is compared with, in accepted samples: a jump, the local level, the long one. The first is
/// longer where it takes several samples to find something: what was too short to be found may not be the level from
/// which its end is a jump.
const LEVELS: [usize; VIEWS] = [3, 24, MEMORY];
const VIEWS: usize = 3;
/// Each view looks at two lengths of run.
const RUNS: usize = 2;
const FITS: usize = VIEWS * RUNS;
/// The longest run.
const RUN_MAX: usize = 12;
/// A fault that is over within this time is no reason to wake anybody: shorter steps need several samples in a row.
const LEAST_TIME: Duration = Duration::from_secs(120);
/// At most so many samples in a row are needed.
const LEAST_RUN_MAX: usize = 3;
/// No verdict before so many samples are learnt.
const WARM_UP: f64 = 18.0;
/// No level is made of fewer.
const LEAST_LEVEL: u32 = 5;
/// The long view is believed later, since its level is.
const WARM_UP_LONG: f32 = 100.0;
/// The long level is taken anew after so many samples.
const LONG_EVERY: u32 = 8;
/// Scales are means of about so many samples.
const SCALE_MEMORY: f64 = 240.0;
/// A residual teaches its scale at most so many times that.
const WINSOR: f64 = 4.0;
/// Until so many samples are learnt, the scale is the spread of the level's own samples.
const ROBUST_UNTIL: f64 = 48.0;
/// The median absolute deviation of a normal distribution times this is its standard deviation.
const MEDIAN_TO_DEVIATION: f64 = 1.4826;
/// The mean absolute deviation of a normal distribution times this is its standard deviation.
const MEAN_TO_DEVIATION: f64 = 1.2533;

/// How a view stands.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Scale {
    value: f64,
    seen: f64,
}

/// A sample that is not learnt yet: it may still be the beginning of what is found.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Pending {
    value: f64,
    residuals: [f64; VIEWS],
    statistics: [f32; FITS],
    floor: f64,
    /// How many samples in a row, with this one, belong to no anomaly.
    clean: u8,
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
    /// How many samples in a row it takes.
    least_run: usize,
    runs: [[usize; RUNS]; VIEWS],
    accepted: Vec<f64>,
    accepted_count: Vec<u32>,
    long: Vec<f64>,
    /// The smallest usual difference of two samples in a row.
    quantum: Vec<f64>,
    last: Vec<f64>,
    scales: Vec<[Scale; VIEWS]>,
    fits: Vec<[Fit; FITS]>,
    /// Residuals in scales, signed: the last of each view, oldest first.
    past: Vec<[[f32; RUN_MAX]; VIEWS]>,
    past_len: Vec<[u8; VIEWS]>,
    pending: Vec<[Pending; LEAST_RUN_MAX]>,
    pending_len: Vec<u8>,
    /// How many samples there were since one that belongs to an anomaly.
    clean: Vec<u8>,
    /// The probability that the boundaries of a row are for.
    cut: Vec<f64>,
    seasons: Seasons,
    /// By which rung the long view sees.
    rungs: Vec<Rung>,
}

/// What a sample is compared with.
#[derive(Debug, Clone, Copy)]
struct Levels {
    expected: [f64; VIEWS],
    residuals: [f64; VIEWS],
}

/// The least run at a step: as many samples as two minutes hold, at most three. A sample that stands for minutes is as
/// good as several.
fn least_run(step: Duration) -> usize {
    (LEAST_TIME.as_secs_f64() / step.as_secs_f64().max(1e-3)).ceil().clamp(1.0, LEAST_RUN_MAX as f64) as usize
}

impl Tail {
    pub(in crate::detect) fn new(settings: &Settings, step: Duration) -> Self {
        let least_run = least_run(step);
        let longer = if least_run < LEAST_RUN_MAX { LEAST_RUN_MAX } else { 2 * LEAST_RUN_MAX };
        Self {
            least_run,
            runs: [[least_run, longer], [least_run, longer], [least_run, RUN_MAX]],
            accepted: Vec::new(),
            accepted_count: Vec::new(),
            long: Vec::new(),
            quantum: Vec::new(),
            last: Vec::new(),
            scales: Vec::new(),
            fits: Vec::new(),
            past: Vec::new(),
            past_len: Vec::new(),
            pending: Vec::new(),
            pending_len: Vec::new(),
            clean: Vec::new(),
            cut: Vec::new(),
            seasons: Seasons::new(&SeasonSettings::of(settings), step),
            rungs: Vec::new(),
        }
    }

    pub(in crate::detect) fn grow(&mut self) {
        let row = self.accepted_count.len();
        self.accepted.resize((row + 1) * MEMORY, 0.0);
        self.accepted_count.push(0);
        self.long.push(0.0);
        self.quantum.push(0.0);
        self.last.push(f64::NAN);
        self.scales.push([Scale::default(); VIEWS]);
        self.fits.push(self.blank_fits());
        self.past.push([[0.0; RUN_MAX]; VIEWS]);
        self.past_len.push([0; VIEWS]);
        self.pending.push([Pending::default(); LEAST_RUN_MAX]);
        self.pending_len.push(0);
        self.clean.push(0);
        self.cut.push(0.0);
        self.seasons.grow();
        self.rungs.push(Rung::Plain);
    }

    pub(in crate::detect) fn forget(&mut self, row: usize) {
        self.accepted_count[row] = 0;
        (self.long[row], self.quantum[row], self.last[row]) = (0.0, 0.0, f64::NAN);
        self.scales[row] = [Scale::default(); VIEWS];
        self.fits[row] = self.blank_fits();
        (self.past_len[row], self.pending_len[row]) = ([0; VIEWS], 0);
        self.seasons.forget(row);
        (self.rungs[row], self.clean[row]) = (Rung::Plain, 0);
    }

    /// Whether it gives verdicts.
    pub(in crate::detect) fn is_warm(&self, row: usize) -> bool {
        self.scales[row][1].seen >= WARM_UP && self.accepted_count[row] >= LEAST_LEVEL
    }

    fn blank_fits(&self) -> [Fit; FITS] {
        std::array::from_fn(|nth| Fit::new(&self.prior(nth)))
    }

    fn run_of(&self, nth: usize) -> usize {
        self.runs[nth / RUNS][nth % RUNS]
    }

    /// The least of `k` independent samples with a tail of shape s has one of shape s/k: longer runs are held to a
    /// lighter tail.
    fn prior(&self, nth: usize) -> Prior {
        let run = self.run_of(nth) as f64;
        let (threshold, mean) = if nth.is_multiple_of(RUNS) { (2.5, 0.6) } else { (1.5, 0.4) };
        Prior { threshold, mean, shape: 0.3 / run, least_shape: 0.1 / run }
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
        let season = self.seasons.expect(row, at);
        // A season is learnt from every sample: it takes several cycles that agree, so that an outage is no habit.
        let _ = self.seasons.learn(row, at.as_millis(), value);
        self.note_quantum(row, value);
        let held = (self.accepted_count[row] as usize).min(MEMORY);
        if held < LEAST_LEVEL as usize {
            self.hold(row, Pending { value, ..Pending::default() });
            return None;
        }
        let levels = self.levels(row, value, season);
        let floor = self.floor(row, levels.expected[1], settings);
        let residuals = levels.residuals;
        let clean = self.clean[row].saturating_add(1).min(RUN_MAX as u8);
        self.clean[row] = clean;
        let mut pending = Pending { value, residuals, statistics: [0.0; FITS], floor, clean };
        for (view, residual) in residuals.into_iter().enumerate() {
            let scale = self.scales[row][view];
            let deviation = if scale.seen < 5.0 { 0.0 } else { residual / scale.value.max(floor) };
            self.take_statistics(row, view, deviation, &mut pending.statistics);
        }
        self.hold(row, pending);
        if !self.is_warm(row) {
            return None;
        }
        Some(self.weigh(row, &pending, levels.expected, cut, settings))
    }

    /// What a sample is compared with, and by how much it differs. The long view goes by the season where there is one.
    fn levels(&mut self, row: usize, value: f64, season: Option<Expectation>) -> Levels {
        let jump = LEVELS[0].max(2 * self.least_run + 1);
        let mut expected = [self.level(row, jump), self.level(row, LEVELS[1]), self.long[row]];
        let mut residuals = expected.map(|level| value - level);
        let season = season.filter(|season| season.rung != Rung::Plain);
        let rung = season.map_or(Rung::Plain, |season| season.rung);
        if let Some(season) = season {
            residuals[VIEWS - 1] = season.beyond(value);
            expected[VIEWS - 1] = value - residuals[VIEWS - 1];
        }
        if rung != self.rungs[row] {
            // Residuals from another level are another statistic.
            self.rungs[row] = rung;
            self.scales[row][VIEWS - 1] = Scale::default();
            self.past_len[row][VIEWS - 1] = 0;
            for nth in (VIEWS - 1) * RUNS..FITS {
                self.fits[row][nth] = Fit::new(&self.prior(nth));
            }
        }
        Levels { expected, residuals }
    }

    /// The runs that end with a sample: the least deviation of each, 0 where they change sides.
    fn take_statistics(&mut self, row: usize, view: usize, deviation: f64, into: &mut [f32; FITS]) {
        let past = &mut self.past[row][view];
        past.copy_within(1.., 0);
        past[RUN_MAX - 1] = deviation as f32;
        let len = &mut self.past_len[row][view];
        *len = (*len + 1).min(RUN_MAX as u8);
        let is_up = deviation >= 0.0;
        let (mut least, mut length) = (f32::MAX, 0);
        let runs = self.runs[view];
        for one in past.iter().rev().take(*len as usize) {
            if (*one >= 0.0) != is_up {
                break;
            }
            (least, length) = (least.min(one.abs()), length + 1);
            for (nth, run) in runs.iter().enumerate() {
                if length == *run {
                    into[view * RUNS + nth] = least;
                }
            }
        }
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
        // Three views look at each sample.
        let each = cut / VIEWS as f64;
        if (self.cut[row] - each).abs() > 1e-6 * each {
            self.cut[row] = each;
            self.fits[row].iter_mut().for_each(Fit::forget_boundary);
        }
        // The local view is the one shown where nothing is found.
        let mut best = (0.0, RUNS);
        for nth in 0..FITS {
            let view = nth / RUNS;
            if nth % RUNS == 1 && self.runs[view][0] == self.runs[view][1] {
                continue;
            }
            if view == VIEWS - 1 && self.fits[row][nth].is_younger_than(WARM_UP_LONG) {
                continue;
            }
            let statistic = f64::from(pending.statistics[nth]);
            if statistic <= 0.0 {
                continue;
            }
            let scale = self.scales[row][view].value.max(pending.floor);
            let half = self.half(row, nth, scale, levels[view], settings);
            let score = statistic * scale / half;
            if score > best.0 {
                best = (score, nth);
            }
        }
        let (score, nth) = best;
        let view = nth / RUNS;
        let scale = self.scales[row][view].value.max(pending.floor);
        let deviation = [1, 2].map(|view| {
            let scale = self.scales[row][view].value.max(pending.floor);
            pending.residuals[view].abs() / scale
        });
        let is_seasonal = view == VIEWS - 1 && self.rungs[row] != Rung::Plain;
        TailOpinion {
            expected: levels[view],
            half: self.half(row, nth, scale, levels[view], settings),
            scale,
            score: score.min(SCORE_MAX),
            side: if pending.residuals[view] >= 0.0 { Side::Up } else { Side::Down },
            deviation: if is_seasonal { deviation[1] } else { deviation[0].max(deviation[1]) },
            is_seasonal,
            run: self.run_of(nth),
        }
    }

    fn half(&mut self, row: usize, nth: usize, scale: f64, level: f64, settings: &Settings) -> f64 {
        let (prior, each) = (self.prior(nth), self.cut[row]);
        let boundary = self.fits[row][nth].boundary(each, &prior);
        (boundary * scale)
            .max(settings.min_deviation_absolute)
            .max(settings.min_deviation_relative * level.abs())
            .max(f64::MIN_POSITIVE.sqrt())
    }

    /// How many samples the level has, of how many that make it whole.
    pub(in crate::detect) fn held(&self, row: usize) -> (usize, usize) {
        ((self.accepted_count[row] as usize).min(LEVELS[1]), LEVELS[1])
    }

    /// The half width of the band that is shown for the next sample.
    pub(in crate::detect) fn half_width(&self, row: usize, settings: &Settings) -> Option<f64> {
        let (level, scale) = self.expectation(row, settings)?;
        let mut fit = self.fits[row][RUNS];
        let cut = self.cut[row].max(f64::MIN_POSITIVE);
        let half = fit.boundary(cut, &self.prior(RUNS)) * scale;
        Some(half.max(settings.min_deviation_absolute).max(settings.min_deviation_relative * level.abs()))
    }

    /// What is expected next, and the scale of that; `None` while it warms up.
    pub(in crate::detect) fn expectation(&self, row: usize, settings: &Settings) -> Option<(f64, f64)> {
        if !self.is_warm(row) {
            return None;
        }
        let level = self.level(row, LEVELS[1]);
        Some((level, self.scales[row][1].value.max(self.floor(row, level, settings))))
    }

    /// Takes the samples that were held back long enough; the last `least_run - 1` may still be the beginning of
    /// something.
    pub(in crate::detect) fn learn(&mut self, row: usize) {
        while self.pending_len[row] as usize >= self.least_run {
            let first = self.pending[row][0];
            self.pending[row].copy_within(1.., 0);
            self.pending_len[row] -= 1;
            self.take(row, &first);
        }
    }

    /// Drops what was held back: it belongs to what was found.
    pub(in crate::detect) fn drop_pending(&mut self, row: usize) {
        (self.pending_len[row], self.clean[row]) = (0, 0);
    }

    /// Samples become the level, whatever it was; scales and tails stay.
    pub(in crate::detect) fn rebase(&mut self, row: usize, values: &[f64]) {
        self.accepted_count[row] = 0;
        (self.past_len[row], self.pending_len[row]) = ([0; VIEWS], 0);
        for value in values.iter().skip(values.len().saturating_sub(LEVELS[1])) {
            self.accept(row, *value);
        }
        let before = self.long[row];
        self.long[row] = self.level(row, MEMORY);
        // What varies more than before is not only elsewhere: two levels in turn are no outage each time.
        let level = self.long[row];
        let kept = values.len().min(LEVELS[1]).max(1) as f64;
        let apart =
            values.iter().rev().take(LEVELS[1]).map(|value| (value - level).abs()).sum::<f64>() / kept;
        for scale in &mut self.scales[row] {
            scale.value = scale.value.max(MEAN_TO_DEVIATION * apart);
        }
        self.seasons.shift(row, self.long[row] - before);
    }

    fn hold(&mut self, row: usize, pending: Pending) {
        let len = self.pending_len[row] as usize;
        if let Some(place) = self.pending[row].get_mut(len) {
            *place = pending;
            self.pending_len[row] += 1;
        }
    }

    fn take(&mut self, row: usize, pending: &Pending) {
        self.accept(row, pending.value);
        if pending.floor <= 0.0 {
            return;
        }
        // A fault among the first samples may not make the scale: it would hide the next ones.
        let is_early = self.scales[row].iter().any(|scale| scale.seen < ROBUST_UNTIL);
        let early = if is_early { self.spread(row) } else { 0.0 };
        for view in 0..VIEWS {
            let scale = &mut self.scales[row][view];
            scale.seen = (scale.seen + 1.0).min(SCALE_MEMORY);
            if scale.seen <= ROBUST_UNTIL {
                scale.value = early;
            } else {
                let residual = pending.residuals[view].abs().min(WINSOR * scale.value.max(pending.floor));
                scale.value += (MEAN_TO_DEVIATION * residual - scale.value) / scale.seen;
            }
            if scale.seen > 8.0 {
                for nth in view * RUNS..(view + 1) * RUNS {
                    // A run that reaches back into an anomaly is none of the noise.
                    if self.runs[view][nth % RUNS] <= usize::from(pending.clean) {
                        self.fits[row][nth].learn(pending.statistics[nth]);
                    }
                }
            }
        }
    }

    fn accept(&mut self, row: usize, value: f64) {
        let place = (self.accepted_count[row] as usize) % MEMORY;
        self.accepted[row * MEMORY + place] = value;
        // Counts on by whole rings, so that the place stays right.
        let next = self.accepted_count[row] + 1;
        self.accepted_count[row] =
            if next >= u32::MAX - 1 { next % MEMORY as u32 + MEMORY as u32 } else { next };
        if next.is_multiple_of(LONG_EVERY) || next <= LONG_EVERY {
            self.long[row] = self.level(row, MEMORY);
        }
    }

    /// The median of the last accepted samples.
    fn level(&self, row: usize, points: usize) -> f64 {
        let count = self.accepted_count[row] as usize;
        let held = count.min(MEMORY).min(points);
        let mut values = [0.0; MEMORY];
        for (nth, value) in values.iter_mut().take(held).enumerate() {
            *value = self.accepted[row * MEMORY + (count - 1 - nth) % MEMORY];
        }
        let values = &mut values[..held];
        if values.is_empty() {
            return 0.0;
        }
        let (_, middle, _) = values.select_nth_unstable_by(held / 2, f64::total_cmp);
        *middle
    }

    /// The median absolute deviation of the accepted samples, as a standard deviation.
    fn spread(&self, row: usize) -> f64 {
        let held = (self.accepted_count[row] as usize).min(MEMORY);
        let middle = self.level(row, MEMORY);
        let mut distances = [0.0; MEMORY];
        for (distance, value) in distances.iter_mut().zip(&self.accepted[row * MEMORY..row * MEMORY + held]) {
            *distance = (value - middle).abs();
        }
        let distances = &mut distances[..held];
        if distances.is_empty() {
            return 0.0;
        }
        let (_, median, _) = distances.select_nth_unstable_by(held / 2, f64::total_cmp);
        MEDIAN_TO_DEVIATION * *median
    }

    /// A scale is never below what the series' own resolution and the settings say.
    fn floor(&self, row: usize, level: f64, settings: &Settings) -> f64 {
        (settings.scale_floor_relative * level.abs())
            .max(settings.scale_floor_absolute)
            .max(self.quantum[row])
            .max(f64::MIN_POSITIVE.sqrt())
    }

    /// Follows the smallest usual difference: at once downwards, slowly upwards.
    fn note_quantum(&mut self, row: usize, value: f64) {
        let difference = (value - self.last[row]).abs();
        self.last[row] = value;
        let quantum = &mut self.quantum[row];
        if difference > 0.0 && difference.is_finite() {
            *quantum = if *quantum <= 0.0 { difference } else { difference.min(*quantum * 1.002) };
        }
    }
}

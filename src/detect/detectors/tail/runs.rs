//! Runs of samples: the least deviation of the last few, where all of them lie on one side.
#![expect(clippy::indexing_slicing, reason = "a numeric kernel: views, runs and rows are below their counts")]

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wide::f32x8;

use super::VIEWS;
use crate::detect::detectors::fit::LANES;

/// Each view looks at two lengths of run.
pub(super) const RUNS: usize = 2;
/// How many statistics a sample ends.
pub(super) const FITS: usize = VIEWS * RUNS;
/// The longest run.
pub(super) const RUN_MAX: usize = 12;
/// At most so many samples in a row are needed.
pub(super) const LEAST_RUN_MAX: usize = 3;
/// A fault that is over within this time is no reason to wake anybody: shorter steps need several samples in a row.
const LEAST_TIME: Duration = Duration::from_secs(120);

/// Which lengths of run are looked at, by view.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// How many samples in a row it takes at least.
    pub(super) least: usize,
    by_view: [[usize; RUNS]; VIEWS],
}

impl Lengths {
    /// The least run at a step has as many samples as two minutes hold, at most three: a sample that stands for minutes
    /// is as good as several.
    pub(super) fn at(step: Duration) -> Self {
        let samples = (LEAST_TIME.as_secs_f64() / step.as_secs_f64().max(1e-3)).ceil();
        let least = samples.clamp(1.0, LEAST_RUN_MAX as f64) as usize;
        let longer = if least < LEAST_RUN_MAX { LEAST_RUN_MAX } else { 2 * LEAST_RUN_MAX };
        Self { least, by_view: [[least, longer], [least, longer], [least, RUN_MAX]] }
    }

    /// The length of the run that a statistic is of.
    pub(super) fn of(&self, nth: usize) -> usize {
        self.by_view[nth / RUNS][nth % RUNS]
    }

    /// The lengths of all runs; infinite beyond the last.
    pub(super) fn by_lane(&self) -> [f32; LANES] {
        std::array::from_fn(|nth| if nth < FITS { self.of(nth) as f32 } else { f32::INFINITY })
    }
}

/// A ring of deviations has room for the longest run, and a length that a mask can wrap.
const RING: usize = RUN_MAX.next_power_of_two();

/// How far out the last samples of one series were, in scales.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Past {
    sizes: [[f32; RING]; VIEWS],
    /// Whether the last one was above.
    is_up: [bool; VIEWS],
    /// How many of the last lie on one side, as far as it is counted.
    run: [u8; VIEWS],
    place: u8,
}

impl Past {
    pub(super) const EMPTY: Self =
        Self { sizes: [[0.0; RING]; VIEWS], is_up: [false; VIEWS], run: [0; VIEWS], place: 0 };

    pub(super) fn is_sound(&self) -> bool {
        self.sizes.iter().flatten().all(|size| *size >= 0.0)
            && self.run.iter().all(|run| usize::from(*run) <= RUN_MAX)
            && usize::from(self.place) < RING
    }

    pub(super) fn forget_view(&mut self, view: usize) {
        self.run[view] = 0;
    }

    /// Takes the signed deviations of a sample and says how strong the runs are that end with it: the least deviation of
    /// each, 0 where they change sides.
    pub(super) fn take(&mut self, deviations: [f64; VIEWS], lengths: &Lengths) -> f32x8 {
        let place = usize::from(self.place);
        self.place = ((place + 1) % RING) as u8;
        let mut of = |view: usize| self.take_one(view, place, deviations[view], lengths.by_view[view]);
        let ([a, b], [c, d], [e, f]) = (of(0), of(1), of(2));
        f32x8::new([a, b, c, d, e, f, 0.0, 0.0])
    }

    #[inline]
    fn take_one(&mut self, view: usize, place: usize, deviation: f64, lengths: [usize; RUNS]) -> [f32; RUNS] {
        let is_up = deviation >= 0.0;
        // Without a branch, since noise makes a guess of each.
        let run = (u8::from(is_up == self.is_up[view]) * self.run[view] + 1).min(RUN_MAX as u8);
        (self.is_up[view], self.run[view]) = (is_up, run);
        self.sizes[view][place] = deviation.abs() as f32;
        let [short, long] = lengths;
        let least = self.least_of_last(view, short);
        // Runs of noise are short: whether a short one is there is anybody's guess, whether a long one is hardly any.
        let longer = if usize::from(run) >= long { self.least_of_last(view, long) } else { 0.0 };
        [if usize::from(run) >= short { least } else { 0.0 }, longer]
    }

    /// The least of the last so many.
    #[inline]
    fn least_of_last(&self, view: usize, length: usize) -> f32 {
        let last = RING + usize::from(self.place) - 1;
        let size = |ago: usize| self.sizes[view][(last - ago) % RING];
        (0..length).map(size).fold(f32::INFINITY, |least, one| if one < least { one } else { least })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_takes_as_long_as_two_minutes_and_no_more_than_three_samples() {
        let least = [5, 15, 60, 90, 300, 3600].map(|s| Lengths::at(Duration::from_secs(s)).least);
        assert_eq!(least, [3, 3, 2, 2, 1, 1]);
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the statistics are the samples themselves")]
    fn a_run_is_as_strong_as_its_weakest_sample_and_ends_where_the_side_changes() {
        let lengths = Lengths::at(Duration::from_secs(60));
        let mut past = Past::EMPTY;
        let of = |past: &mut Past, deviation| {
            let [first, second, ..] = past.take([deviation; VIEWS], &lengths).to_array();
            [first, second]
        };
        assert_eq!(of(&mut past, -9.0), [0.0, 0.0]);
        assert_eq!(of(&mut past, 4.0), [0.0, 0.0]);
        assert_eq!(of(&mut past, 7.0), [4.0, 0.0]);
        assert_eq!(of(&mut past, 5.0), [5.0, 4.0]);
        past.forget_view(0);
        assert_eq!(of(&mut past, 5.0), [0.0, 0.0]);
    }
}

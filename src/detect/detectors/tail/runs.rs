//! Runs of samples: the least deviation of the last few, where all of them lie on one side.
#![expect(clippy::indexing_slicing, reason = "a numeric kernel: views, runs and rows are below their counts")]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::VIEWS;

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

    /// Whether a statistic is the same as the one before.
    pub(super) fn is_repeated(&self, nth: usize) -> bool {
        nth % RUNS == 1 && self.of(nth) == self.of(nth - 1)
    }
}

/// The last deviations of one series, in scales and signed, oldest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Past {
    deviations: [[f32; RUN_MAX]; VIEWS],
    len: [u8; VIEWS],
}

impl Past {
    pub(super) fn is_sound(&self) -> bool {
        let is_number = |deviation: &f32| !deviation.is_nan();
        self.deviations.iter().flatten().all(is_number)
            && self.len.iter().all(|len| usize::from(*len) <= RUN_MAX)
    }

    pub(super) const EMPTY: Self = Self { deviations: [[0.0; RUN_MAX]; VIEWS], len: [0; VIEWS] };

    pub(super) fn forget_view(&mut self, view: usize) {
        self.len[view] = 0;
    }

    /// Takes a deviation and says how strong the runs are that end with it: the least deviation of each, 0 where they
    /// change sides.
    pub(super) fn take(&mut self, view: usize, deviation: f64, lengths: &Lengths) -> [f32; RUNS] {
        let past = &mut self.deviations[view];
        let before = *past;
        *past = std::array::from_fn(|nth| before.get(nth + 1).copied().unwrap_or(deviation as f32));
        let held = (self.len[view] + 1).min(RUN_MAX as u8);
        self.len[view] = held;
        let is_up = deviation >= 0.0;
        let (mut least, mut length) = (f32::MAX, 0);
        let mut statistics = [0.0; RUNS];
        let lengths = lengths.by_view[view];
        for one in past.iter().rev().take(usize::from(held)) {
            if (*one >= 0.0) != is_up {
                break;
            }
            (least, length) = (least.min(one.abs()), length + 1);
            if length == lengths[0] {
                statistics[0] = least;
            }
            if length == lengths[1] {
                statistics[1] = least;
                break;
            }
        }
        statistics
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
        let of = |past: &mut Past, deviation| past.take(0, deviation, &lengths);
        assert_eq!(of(&mut past, -9.0), [0.0, 0.0]);
        assert_eq!(of(&mut past, 4.0), [0.0, 0.0]);
        assert_eq!(of(&mut past, 7.0), [4.0, 0.0]);
        assert_eq!(of(&mut past, 5.0), [5.0, 4.0]);
        past.forget_view(0);
        assert_eq!(of(&mut past, 5.0), [0.0, 0.0]);
    }
}

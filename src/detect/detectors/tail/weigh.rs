//! How far out a sample is: by the strongest of its statistics, and by all that the series has reached.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, a view or a statistic"
)]

use wide::{f32x8, f64x2};

use super::reached::FLOORS;
use super::row::{larger, least_half};
use super::runs::{FITS, RUNS};
use super::{LANES, SHOWN, Tail, TailOpinion, VIEWS, WARM_UP_LONG};
use crate::detect::finding::Side;
use crate::detect::opinion::SCORE_MAX;
use crate::detect::recurrence::Matter;
use crate::detect::settings::Settings;

/// What a sample is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Compared {
    pub(super) expected: [f64; VIEWS],
    pub(super) residuals: [f64; VIEWS],
}

/// What there is to weigh of a sample.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen {
    pub(super) compared: Compared,
    pub(super) value: f64,
    /// How strong the runs are that end with it.
    pub(super) statistics: f32x8,
    pub(super) floor: f64,
}

/// The score of each statistic, with the half width of its band.
#[derive(Debug, Clone, Copy)]
struct Scored {
    scores: [f64; FITS],
    halves: [f64; FITS],
}

/// The side of a deviation.
fn side_of(residual: f64) -> Side {
    if residual >= 0.0 { Side::Up } else { Side::Down }
}

impl Scored {
    /// The strongest, with its half width; what is shown where there is none.
    #[inline]
    fn strongest(&self) -> (usize, f64, f64) {
        let (mut best, mut best_nth, mut half) = (0.0, SHOWN, self.halves[SHOWN]);
        for nth in 0..FITS {
            // Without a branch, since noise makes a guess of each.
            let is_better = self.scores[nth] > best;
            best = if is_better { self.scores[nth] } else { best };
            best_nth = if is_better { nth } else { best_nth };
            half = if is_better { self.halves[nth] } else { half };
        }
        (best_nth, best, half)
    }
}

impl Tail {
    /// The strongest statistic decides: how far it is out, in terms of its boundary.
    #[inline]
    pub(super) fn weigh(&mut self, row: usize, seen: &Seen, cut: f64, settings: &Settings) -> TailOpinion {
        let Seen { compared: Compared { expected: levels, .. }, statistics, floor, value } = seen;
        let state = &mut self.rows[row];
        state.cut_at(cut, &self.history);
        // One by one: arrays that are made from arrays go through memory.
        let of =
            |view: usize| (larger(state.scales.values[view], *floor), least_half(levels[view], settings));
        let (first, local, long) = (of(0), of(1), of(2));
        // What a season foretells is held to the whole cut.
        let (within, seasonal) = (state.cut, state.cut_of((VIEWS - 1) * RUNS));
        let cut_of = |nth: usize| if nth / RUNS == VIEWS - 1 { seasonal } else { within };
        let boundaries = state.fits.boundaries(*statistics, SHOWN, cut_of, &self.priors).to_array();
        let statistics = statistics.to_array();
        let of_view = |view: usize, (scale, least): (f64, f64)| {
            let of =
                |lanes: &[f32; LANES]| f64x2::new([lanes[view * RUNS].into(), lanes[view * RUNS + 1].into()]);
            let scale = f64x2::splat(scale);
            let half = (of(&boundaries) * scale).fast_max(f64x2::splat(least));
            ((of(&statistics) * scale / half).to_array(), half.to_array())
        };
        let ([a, b], [at_a, at_b]) = of_view(0, first);
        let ([c, d], [at_c, at_d]) = of_view(1, local);
        let ([e, f], [at_e, at_f]) = of_view(2, long);
        // The long view is believed later, since its level is.
        let is_young = state.fits.is_younger_than((VIEWS - 1) * RUNS, WARM_UP_LONG);
        let [e, f] = if is_young { [0.0; RUNS] } else { [e, f] };
        let scored = Scored { scores: [a, b, c, d, e, f], halves: [at_a, at_b, at_c, at_d, at_e, at_f] };
        if state.share < 1.0 && state.reached.is_outside(*value) {
            // A copy: what is lent to a call cannot stay in registers.
            return self.weigh_beyond(row, *seen, scored, settings);
        }
        self.opinion(row, seen, &scored)
    }

    /// What the strongest statistic says.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "it is called for each sample, and once more where hardly any comes"
    )]
    fn opinion(&self, row: usize, seen: &Seen, scored: &Scored) -> TailOpinion {
        let state = &self.rows[row];
        let (nth, score, half) = scored.strongest();
        let view = nth / RUNS;
        let scale_of = |view: usize| larger(state.scales.values[view], seen.floor);
        let deviation = |view: usize| seen.compared.residuals[view].abs() / scale_of(view);
        let (deviation, of) = if state.is_seasonal(view) {
            (deviation(2), Matter::Season)
        } else {
            (larger(deviation(1), deviation(2)), Matter::Level)
        };
        TailOpinion {
            expected: seen.compared.expected[view],
            half,
            scale: scale_of(view),
            score: score.min(SCORE_MAX),
            side: side_of(seen.compared.residuals[view]),
            deviation,
            of,
            run: self.lengths.of(nth),
        }
    }

    /// The same of a sample beyond all that the series has reached lately: there the whole cut counts, and what the history
    /// says of it.
    #[cold]
    #[inline(never)]
    fn weigh_beyond(
        &mut self,
        row: usize,
        seen: Seen,
        mut scored: Scored,
        settings: &Settings,
    ) -> TailOpinion {
        let state = &self.rows[row];
        let statistics = seen.statistics.to_array();
        for (nth, statistic) in statistics.into_iter().enumerate().take(FITS) {
            let view = nth / RUNS;
            let is_news = state.reached.is_beyond(side_of(seen.compared.residuals[view]), seen.value);
            // Below the threshold of the tail nothing is found at any probability.
            if is_news && scored.scores[nth] > 0.0 && state.fits.is_exceeded_by(nth, statistic) {
                let scale = larger(state.scales.values[view], seen.floor);
                let boundary = state.fits.boundary_at(nth, state.cut / state.share, &self.priors[nth]);
                let half = larger(boundary * scale, least_half(seen.compared.expected[view], settings));
                (scored.scores[nth], scored.halves[nth]) = (f64::from(statistic) * scale / half, half);
            }
        }
        let found = self.opinion(row, &seen, &scored);
        self.weigh_history(row, &seen, found, settings).unwrap_or(found)
    }

    /// What the history says of a sample beyond all of it, where that is stronger.
    fn weigh_history(
        &mut self,
        row: usize,
        seen: &Seen,
        found: TailOpinion,
        settings: &Settings,
    ) -> Option<TailOpinion> {
        let (from, held) = (row * self.lengths.least, usize::from(self.rows[row].pending));
        if held < self.lengths.least {
            return None;
        }
        let (level, residual) = (seen.compared.expected[1], seen.compared.residuals[1]);
        let side = side_of(residual);
        let values = self.pending[from..from + held].iter().map(|pending| pending.value);
        // As many samples in a row as any view asks for.
        let nearest = match side {
            Side::Up => values.fold(f64::INFINITY, f64::min),
            Side::Down => values.fold(f64::NEG_INFINITY, f64::max),
        };
        let state = &mut self.rows[row];
        let middle = state.reached.middle();
        let cut = VIEWS as f64 * state.cut / state.share;
        let floor = larger(settings.scale_floor_absolute, settings.scale_floor_relative * middle.abs());
        let edge = state.reached.edge(side, cut, larger(FLOORS * floor, state.quantum), &self.history);
        let least = least_half(level, settings);
        let score = (nearest - middle) / (edge - middle);
        let score = score.min(residual.abs() / least).min(SCORE_MAX);
        if score <= 1.0 || score.is_nan() {
            return None;
        }
        // What is larger than ever has not come again and again.
        let (of, deviation) = (Matter::History, score * settings.sigma);
        if found.score >= score {
            return (found.side == side).then_some(TailOpinion { of, deviation, ..found });
        }
        Some(TailOpinion {
            half: larger((edge - level).abs(), least),
            score,
            side,
            expected: level,
            scale: larger(state.scales.values[1], seen.floor),
            deviation,
            of,
            run: self.lengths.least,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::time::Timestamp;

    const STEP_S: i64 = 300;
    const DAYS: i64 = 3;

    /// Noise between 90 and 110 without a pattern, and 40 more in the two bursts, of three samples each and two hours apart.
    fn value(nth: i64, bursts: &[i64]) -> f64 {
        let mixed = (nth as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let noise =
            ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1_u64 << 24) as f64;
        let is_burst = bursts.iter().any(|burst| (*burst..burst + 3).contains(&nth));
        90.0 + 20.0 * noise + if is_burst { 40.0 } else { 0.0 }
    }

    /// The highest score in each burst, by a detector that leaves out what scores above 1.
    fn scores(settings: &Settings, bursts: &[i64]) -> Vec<(f64, Matter)> {
        let mut tail = Tail::new(settings, Duration::from_secs(STEP_S as u64));
        tail.grow();
        let mut highest = vec![(0.0, Matter::Level); bursts.len()];
        for nth in 0..DAYS * 86_400 / STEP_S {
            let at = Timestamp::from_millis(1_700_000_000_000 + nth * STEP_S * 1000);
            let found = tail.judge(0, (at, value(nth, bursts)), 1e-6, settings);
            let score = found.map_or(0.0, |found| found.score);
            if score > 1.0 {
                tail.drop_pending(0)
            } else {
                tail.learn(0)
            }
            for (burst, highest) in bursts.iter().zip(&mut highest) {
                if (*burst..burst + 3).contains(&nth) && score > highest.0 {
                    *highest = (score, found.map_or(Matter::Level, |found| found.of));
                }
            }
        }
        highest
    }

    #[test]
    fn a_burst_that_is_higher_than_ever_is_no_habit_and_its_repetition_is_weaker_evidence() {
        let settings = Settings::default();
        let found = scores(&settings, &[700, 724]);
        assert!(
            matches!(found[..], [(first, Matter::History), (second, of)]
            if first > 1.2 && second > 1.0 && second < 0.95 * first && of == Matter::Level),
            "{found:?}"
        );
    }

    #[test]
    fn without_a_day_of_history_the_whole_cut_counts() {
        let settings = Settings::default();
        let found = scores(&settings, &[200, 224]);
        let is_no_weaker =
            matches!(found[..], [(first, Matter::Level), (second, Matter::Level)] if second > 0.95 * first);
        assert!(is_no_weaker, "{found:?}");
    }

    #[test]
    fn what_cannot_be_does_not_become_what_was_reached() {
        let mut settings = Settings::default();
        settings.valid.max = Some(120.0);
        let found = scores(&settings, &[700, 724]);
        assert!(
            matches!(found[..], [(first, Matter::History), (second, Matter::History)]
            if (first / second - 1.0).abs() < 0.1),
            "{found:?}"
        );
    }
}

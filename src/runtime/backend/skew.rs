//! How far the backend's clock is from the agent's, by the `Date` of its answers.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// So many answers make the estimate: their median, so that one odd answer moves nothing.
const ANSWERS: usize = 5;
/// A `Date` has whole seconds and an answer has its way to go: what is nearer than this is no skew.
pub(super) const DEAD_BAND_MS: i64 = 5_000;
/// A `Date` is cut to the second.
const CUT_MS: i64 = 1_000;

/// What the last answers said about the backend's clock.
#[derive(Debug, Default)]
pub(super) struct Skew {
    /// The backend's clock less the agent's, in milliseconds, the oldest first.
    seen: VecDeque<i64>,
}

impl Skew {
    /// Takes the `Date` of an answer that was asked for and came at these times of the agent's clock.
    ///
    /// It was written some time between the two, so an answer that took long says little: of all differences that fit
    /// it, the least counts.
    pub(super) fn note(&mut self, served_at: Timestamp, asked_at: Timestamp, came_at: Timestamp) {
        let least = served_at.as_millis().saturating_sub(came_at.as_millis());
        let most = served_at.as_millis().saturating_add(CUT_MS).saturating_sub(asked_at.as_millis());
        if self.seen.len() == ANSWERS {
            self.seen.pop_front();
        }
        self.seen.push_back(0.clamp(least.min(most), most));
    }

    /// Milliseconds to add to the agent's time to have the backend's; 0 within the dead band and where no answer said.
    pub(super) fn ms(&self) -> i64 {
        let mut sorted: Vec<i64> = self.seen.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        if median.abs() < DEAD_BAND_MS { 0 } else { median }
    }

    /// The same; `None` where no answer said.
    pub(super) fn told_ms(&self) -> Option<i64> {
        (!self.seen.is_empty()).then(|| self.ms())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    /// Answers whose `Date` was so many seconds away, one a minute.
    #[track_caller]
    fn check(seconds: &[i64], expected_s: i64) {
        let mut skew = Skew::default();
        for (minute, away) in (0_i64..).zip(seconds) {
            let now = minute * 60_000;
            skew.note(at(now + away * 1000), at(now), at(now + 40));
        }
        let off_ms = (skew.ms() - expected_s * 1000).abs();
        assert!(off_ms <= 1_000, "{seconds:?}: {} ms", skew.ms());
    }

    #[test]
    fn clocks_that_agree_within_seconds_are_left_alone() {
        check(&[], 0);
        check(&[0, 1, -1, 2, 0], 0);
        check(&[4, 4, 4, 4, 4], 0);
    }

    #[test]
    fn ten_minutes_either_way_are_seen_at_the_first_answer() {
        check(&[600], 600);
        check(&[-600], -600);
    }

    #[test]
    fn one_odd_answer_moves_nothing() {
        check(&[0, 0, 0, 0, 0, 600], 0);
        check(&[-600, -600, 0, -600, -600], -600);
    }

    #[test]
    fn a_clock_that_is_set_is_followed_after_three_answers() {
        check(&[0, 0, 0, 0, 0, -600, -600], 0);
        check(&[0, 0, 0, 0, 0, -600, -600, -600], -600);
        check(&[600, 600, 600, 600, 600, 0, 0, 0], 0);
    }

    #[test]
    fn a_slow_answer_is_no_skew() {
        let mut skew = Skew::default();
        skew.note(at(58_000), at(0), at(60_000));
        assert_eq!(skew.ms(), 0);
        let mut skew = Skew::default();
        skew.note(at(658_000), at(0), at(60_000));
        assert_eq!(skew.ms(), 598_000, "at least that");
    }
}

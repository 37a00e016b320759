//! How far the backend's clock is from the agent's, by the `Date` of its answers.

use std::collections::VecDeque;

use crate::time::Timestamp;

/// So many answers make the estimate: their median, so that one odd answer moves nothing.
const ANSWERS: usize = 5;
/// A `Date` has whole seconds and an answer has its way to go: what is nearer than this is no skew.
pub(super) const DEAD_BAND_MS: i64 = 5_000;
/// A `Date` is cut to the second, so the time that it stands for lies half a second later on average.
const CUT_MS: i64 = 500;

/// What the last answers said about the backend's clock.
#[derive(Debug, Default)]
pub(super) struct Skew {
    /// The backend's clock less the agent's, in milliseconds, the oldest first.
    seen: VecDeque<i64>,
}

impl Skew {
    /// Takes the `Date` of an answer that was asked for and came in between these times of the agent's clock.
    pub(super) fn note(&mut self, served_at: Timestamp, asked_at: Timestamp, came_at: Timestamp) {
        let half_way = asked_at.as_millis() + (came_at.as_millis() - asked_at.as_millis()) / 2;
        if self.seen.len() == ANSWERS {
            self.seen.pop_front();
        }
        self.seen.push_back(served_at.as_millis().saturating_add(CUT_MS).saturating_sub(half_way));
    }

    /// Milliseconds to add to the agent's time to have the backend's; 0 within the dead band and where no answer said.
    pub(super) fn ms(&self) -> i64 {
        let mut sorted: Vec<i64> = self.seen.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied().unwrap_or(0);
        if median.abs() < DEAD_BAND_MS { 0 } else { median }
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
        assert_eq!((skew.ms() as f64 / 1000.0).round() as i64, expected_s, "{seconds:?}");
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
    fn a_slow_answer_is_taken_at_its_middle() {
        let mut skew = Skew::default();
        skew.note(at(5_000), at(0), at(10_000));
        assert_eq!(skew.ms(), 0);
    }
}

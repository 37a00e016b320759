//! How far apart samples are, and what follows: the step, the window of rates, how often to poll.

use std::time::Duration;

use crate::time::format_duration;

const SECOND: Duration = Duration::from_secs(1);

/// Steps are not shorter: twenty steps are a baseline, and one of a few seconds knows nothing.
const STEP_MIN: Duration = Duration::from_secs(5);

/// Steps are not longer: the config allows no more.
const STEP_MAX: Duration = Duration::from_secs(3600);

/// Polls are not further apart, where the step allows it.
const POLL_MAX: Duration = Duration::from_secs(60);

/// How fast a metric is sampled and asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pace {
    /// The distance of two steps: a multiple of the distance of two samples.
    pub step: Duration,
}

impl Pace {
    /// The pace for samples that are so far apart: a step for each sample, or for several where they are less than five
    /// seconds apart.
    pub fn of(interval: Duration) -> Self {
        let interval = interval.clamp(SECOND, STEP_MAX);
        let samples = STEP_MIN.as_secs().div_ceil(interval.as_secs().max(1)).max(1);
        let samples = u32::try_from(samples).unwrap_or(1);
        Self { step: interval.saturating_mul(samples) }
    }

    /// What the config has by default, where nothing could be measured.
    pub const UNKNOWN: Self = Self { step: Duration::from_secs(15) };

    /// The window of rates: four steps, so at least four samples. One that is late or lost moves a rate a little and
    /// leaves no gap.
    pub fn window(self) -> String {
        format_duration(self.step.saturating_mul(4))
    }

    /// Ten windows.
    pub fn long_window(self) -> String {
        format_duration(self.step.saturating_mul(40))
    }

    /// How often to poll: each minute or each four steps, whichever is sooner; never more often than there are steps.
    pub fn poll(self) -> Duration {
        self.step.saturating_mul(4).min(POLL_MAX).max(self.step)
    }

    /// When a series that stops is lost: after five minutes as by default, or ten steps where that is longer.
    pub fn lost_after(self) -> Duration {
        self.step.saturating_mul(10).max(Duration::from_secs(300))
    }
}

/// How far apart the samples of a metric are, by the times of some of its series in milliseconds: the median distance of
/// each, and of those the longest, since a window that suits the slowest target suits all. Whole seconds; `None` where
/// no series has three samples.
pub fn interval_of(series: &[Vec<i64>]) -> Option<Duration> {
    series.iter().filter_map(|times| median_gap(times)).max()
}

fn median_gap(times: &[i64]) -> Option<Duration> {
    let mut gaps: Vec<u64> =
        times.iter().zip(times.iter().skip(1)).map(|(one, next)| next.abs_diff(*one)).collect();
    gaps.sort_unstable();
    let median = gaps.get(gaps.len() / 2).filter(|_| gaps.len() >= 2)?;
    // Scrapes come a few milliseconds early or late.
    let seconds = (median + 500) / 1000;
    Some(Duration::from_secs(seconds).max(SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times_s: &[f64], expected: Option<u64>) {
        let times: Vec<i64> = times_s.iter().map(|s| (s * 1000.0) as i64).collect();
        assert_eq!(interval_of(&[times]), expected.map(Duration::from_secs));
    }

    #[test]
    fn the_interval_is_the_median_distance() {
        check(&[0.0, 15.002, 29.998, 45.0], Some(15));
        check(&[0.0, 15.0, 75.0, 90.0, 105.0], Some(15));
        check(&[0.0, 0.2, 0.4], Some(1));
    }

    #[test]
    fn two_samples_tell_nothing() {
        check(&[0.0, 15.0], None);
        check(&[], None);
        assert_eq!(interval_of(&[]), None);
    }

    #[test]
    fn the_slowest_target_decides() {
        let every = |ms: i64| (0..5).map(|n| n * ms).collect::<Vec<_>>();
        assert_eq!(interval_of(&[every(15_000), every(60_000), vec![1]]), Some(Duration::from_secs(60)));
    }

    #[track_caller]
    fn check_pace(interval_s: u64, step_s: u64, window: &str, poll_s: u64) {
        let pace = Pace::of(Duration::from_secs(interval_s));
        let found = (pace.step.as_secs(), pace.window(), pace.poll().as_secs());
        assert_eq!(found, (step_s, window.to_owned(), poll_s));
    }

    #[test]
    fn a_step_is_a_multiple_of_the_interval_and_a_window_holds_four() {
        check_pace(15, 15, "1m", 60);
        check_pace(30, 30, "2m", 60);
        check_pace(60, 60, "4m", 60);
        check_pace(300, 300, "20m", 300);
        check_pace(1, 5, "20s", 20);
        check_pace(2, 6, "24s", 24);
        check_pace(5, 5, "20s", 20);
        check_pace(7, 7, "28s", 28);
    }

    #[test]
    fn what_makes_no_sense_is_bounded() {
        check_pace(0, 5, "20s", 20);
        check_pace(u64::MAX, 3600, "4h", 3600);
    }
}

//! How long to wait after a failure before asking again.

use std::time::Duration;

/// The first pause while there was never an answer: the backend may be starting beside the agent.
const START: Duration = Duration::from_secs(5);
/// A pause grows to so many intervals at most,
const INTERVALS_MAX: u32 = 4;
/// and to this, unless the interval itself is longer: a recovery is to be noticed soon.
const PAUSE_MAX: Duration = Duration::from_secs(120);
/// A backend may ask to be left alone for so long at most.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(600);
/// Doublings beyond this change nothing.
const DOUBLINGS_MAX: u32 = 16;

/// The pause after so many failures in a row: the interval at first, then twice as long each time, within bounds.
pub(in crate::runtime) fn pause(interval: Duration, failures: u32) -> Duration {
    let longest = interval.saturating_mul(INTERVALS_MAX).min(PAUSE_MAX).max(interval);
    doubled(interval, failures).min(longest)
}

/// The same while nothing was ever answered: soon at first, then up to the interval.
pub(in crate::runtime) fn pause_at_start(interval: Duration, failures: u32) -> Duration {
    doubled(START, failures).min(interval.max(START))
}

/// What a backend asked for, where that is longer than the pause.
pub(in crate::runtime) fn at_least(pause: Duration, retry_after: Option<Duration>) -> Duration {
    pause.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MAX))
}

fn doubled(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(DOUBLINGS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pause: fn(Duration, u32) -> Duration, interval_s: u64, expected_s: [u64; 5]) {
        let interval = Duration::from_secs(interval_s);
        assert_eq!([1, 2, 3, 4, u32::MAX].map(|failures| pause(interval, failures).as_secs()), expected_s);
    }

    #[test]
    fn pauses_double_up_to_a_few_intervals() {
        check(pause, 15, [15, 30, 60, 60, 60]);
        check(pause, 60, [60, 120, 120, 120, 120]);
        check(pause, 3600, [3600; 5]);
    }

    #[test]
    fn at_the_start_it_is_asked_again_soon() {
        check(pause_at_start, 60, [5, 10, 20, 40, 60]);
        check(pause_at_start, 1, [5; 5]);
    }

    #[test]
    fn a_backend_that_wants_longer_gets_longer_but_not_for_ever() {
        let minute = Duration::from_secs(60);
        assert_eq!(at_least(minute, None), minute);
        assert_eq!(at_least(minute, Some(Duration::from_secs(5))), minute);
        assert_eq!(at_least(minute, Some(minute * 3)), minute * 3);
        assert_eq!(at_least(minute, Some(Duration::MAX)), RETRY_AFTER_MAX);
    }
}

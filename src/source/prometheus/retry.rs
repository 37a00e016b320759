//! Attempts after a failure that may pass by itself: bounded in number, in pause, and in time over all.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};

use crate::source::{Asked, Settings, SourceError};

/// The first pause; each further one is twice as long, and jitter adds up to the same again.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// No pause before jitter is longer, and with jitter or by `Retry-After` none is longer than twice this.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// The time that a call may take over all attempts and pauses.
pub(super) fn whole(settings: &Settings) -> Duration {
    let pauses = PAUSE_MAX.saturating_mul(2).saturating_mul(settings.retries);
    settings.timeout.saturating_mul(settings.retries.saturating_add(1)).saturating_add(pauses)
}

/// Calls until it succeeds, fails for good, has been called `retries` times more, or the time over all is up.
pub(super) async fn with_retries<T, F, A>(
    settings: &Settings,
    asked: &Arc<Asked>,
    attempt: A,
) -> Result<T, SourceError>
where
    F: Future<Output = Result<T, SourceError>>,
    A: FnMut() -> F,
{
    let pauses = ExponentialBuilder::new()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_max_times(settings.retries as usize)
        .with_jitter();
    let attempts = attempt.retry(pauses).when(SourceError::is_retryable).adjust(pause);
    let after = whole(settings);
    match tokio::time::timeout(after, attempts).await {
        Ok(outcome) => outcome,
        Err(_) => Err(SourceError::Timeout { asked: Arc::clone(asked), after }),
    }
}

/// The pause after an error: what backing off proposes, or longer where the backend asks for it. `None` gives up.
fn pause(error: &SourceError, proposed: Option<Duration>) -> Option<Duration> {
    let wanted = error.retry_after().unwrap_or_default();
    proposed.map(|proposed| proposed.max(wanted).min(PAUSE_MAX * 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[track_caller]
    fn check(retry_after: Option<u32>, proposed: Option<Duration>, expected: Option<Duration>) {
        let asked = Asked::build_info("http://host".into());
        let retry_after = retry_after.map(|seconds| SECOND * seconds);
        let error = SourceError::Status { asked, status: 429, because: String::new(), retry_after };
        assert_eq!(pause(&error, proposed), expected);
    }

    #[test]
    fn a_backend_that_wants_longer_gets_longer() {
        check(Some(3), Some(SECOND), Some(SECOND * 3));
    }

    #[test]
    fn a_backend_that_wants_less_does_not_shorten_the_pause() {
        check(Some(0), Some(SECOND), Some(SECOND));
        check(None, Some(SECOND), Some(SECOND));
    }

    #[test]
    fn no_backend_holds_up_a_call_for_long() {
        check(Some(86_400), Some(SECOND), Some(SECOND * 10));
        check(Some(u32::MAX), Some(SECOND * 60), Some(SECOND * 10));
    }

    #[test]
    fn no_wish_adds_an_attempt() {
        check(Some(1), None, None);
    }

    #[test]
    fn the_time_over_all_covers_each_attempt_and_each_pause() {
        let mut settings = Settings::for_test("http://host");
        settings.timeout = SECOND * 7;
        assert_eq!(whole(&settings), SECOND * 7);
        settings.retries = 2;
        assert_eq!(whole(&settings), SECOND * (3 * 7 + 2 * 10));
    }
}

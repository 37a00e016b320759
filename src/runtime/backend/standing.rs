//! Whether the pulse can be had. Pure: time is an argument.
//!
//! The pulse is asked for after a signal's own steps were answered. So a pulse that fails says at first that the backend
//! may just have gone away, and when it goes on failing while signals are answered, that the failure is its own: then
//! it is left out for a while, since nothing would be judged otherwise.

use std::time::Duration;

use crate::engine::Failure;
use crate::source::SourceError;
use crate::time::Timestamp;

use super::failure::failure_of;

/// A pulse that cannot be had is not asked for again before so long.
pub(super) const LEFT_OUT_FOR: Duration = Duration::from_secs(600);
/// So many failures in a row, each after an answer to a signal, are the pulse's own.
const FAILURES: u32 = 2;

/// What is known of the pulse from its answers and from their lack.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Failures since its last answer.
    failures: u32,
    failed_at: Option<Timestamp>,
    left_out_until: Option<Timestamp>,
}

/// What a failure of the pulse means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// It may be the backend's: the steps cannot be judged yet.
    Backend,
    /// The pulse's own: it is left out for a while.
    Pulse {
        /// Whether it was usable before.
        is_new: bool,
    },
}

impl Standing {
    /// Whether the pulse is not to be asked for now.
    pub(super) fn is_left_out(&self, now: Timestamp) -> bool {
        self.left_out_until.is_some_and(|until| now < until)
    }

    /// It was answered. Says whether it had been left out.
    pub(super) fn answered(&mut self) -> bool {
        std::mem::take(self).left_out_until.is_some()
    }

    /// It was not, where a signal had been answered at a time before it was asked for.
    pub(super) fn failed(
        &mut self,
        error: &SourceError,
        signal_answered_at: Timestamp,
        now: Timestamp,
    ) -> Blame {
        // An answer from before the last failure shows nothing of what came after it: both may meet the same outage.
        if self.failed_at.is_none_or(|failed_at| signal_answered_at >= failed_at) {
            self.failures = self.failures.saturating_add(1);
        }
        self.failed_at = Some(now);
        if self.failures < FAILURES && !is_no_outage(error) {
            return Blame::Backend;
        }
        self.failures = FAILURES;
        let is_new = self.left_out_until.replace(now.plus(LEFT_OUT_FOR)).is_none();
        Blame::Pulse { is_new }
    }
}

/// Whether what just answered a signal refuses the pulse as such: by what it asks for, or by who asks.
fn is_no_outage(error: &SourceError) -> bool {
    let is_forbidden = matches!(error, SourceError::Status { status: 401 | 403 | 404, .. });
    is_forbidden || failure_of(error) == Failure::Query
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Asked;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn status(status: u16) -> SourceError {
        let asked = Asked::for_test();
        SourceError::Status { asked, status, because: String::new(), retry_after: None }
    }

    fn timeout() -> SourceError {
        let asked = Asked::for_test();
        SourceError::Timeout { asked, after: Duration::from_secs(10) }
    }

    #[test]
    fn a_pulse_that_is_forbidden_is_left_out_at_once() {
        for code in [400, 401, 403, 404, 422] {
            let mut standing = Standing::default();
            let blame = standing.failed(&status(code), at(0), at(1));
            assert_eq!(blame, Blame::Pulse { is_new: true }, "{code}");
            assert!(standing.is_left_out(at(600)), "{code}");
            assert!(!standing.is_left_out(at(601)), "{code}");
        }
    }

    #[test]
    fn a_pulse_that_fails_twice_while_signals_are_answered_is_left_out() {
        for error in [timeout(), status(500), status(503)] {
            let mut standing = Standing::default();
            assert_eq!(standing.failed(&error, at(0), at(10)), Blame::Backend, "an outage may begin there");
            assert!(!standing.is_left_out(at(11)));
            assert_eq!(standing.failed(&error, at(60), at(70)), Blame::Pulse { is_new: true });
            assert!(standing.is_left_out(at(71)));
            // Then it is asked once for ten minutes, and costs no poll.
            assert_eq!(standing.failed(&error, at(670), at(680)), Blame::Pulse { is_new: false });
            assert!(standing.answered(), "it had been left out");
            assert_eq!(standing.failed(&error, at(2000), at(2010)), Blame::Backend);
        }
    }

    #[test]
    fn many_signals_that_meet_the_begin_of_one_outage_do_not_leave_the_pulse_out() {
        let mut standing = Standing::default();
        // All were answered at 0 s, and then one after the other learns that the pulse is not.
        for waited in 1..20 {
            assert_eq!(standing.failed(&timeout(), at(0), at(waited * 10)), Blame::Backend);
        }
        assert!(!standing.answered());
    }
}

//! Whether the backend is asked at all. Pure: time is an argument.
//!
//! While it does not answer, one request at a time tries whether it does again, however many signals there are; the
//! first answer lets all of them go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::patience::{at_least, pause, pause_at_start};
use crate::series::SignalName;
use crate::time::Timestamp;

/// So many signals must fail with no answer in between before it is the backend and not a query of its own: an expensive
/// one times out by itself.
const SIGNALS_FAILING: usize = 2;

/// What is known of a backend from its answers and from their lack.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Who asks, and how often.
    members: BTreeMap<SignalName, Duration>,
    was_answered: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It answers; these signals have failed since its last answer.
    Answering { failing: BTreeSet<SignalName> },
    /// It does not.
    Silent(Silence),
}

impl Default for State {
    fn default() -> Self {
        Self::Answering { failing: BTreeSet::new() }
    }
}

#[derive(Debug)]
struct Silence {
    since: Timestamp,
    failures: u32,
    next_try: Timestamp,
    /// From then on the signal that tried last may try again, since no other one came: what it waits for may have its
    /// next slot in an hour.
    again_at: Timestamp,
    /// The signal whose request is out to see whether the backend answers again.
    trying: Option<SignalName>,
    /// The signal that tried last: another one tries next, since its own query may be what fails.
    tried: SignalName,
    because: String,
}

/// Whether a signal may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Admission {
    /// As always.
    Ask,
    /// To see whether the backend answers again.
    Try,
    /// Not now: the backend has been silent since then; somebody tries at `until`, or is just trying.
    Held { since: Timestamp, until: Timestamp, because: String },
}

/// What a failure or an answer changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Nothing.
    None,
    /// The backend counts as silent from now on.
    FellSilent,
    /// It is still silent; the next try is later.
    StillSilent,
    /// It answers again, having been silent since then.
    Answers { since: Timestamp },
}

impl Breaker {
    pub(super) fn join(&mut self, signal: SignalName, interval: Duration) {
        self.members.insert(signal, interval);
    }

    pub(super) fn leave(&mut self, signal: &SignalName) {
        self.members.remove(signal);
    }

    /// Whether a signal may ask at this moment. Who is let to try says how it went, or gives it up.
    pub(super) fn admit(&mut self, signal: &SignalName, now: Timestamp) -> Admission {
        let is_alone = self.members.len() <= 1;
        let State::Silent(silence) = &mut self.state else { return Admission::Ask };
        let is_another = is_alone || silence.tried != *signal;
        let until = if is_another { silence.next_try } else { silence.again_at };
        if now >= until && silence.trying.is_none() {
            silence.trying = Some(signal.clone());
            return Admission::Try;
        }
        Admission::Held { since: silence.since, until, because: silence.because.clone() }
    }

    /// A request that tried was given up. Says whether it was still without an outcome, so that another one may try.
    pub(super) fn give_up(&mut self, signal: &SignalName) -> bool {
        match &mut self.state {
            State::Silent(silence) if silence.trying.as_ref() == Some(signal) => {
                silence.trying = None;
                true
            }
            State::Silent(_) | State::Answering { .. } => false,
        }
    }

    /// The backend answered somebody.
    pub(super) fn answered(&mut self) -> Change {
        self.was_answered = true;
        match std::mem::take(&mut self.state) {
            State::Answering { .. } => Change::None,
            State::Silent(silence) => Change::Answers { since: silence.since },
        }
    }

    /// It did not answer a signal, and may have said for how long it wants to be left alone.
    pub(super) fn failed(
        &mut self,
        signal: &SignalName,
        now: Timestamp,
        because: &str,
        retry_after: Option<Duration>,
    ) -> Change {
        let interval = self.members.values().min().copied().unwrap_or_default();
        let was_answered = self.was_answered;
        let pause = |failures| match was_answered {
            true => pause(interval, failures),
            false => pause_at_start(interval, failures),
        };
        let next_try = |failures| now.plus(at_least(pause(failures), retry_after));
        match &mut self.state {
            State::Answering { failing } => {
                failing.insert(signal.clone());
                // One that says when it wants to be asked again says so for all.
                if failing.len() < SIGNALS_FAILING.min(self.members.len()) && retry_after.is_none() {
                    return Change::None;
                }
                self.state = State::Silent(Silence {
                    since: now,
                    failures: 1,
                    next_try: next_try(1),
                    again_at: next_try(1).plus(pause(1)),
                    trying: None,
                    tried: signal.clone(),
                    because: because.to_owned(),
                });
                Change::FellSilent
            }
            State::Silent(silence) => {
                if silence.trying.as_ref() == Some(signal) {
                    silence.failures = silence.failures.saturating_add(1);
                    silence.trying = None;
                    silence.tried = signal.clone();
                }
                silence.because = because.to_owned();
                silence.next_try = silence.next_try.max(next_try(silence.failures));
                silence.again_at = silence.next_try.plus(pause(silence.failures));
                Change::StillSilent
            }
        }
    }

    /// Since when it has been silent; `None` while it answers.
    pub(super) fn silent_since(&self) -> Option<Timestamp> {
        match &self.state {
            State::Answering { .. } => None,
            State::Silent(silence) => Some(silence.since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn name(signal: &str) -> SignalName {
        SignalName::new(signal)
    }

    /// A backend that has answered, with signals that are polled each minute.
    fn breaker(signals: &[&str]) -> Breaker {
        let mut breaker = Breaker::default();
        for signal in signals {
            breaker.join(name(signal), Duration::from_secs(60));
        }
        breaker.answered();
        breaker
    }

    fn fail(breaker: &mut Breaker, signal: &str, seconds: i64) -> Change {
        breaker.failed(&name(signal), at(seconds), "no answer", None)
    }

    #[test]
    fn one_query_that_fails_by_itself_holds_up_no_other() {
        let mut breaker = breaker(&["a", "b", "c"]);
        for minute in 0..10 {
            assert_eq!(fail(&mut breaker, "a", minute * 60), Change::None);
            assert_eq!(breaker.admit(&name("b"), at(minute * 60 + 1)), Admission::Ask);
            assert_eq!(breaker.answered(), Change::None);
        }
    }

    #[test]
    fn fifty_signals_ask_a_dead_backend_one_at_a_time() {
        let signals: Vec<String> = (0..50).map(|n| format!("s{n}")).collect();
        let mut breaker = breaker(&signals.iter().map(String::as_str).collect::<Vec<_>>());
        let mut requests = 0;
        for second in 0..3600 {
            // Each minute all of them come, within the first 50 seconds of it.
            let Some(signal) = usize::try_from(second % 60).ok().and_then(|n| signals.get(n)) else {
                continue;
            };
            if !matches!(breaker.admit(&name(signal), at(second)), Admission::Held { .. }) {
                requests += 1;
                fail(&mut breaker, signal, second);
            }
        }
        assert!((28..=32).contains(&requests), "{requests} requests in an hour, where 50 a minute came");
    }

    #[test]
    fn only_one_tries_at_a_time_and_another_one_the_next_time() {
        let mut breaker = breaker(&["a", "b"]);
        fail(&mut breaker, "a", 0);
        assert_eq!(fail(&mut breaker, "b", 1), Change::FellSilent);
        assert!(matches!(breaker.admit(&name("a"), at(60)), Admission::Held { .. }), "too soon");
        assert!(matches!(breaker.admit(&name("b"), at(61)), Admission::Held { .. }), "it was the last");
        assert_eq!(breaker.admit(&name("a"), at(61)), Admission::Try);
        assert!(matches!(breaker.admit(&name("b"), at(62)), Admission::Held { .. }), "one is trying");
        breaker.give_up(&name("a"));
        assert_eq!(breaker.admit(&name("a"), at(62)), Admission::Try);
        assert_eq!(fail(&mut breaker, "a", 63), Change::StillSilent);
        assert!(matches!(breaker.admit(&name("b"), at(182)), Admission::Held { .. }), "the pause is longer");
        assert_eq!(breaker.admit(&name("b"), at(183)), Admission::Try);
        assert_eq!(breaker.answered(), Change::Answers { since: at(1) });
        assert_eq!(breaker.admit(&name("a"), at(184)), Admission::Ask);
    }

    #[test]
    fn a_wish_to_be_left_alone_is_heeded_by_all_at_once() {
        let mut breaker = breaker(&["a", "b"]);
        let minutes = Some(Duration::from_secs(300));
        assert_eq!(breaker.failed(&name("a"), at(0), "429", minutes), Change::FellSilent);
        assert!(matches!(breaker.admit(&name("b"), at(299)), Admission::Held { .. }));
        assert_eq!(breaker.admit(&name("b"), at(300)), Admission::Try);
    }

    #[test]
    fn a_signal_that_tried_last_tries_again_where_no_other_one_is_due() {
        let mut breaker = Breaker::default();
        breaker.join(name("each-15s"), Duration::from_secs(15));
        breaker.join(name("each-hour"), Duration::from_secs(3600));
        breaker.answered();
        let minute = Some(Duration::from_secs(60));
        assert_eq!(breaker.failed(&name("each-15s"), at(0), "429", minute), Change::FellSilent);
        // The minute that the backend wanted, and then a pause for another one to come first.
        for seconds in [15, 30, 45, 60, 74] {
            let Admission::Held { until, .. } = breaker.admit(&name("each-15s"), at(seconds)) else {
                panic!("it was let go after {seconds} s");
            };
            assert_eq!(until, at(75));
        }
        assert_eq!(breaker.admit(&name("each-15s"), at(75)), Admission::Try);
        assert!(matches!(breaker.admit(&name("each-hour"), at(76)), Admission::Held { .. }), "one is trying");
        assert_eq!(fail(&mut breaker, "each-15s", 76), Change::StillSilent);
        // Another one still goes first where it comes.
        assert!(matches!(breaker.admit(&name("each-15s"), at(106)), Admission::Held { .. }));
        assert_eq!(breaker.admit(&name("each-hour"), at(106)), Admission::Try);
        breaker.give_up(&name("each-hour"));
        assert_eq!(breaker.admit(&name("each-15s"), at(136)), Admission::Try);
        assert_eq!(breaker.answered(), Change::Answers { since: at(0) });
    }

    #[test]
    fn a_backend_that_never_answered_is_tried_soon() {
        let mut breaker = Breaker::default();
        breaker.join(name("a"), Duration::from_secs(60));
        fail(&mut breaker, "a", 0);
        assert_eq!(breaker.admit(&name("a"), at(5)), Admission::Try);
    }
}

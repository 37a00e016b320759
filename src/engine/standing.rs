//! Whether the backend answers: what the outcomes of all polls say together.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::input::Failure;
use crate::series::SignalName;
use crate::time::Timestamp;

/// A reason is kept up to so many characters.
const BECAUSE_CHARS_MAX: usize = 300;

/// How the backend stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceStanding {
    /// The last poll was answered, or nothing was asked yet.
    Answering,
    /// Polls fail for a fault of the backend or of the way to it, and none was answered meanwhile.
    Failing {
        /// The first slot that failed.
        since: Timestamp,
    },
    /// They have done so for `source_lost_after`, over most signals.
    Lost {
        /// The first slot that failed.
        since: Timestamp,
    },
}

/// A signal whose polls fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The first slot that failed.
    pub since: Timestamp,
    /// The last one so far.
    pub latest: Timestamp,
    /// Whose fault the last failure is.
    pub failure: Failure,
    /// The last failure in words, at most 300 characters.
    pub because: String,
    /// Whether an event has told that it lasts.
    pub is_told: bool,
}

/// The outcomes of the polls, as far as they fail.
#[derive(Debug, Clone, Default)]
pub(super) struct Polls {
    unanswered: BTreeMap<SignalName, Unanswered>,
    blank: Option<Blank>,
}

/// A time in which the backend answered nothing at all.
#[derive(Debug, Clone)]
struct Blank {
    since: Timestamp,
    latest: Timestamp,
    signals: BTreeSet<SignalName>,
}

impl Polls {
    /// A signal was answered.
    pub(super) fn answered(&mut self, signal: &SignalName) -> Option<Unanswered> {
        self.unanswered.remove(signal)
    }

    /// The backend answers: gives the signals that it did not answer, where these are most of so many.
    pub(super) fn end_blank(&mut self, signals: usize) -> BTreeSet<SignalName> {
        let failed = self.blank.take().map(|blank| blank.signals).unwrap_or_default();
        if failed.len() * 2 > signals { failed } else { BTreeSet::new() }
    }

    /// A poll failed. A query that is at fault itself was looked at: the backend is there.
    pub(super) fn failed(&mut self, signal: &SignalName, slot: Timestamp, failure: Failure, because: &str) {
        let because: String = because.chars().take(BECAUSE_CHARS_MAX).collect();
        let before = self.unanswered.get(signal);
        let known = before.map_or(slot, |known| known.since);
        let is_told = before.is_some_and(|before| before.is_told);
        let unanswered =
            Unanswered { since: known.min(slot), latest: slot.max(known), failure, because, is_told };
        self.unanswered.insert(signal.clone(), unanswered);
        match (failure, &mut self.blank) {
            (Failure::Query, blank) => *blank = None,
            // Nobody was asked.
            (Failure::Agent, _) => {}
            (Failure::Backend, Some(blank)) => {
                (blank.since, blank.latest) = (blank.since.min(slot), blank.latest.max(slot));
                blank.signals.insert(signal.clone());
            }
            (Failure::Backend, blank @ None) => {
                let signals = BTreeSet::from([signal.clone()]);
                *blank = Some(Blank { since: slot, latest: slot, signals });
            }
        }
    }

    /// How the backend stands, where so many signals are polled.
    ///
    /// It is lost when polls of most signals failed and none was answered: one that is polled rarely holds up nothing,
    /// and one that is too heavy for the backend is no loss of it. Slots count, not the clock: after a sleep of the
    /// machine, time that nobody polled in is no failure.
    pub(super) fn standing(&self, signals: usize, lost_after: Duration) -> SourceStanding {
        let Some(blank) = &self.blank else { return SourceStanding::Answering };
        let since = blank.since;
        if blank.latest.since(since) >= lost_after && blank.signals.len() * 2 > signals {
            SourceStanding::Lost { since }
        } else {
            SourceStanding::Failing { since }
        }
    }

    /// Whether polls of most of so many signals have failed since the backend last answered one.
    pub(super) fn fails_for_most(&self, signals: usize) -> bool {
        self.blank.as_ref().is_some_and(|blank| blank.signals.len() * 2 > signals)
    }

    /// The failures of a signal, once they last for so long: only then, and only once.
    pub(super) fn tell(&mut self, signal: &SignalName, after: Duration) -> Option<&Unanswered> {
        let unanswered = self.unanswered.get_mut(signal)?;
        let is_due = !unanswered.is_told && unanswered.latest.since(unanswered.since) >= after;
        unanswered.is_told |= is_due;
        is_due.then_some(unanswered)
    }

    /// Forgets all signals but these.
    pub(super) fn forget_but(&mut self, signals: &BTreeSet<SignalName>) {
        self.unanswered.retain(|signal, _| signals.contains(signal));
        if let Some(blank) = &mut self.blank {
            blank.signals.retain(|signal| signals.contains(signal));
        }
    }

    /// The signals whose last polls failed.
    pub(super) fn unanswered(&self) -> &BTreeMap<SignalName, Unanswered> {
        &self.unanswered
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    /// Polls of two signals fail each 15 s, in the middle one of them by another fault.
    #[track_caller]
    fn check(between: Failure, expected: SourceStanding) {
        let [cpu, errors] = ["cpu", "errors"].map(SignalName::new);
        let mut polls = Polls::default();
        for slot in (0..=180).step_by(15) {
            let failure = if slot == 90 { between } else { Failure::Backend };
            polls.failed(&cpu, at(slot), Failure::Backend, "no connection");
            polls.failed(&errors, at(slot), failure, "something else");
        }
        assert_eq!(polls.standing(2, Duration::from_secs(180)), expected);
        assert!(polls.tell(&errors, Duration::from_secs(180)).is_some(), "it was not answered");
    }

    #[test]
    fn a_refusal_shows_that_the_backend_is_there() {
        check(Failure::Query, SourceStanding::Failing { since: at(105) });
    }

    #[test]
    fn a_request_that_had_no_turn_says_nothing_about_the_backend() {
        check(Failure::Agent, SourceStanding::Lost { since: at(0) });
    }

    #[test]
    fn requests_that_had_no_turn_are_no_lost_backend() {
        let [cpu, errors] = ["cpu", "errors"].map(SignalName::new);
        let mut polls = Polls::default();
        for slot in (0..=600).step_by(15) {
            for signal in [&cpu, &errors] {
                polls.failed(signal, at(slot), Failure::Agent, "waited for its turn");
            }
        }
        assert_eq!(polls.standing(2, Duration::from_secs(180)), SourceStanding::Answering);
    }
}

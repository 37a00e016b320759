//! The time that the engine decides by: the backend's, as far as it is known, since that is what samples are stamped
//! with. An agent whose clock is ahead would otherwise take what is new for old. Pure: the clocks are arguments.

use std::time::Duration;

use tracing::warn;

use crate::engine::Restored;
use crate::time::{Timestamp, millis};

/// The agent's own time counts from so long on where no answer told the backend's.
const AWAIT_ANSWER: Duration = Duration::from_secs(60);
/// While it is ahead of the backend's, it goes on at this part of the agent's pace.
const SLOWED_BY: i64 = 2;
/// A stored step is believed where it is at most so far ahead. Steps are in the backend's time, which nobody has told
/// yet at a start; clocks that are hours apart are set to another time zone, those that are days apart are wrong.
const LEAD_MAX: Duration = Duration::from_secs(24 * 3600);

/// The latest time that the engine was told. It never goes back and never stands, whatever the backend's clock does:
/// where that falls behind, it goes on at half the pace until it is caught up with.
#[derive(Debug, Clone)]
pub(super) struct EngineTime {
    /// Milliseconds by which the backend's clock is ahead, as an answer told last; `None` while the first is awaited.
    skew_ms: Option<i64>,
    /// Since when no answer has told it, by the agent's clock.
    unknown_since: Timestamp,
    /// The agent's time and the engine's, when that was the backend's time last.
    agreed: Option<(Timestamp, Timestamp)>,
}

impl EngineTime {
    /// Begins at an agent's time.
    pub(super) fn new(here: Timestamp) -> Self {
        Self { skew_ms: None, unknown_since: here, agreed: None }
    }

    /// Another backend is asked from now on. It is taken to have the time of the one before until it answers.
    pub(super) fn backend_changed(&mut self, here: Timestamp) {
        self.unknown_since = here;
    }

    /// The time of an input, by the agent's time, which never goes back, and by what the backend's answers told.
    pub(super) fn at(&mut self, here: Timestamp, told_ms: Option<i64>) -> Timestamp {
        self.learn(here, told_ms);
        let there = Timestamp::from_millis(here.as_millis().saturating_add(self.skew_ms.unwrap_or(0)));
        let slowed = self.agreed.map(|(agreed_here, agreed)| {
            let passed = millis(here.since(agreed_here)) / SLOWED_BY;
            Timestamp::from_millis(agreed.as_millis().saturating_add(passed))
        });
        match slowed {
            Some(slowed) if slowed > there => slowed,
            Some(_) | None => {
                self.agreed = Some((here, there));
                there
            }
        }
    }

    /// The same where nothing happened but that time passed. `None` before the first answer told the backend's time, for
    /// at most a minute: where that is behind, the agent's would run ahead of it.
    pub(super) fn at_tick(&mut self, here: Timestamp, told_ms: Option<i64>) -> Option<Timestamp> {
        self.learn(here, told_ms);
        self.skew_ms.map(|_| self.at(here, told_ms))
    }

    fn learn(&mut self, here: Timestamp, told_ms: Option<i64>) {
        if told_ms.is_some() {
            (self.skew_ms, self.unknown_since) = (told_ms, here);
        } else if here.since(self.unknown_since) >= AWAIT_ANSWER {
            // Nothing says that it is another one.
            self.skew_ms = Some(0);
        }
    }
}

/// A step that was judged in the far future was judged by a clock that was wrong: believed, it would mute everything
/// until then.
pub(super) fn not_ahead(mut restored: Restored, now: Timestamp) -> Restored {
    let latest = now.plus(LEAD_MAX);
    for (signal, through) in restored.judged_through.iter_mut().filter(|(_, through)| **through > latest) {
        warn!(
            %signal,
            "the store says that {signal} is judged up to {through}, more than a day ahead of {now}; taken as {now}"
        );
        *through = now;
    }
    restored
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::SignalName;

    const BEHIND: Option<i64> = Some(-600_000);

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn it_goes_by_the_backends_clock_as_soon_as_an_answer_told_it() {
        let mut time = EngineTime::new(at(1000));
        for tick in [1005, 1010, 1059] {
            assert_eq!(time.at_tick(at(tick), None), None, "it would run ahead of a backend that is behind");
        }
        assert_eq!(time.at_tick(at(1059), BEHIND), Some(at(459)));
        assert_eq!(time.at(at(1060), BEHIND), at(460));
        assert_eq!(time.at(at(1061), Some(30_000)), at(1091));
    }

    #[test]
    fn where_no_answer_tells_it_goes_by_the_agents_clock_after_a_minute() {
        let mut time = EngineTime::new(at(1000));
        assert_eq!(time.at_tick(at(1059), None), None);
        assert_eq!(time.at_tick(at(1060), None), Some(at(1060)));
        assert_eq!(time.at_tick(at(1065), None), Some(at(1065)));
        time.backend_changed(at(1066));
        assert_eq!(time.at_tick(at(1070), None), Some(at(1070)), "as the one before");
    }

    #[test]
    fn an_input_before_the_first_answer_has_a_time_all_the_same() {
        let mut time = EngineTime::new(at(1000));
        assert_eq!(time.at(at(1003), None), at(1003));
        assert_eq!(time.at_tick(at(1005), None), None);
        assert_eq!(time.at(at(1007), None), at(1007));
    }

    #[test]
    fn where_the_backends_clock_falls_back_it_goes_on_at_half_the_pace_until_caught_up_with() {
        let mut time = EngineTime::new(at(0));
        assert_eq!(time.at(at(1000), Some(0)), at(1000));
        // Looked at each millisecond, as a busy queue does.
        for ms in 0..1000 {
            time.at(Timestamp::from_millis(1_000_000 + ms), BEHIND);
        }
        assert_eq!(time.at(at(1200), BEHIND), at(1100));
        assert_eq!(time.at(at(2198), BEHIND), at(1599));
        assert_eq!(time.at(at(2200), BEHIND), at(1600), "caught up with");
        assert_eq!(time.at(at(2300), BEHIND), at(1700));
    }

    #[test]
    fn another_backend_has_the_time_of_the_one_before_until_it_answers() {
        let mut time = EngineTime::new(at(0));
        assert_eq!(time.at(at(1000), BEHIND), at(400));
        time.backend_changed(at(1010));
        assert_eq!(time.at_tick(at(1015), None), Some(at(415)));
        assert_eq!(time.at_tick(at(1069), None), Some(at(469)));
        assert_eq!(time.at_tick(at(1070), None), Some(at(1070)), "it has answered nothing for a minute");
    }

    #[test]
    fn it_never_goes_back_whatever_the_clocks_do() {
        let mut time = EngineTime::new(at(0));
        let skews = [Some(0), Some(600), None, Some(-7200), Some(-5), None, Some(3600), Some(0)];
        let mut before = Timestamp::default();
        for (turn, skew) in (0_i64..4000).zip(skews.iter().cycle().flat_map(|skew| [skew; 37])) {
            let (here, told_ms) = (Timestamp::from_millis(turn * 733), skew.map(|s| s * 1000));
            if turn % 50 == 0 {
                time.backend_changed(here);
            }
            let now = time.at(here, told_ms);
            assert!(now >= before, "turn {turn}: {now} after {before}");
            before = now;
        }
    }

    #[test]
    fn a_step_judged_far_in_the_future_is_not_believed() {
        let (hour, day) = (3600, 24 * 3600);
        let judged = [("cpu", 50), ("disk", hour), ("errors", 100 + day), ("queue", 101 + day)];
        let judged_through = judged.map(|(signal, s)| (SignalName::new(signal), at(s))).into();
        let restored = Restored { judged_through, ..Restored::default() };
        let through: Vec<Timestamp> = not_ahead(restored, at(100)).judged_through.into_values().collect();
        assert_eq!(through, [at(50), at(hour), at(100 + day), at(100)]);
    }
}

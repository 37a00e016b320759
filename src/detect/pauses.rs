//! How long a series is usually silent: one that pauses all the time is not lost each time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::recurrence::counts_for_ms;
use crate::time::Timestamp;

/// So many pauses as long make it usual.
const OFTEN: usize = 3;
/// Silence is no longer usual beyond so many times what it was.
const BEYOND: i64 = 2;

/// A time without samples that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Pause {
    ended_ms: i64,
    lasted_ms: i64,
}

/// The longest pauses of a series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Pauses {
    longest: [Pause; OFTEN],
}

impl Pauses {
    /// A pause is over; the shortest of those that count makes room where it is longer.
    pub(super) fn note(&mut self, ended: Timestamp, lasted: Duration, step: Duration) {
        let ended_ms = ended.as_millis();
        let lasted_ms = i64::try_from(lasted.as_millis()).unwrap_or(i64::MAX);
        for pause in &mut self.longest {
            if ended_ms.saturating_sub(pause.ended_ms) > counts_for_ms(step) {
                *pause = Pause::default();
            }
        }
        if let Some(shortest) = self.longest.iter_mut().min_by_key(|pause| pause.lasted_ms)
            && shortest.lasted_ms < lasted_ms
        {
            *shortest = Pause { ended_ms, lasted_ms };
        }
    }

    /// How long silence that begins at a time may last and still be usual: twice what it lasted three times within two
    /// weeks.
    pub(super) fn usual(&self, begins: Timestamp, step: Duration) -> Duration {
        let counts = |pause: &Pause| begins.as_millis().saturating_sub(pause.ended_ms) <= counts_for_ms(step);
        let least = self.longest.iter().map(|pause| if counts(pause) { pause.lasted_ms } else { 0 }).min();
        Duration::from_millis(u64::try_from(least.unwrap_or(0).saturating_mul(BEYOND)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + n * 60_000)
    }

    fn after(pauses: &[(i64, u64)]) -> Pauses {
        let mut all = Pauses::default();
        pauses.iter().for_each(|(ended, minutes)| {
            all.note(minute(*ended), Duration::from_secs(60 * minutes), STEP);
        });
        all
    }

    #[test]
    fn two_outages_make_the_next_no_less() {
        assert_eq!(after(&[(100, 60), (200, 60)]).usual(minute(300), STEP), Duration::ZERO);
    }

    #[test]
    fn three_pauses_make_twice_as_long_a_silence_usual() {
        let pauses = after(&[(100, 10), (200, 60), (300, 12), (400, 3)]);
        assert_eq!(pauses.usual(minute(500), STEP), Duration::from_secs(1200));
    }

    #[test]
    fn pauses_of_long_ago_do_not_count() {
        let pauses = after(&[(100, 10), (200, 10), (300, 10)]);
        assert_eq!(pauses.usual(minute(200 + 15 * 1440), STEP), Duration::ZERO);
    }
}

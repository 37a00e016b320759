//! When each signal is polled: slots at a fixed interval, shifted by a hash of the signal's name so that the backend
//! is not asked for everything in one moment.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

use std::time::Duration;

use crate::id::Fingerprint;
use crate::series::SignalName;
use crate::time::{Timestamp, millis};

/// The slots of one signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    interval_ms: i64,
    offset_ms: i64,
}

/// A slot to poll for, and how many before it were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    /// The time for which the poll is made, whenever its answer arrives.
    pub at: Timestamp,
    /// Slots since the previous one that passed while it was still being worked on.
    pub missed: u64,
}

impl Schedule {
    /// Makes the schedule of a signal. Intervals below 1 ms count as 1 ms.
    pub fn new(signal: &SignalName, interval: Duration) -> Self {
        let interval_ms = millis(interval).max(1);
        let hash = Fingerprint::of(&[b"schedule", signal.as_str().as_bytes()]).as_u128();
        let offset_ms = i64::try_from(hash % interval_ms.unsigned_abs() as u128).unwrap_or(0);
        Self { interval_ms, offset_ms }
    }

    /// The first slot that is not before `now`.
    pub fn first(&self, now: Timestamp) -> Slot {
        let since = now.as_millis().saturating_sub(self.offset_ms);
        let ahead = (-since).rem_euclid(self.interval_ms);
        Slot { at: Timestamp::from_millis(now.as_millis().saturating_add(ahead)), missed: 0 }
    }

    /// The slot after `previous`, given that the work on that ended at `now`: the next one in line, or the first one
    /// still to come where that has passed. What has passed is counted, never caught up slot by slot: the next poll
    /// asks for all steps that were not seen, so a slow backend gets fewer polls, not a queue of them.
    pub fn after(&self, previous: Slot, now: Timestamp) -> Slot {
        let next = previous.at.as_millis().saturating_add(self.interval_ms);
        let late = now.as_millis().saturating_sub(next);
        if late <= 0 {
            return Slot { at: Timestamp::from_millis(next), missed: 0 };
        }
        // Round up: a slot that began before `now` has passed.
        let missed = late.saturating_add(self.interval_ms - 1) / self.interval_ms;
        let at = next.saturating_add(missed.saturating_mul(self.interval_ms));
        Slot { at: Timestamp::from_millis(at), missed: missed.unsigned_abs() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(interval_ms: u64) -> Schedule {
        Schedule::new(&SignalName::new("error_rate"), Duration::from_millis(interval_ms))
    }

    #[test]
    fn signals_spread_over_the_interval() {
        let offsets: std::collections::BTreeSet<_> = ["a", "b", "c", "d", "e"]
            .map(|name| Schedule::new(&SignalName::new(name), Duration::from_secs(60)).offset_ms)
            .into();
        assert_eq!(offsets.len(), 5);
    }

    #[test]
    fn a_poll_that_ends_in_time_is_followed_by_the_next_slot() {
        let schedule = schedule(60_000);
        let slot = schedule.first(Timestamp::from_millis(1_000_000));
        let next = schedule.after(slot, slot.at.plus(Duration::from_secs(5)));
        assert_eq!(next, Slot { at: slot.at.plus(Duration::from_secs(60)), missed: 0 });
    }

    #[test]
    fn slots_that_passed_during_a_slow_poll_are_counted_and_left_out() {
        let schedule = schedule(60_000);
        let slot = schedule.first(Timestamp::from_millis(1_000_000));
        let next = schedule.after(slot, slot.at.plus(Duration::from_secs(150)));
        assert_eq!(next, Slot { at: slot.at.plus(Duration::from_secs(180)), missed: 2 });
        let exact = schedule.after(slot, slot.at.plus(Duration::from_secs(120)));
        assert_eq!(exact, Slot { at: slot.at.plus(Duration::from_secs(120)), missed: 1 });
    }

    proptest! {
        #[test]
        fn slots_ascend_and_stay_on_the_grid(
            interval in 1_u64..100_000, start in 0_i64..2_000_000_000_000, late in 0_i64..1_000_000,
        ) {
            let schedule = schedule(interval);
            let first = schedule.first(Timestamp::from_millis(start));
            let now = Timestamp::from_millis(first.at.as_millis() + late);
            let next = schedule.after(first, now);
            prop_assert!(first.at.as_millis() - start < interval as i64 && first.at.as_millis() >= start);
            prop_assert!(next.at > first.at && next.at >= now);
            prop_assert_eq!((next.at.as_millis() - first.at.as_millis()) as u64, interval * (next.missed + 1));
        }
    }
}

//! Slots: how a day of local time is cut, by the step of the series.

use std::time::Duration;

use crate::time::millis;

const DAY_MS: i64 = 86_400_000;
const SLOT_MS_MAX: i64 = 900_000;

/// How long a slot is, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calendar {
    pub(super) step_ms: i64,
    pub(super) slot_ms: i64,
    day_slots: i64,
    /// Where the middle of a slot's samples lies in it: they are at the beginning of each step, so that it is half a step
    /// before the slot's.
    middle_ms: f64,
    /// What a millisecond leans; 0 where a slot has one sample.
    lean_per_ms: f64,
}

/// A point of local time: the slot, counted from a Thursday's midnight long ago, and how far into it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) number: i64,
    /// Its index in the day.
    pub(super) of_day: usize,
    /// Its index in the week.
    pub(super) of_week: usize,
    /// Where it lies between the middle of its slot's samples, 0, and that of the slot before, -1, or after, 1; at most
    /// a half away. Always 0 where a slot has one sample.
    pub(super) lean: f64,
}

impl Calendar {
    /// Slots are the longest multiple of the step that divides a day and is at most 15 minutes, or 15 minutes where that
    /// would be less than half of it; the shortest divisor of a day that a longer step fits into.
    pub(super) fn new(step: Duration) -> Self {
        let step_ms = millis(step).max(1);
        let slot_ms = if step_ms <= SLOT_MS_MAX {
            let multiples = (1..=SLOT_MS_MAX / step_ms).rev().map(|count| count * step_ms);
            let mut long_enough = multiples.take_while(|slot| slot * 2 > SLOT_MS_MAX);
            long_enough.find(|slot| DAY_MS % slot == 0).unwrap_or(SLOT_MS_MAX)
        } else {
            let counts = (1..=DAY_MS / step_ms).rev();
            counts.filter(|count| DAY_MS % count == 0).map(|count| DAY_MS / count).next().unwrap_or(DAY_MS)
        };
        let middle_ms = (slot_ms - step_ms) as f64 / 2.0;
        let lean_per_ms = if slot_ms > step_ms { 1.0 / slot_ms as f64 } else { 0.0 };
        Self { step_ms, slot_ms, day_slots: DAY_MS / slot_ms, middle_ms, lean_per_ms }
    }

    /// Slots a day; at least one.
    pub(super) fn day_slots(self) -> i64 {
        self.day_slots
    }

    /// Slots a week.
    pub(super) fn week_slots(self) -> i64 {
        7 * self.day_slots()
    }

    /// Whether days can be told apart at all from such samples.
    pub(super) fn has_weeks(self) -> bool {
        self.step_ms <= DAY_MS
    }

    /// Whether hours can.
    pub(super) fn has_days(self) -> bool {
        self.day_slots() >= 4
    }

    /// Whether a slot has at least three samples, so that one alone says little.
    pub(super) fn has_neighbours(self) -> bool {
        self.slot_ms >= 3 * self.step_ms
    }

    /// The slot of a local time.
    pub(super) fn place(self, local_ms: i64) -> Place {
        self.place_near(self.slot(local_ms.div_euclid(self.slot_ms)), local_ms)
    }

    /// The same, of a time that probably lies in the slot of another: divisions cost more than all else here.
    #[inline]
    pub(super) fn place_near(self, slot: Place, local_ms: i64) -> Place {
        let within = local_ms.saturating_sub(slot.number.saturating_mul(self.slot_ms));
        if within < 0 || within >= self.slot_ms {
            return self.place(local_ms);
        }
        let lean = (within as f64 - self.middle_ms) * self.lean_per_ms;
        Place { lean: lean.clamp(-0.5, 0.5), ..slot }
    }

    /// The middle of a slot.
    pub(super) fn slot(self, number: i64) -> Place {
        let of_week = number.rem_euclid(self.week_slots()) as usize;
        Place { number, of_day: of_week % self.day_slots() as usize, of_week, lean: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(step_s: u64, slot_s: i64) {
        assert_eq!(Calendar::new(Duration::from_secs(step_s)).slot_ms, slot_s * 1000, "step {step_s}s");
    }

    #[test]
    fn slots_divide_a_day_and_last_15_minutes_at_most_or_a_step() {
        for step_s in [1, 15, 60, 300, 900] {
            check(step_s, 900);
        }
        check(600, 600);
        check(480, 480);
        check(7, 900);
        check(420, 900);
        check(1200, 1200);
        check(3600, 3600);
        check(3000, 3200);
        check(86_400, 86_400);
        check(1_000_000, 86_400);
    }

    #[test]
    fn what_lies_in_the_middle_of_a_slots_samples_leans_nowhere() {
        let calendar = Calendar::new(Duration::from_secs(300));
        let leans = [0, 300_000, 600_000].map(|local_ms| calendar.place(local_ms).lean);
        assert!(
            leans[1].abs() < 1e-12 && (leans[0] + leans[2]).abs() < 1e-12 && leans[0] < -0.3,
            "{leans:?}"
        );
        assert_eq!(Calendar::new(Duration::from_secs(3600)).place(1).lean.to_bits(), 0.0_f64.to_bits());
    }
}

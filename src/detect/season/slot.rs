//! What is remembered of one slot of a day or a week, in three bytes: its part and a vote about another one.
//!
//! What lies within the noise is averaged. What lies beyond it is put to the vote of the cycles: a majority vote in one
//! pass after Boyer and Moore (1991), of which the candidate is a side and a size in octaves of the scale. So one
//! outage moves nothing at all, and a new habit is taken over whole once enough cycles agree about it.

use serde::{Deserialize, Serialize};

/// Beyond so many scales an error is no noise.
pub(super) const NOISE_SCALES: f64 = 3.0;

/// How fast a slot learns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Teaching {
    /// The share of an error within the noise that is taken over.
    pub(super) gain: f64,
    /// The weight of votes that takes over what lies beyond: a cycle that agrees counts 2, one that does not -1. To
    /// give up a part needs one cycle more, so that a job may miss its slot now and then.
    pub(super) votes: u8,
}

/// What one cycle showed of a slot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lesson {
    /// How far from its part it was; from nothing in the first cycle.
    pub(super) error: f64,
    /// The scale of such errors.
    pub(super) scale: f64,
    /// The part of the slots around it.
    pub(super) around: f64,
}

impl Lesson {
    fn is_noise(self) -> bool {
        self.error.abs() <= NOISE_SCALES * self.scale
    }

    /// Whether it was less of an exception among its neighbours than it used to be.
    fn is_calmer(self, part: f64) -> bool {
        (part + self.error - self.around).abs() < (part - self.around).abs()
    }
}

/// A number in 16 bits: a sign, 7 bits of exponent and 8 of mantissa, precise to 0.1 %, from 1e-19 to 9e18. Smaller ones
/// are 0, larger ones as large as it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Part([u8; 2]);

const SIGN: u16 = 0x8000;
/// Exponents of an `f32` up to this one are 0 here.
const EXPONENT_BASE: u32 = 63;
/// The mantissa of an `f32` has 23 bits.
const BITS_CUT: u32 = 23 - 8;

impl Part {
    /// Nothing was seen yet: the zero that no number is written as.
    pub(super) const UNSEEN: Self = Self(SIGN.to_le_bytes());

    pub(super) fn new(number: f64) -> Self {
        let bits = (number.abs() as f32).to_bits();
        let rounded = (bits + (1 << (BITS_CUT - 1))) >> BITS_CUT;
        let size = rounded.saturating_sub(EXPONENT_BASE << 8).min(u32::from(SIGN - 1)) as u16;
        // What is below the least exponent is zero and has no sign.
        let size = if size < 1 << 8 { 0 } else { size };
        let sign = if number < 0.0 && size > 0 { SIGN } else { 0 };
        Self((sign | size).to_le_bytes())
    }

    /// The number; `None` where nothing was seen.
    pub(super) fn get(self) -> Option<f64> {
        let bits = u16::from_le_bytes(self.0);
        let size = u32::from(bits & (SIGN - 1));
        match (bits & SIGN != 0, size) {
            (true, 0) => None,
            (false, 0) => Some(0.0),
            (is_negative, size) => {
                let number = f64::from(f32::from_bits((size + (EXPONENT_BASE << 8)) << BITS_CUT));
                Some(if is_negative { -number } else { number })
            }
        }
    }
}

/// A candidate and its weight: a sign, 4 bits of octaves, 3 bits of weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Vote(u8);

impl Vote {
    const NONE: Self = Self(0);
    /// The slot has been seen in one cycle only.
    const FRESH: Self = Self(0x80);
    const WEIGHT_MAX: u8 = 7;
    /// What one cycle counts.
    const HIT: u8 = 2;

    fn about(error: f64, scale: f64) -> Self {
        let octave = (error.abs() / scale).log2().clamp(0.0, 15.0) as u8;
        Self(u8::from(error < 0.0) << 7 | octave << 3 | Self::HIT)
    }

    fn weight(self) -> u8 {
        self.0 & Self::WEIGHT_MAX
    }

    fn with_weight(self, weight: u8) -> Self {
        if weight == 0 { Self::NONE } else { Self(self.0 & !Self::WEIGHT_MAX | weight.min(Self::WEIGHT_MAX)) }
    }

    /// The same side, and the same octave or the next.
    fn agrees(self, other: Self) -> bool {
        let octave = |vote: Self| vote.0 >> 3 & 15;
        self.weight() > 0 && self.0 >> 7 == other.0 >> 7 && octave(self).abs_diff(octave(other)) <= 1
    }
}

/// One slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Slot {
    part: Part,
    vote: Vote,
}

impl Slot {
    pub(super) const UNSEEN: Self = Self { part: Part::UNSEEN, vote: Vote::NONE };

    /// What the season adds in this slot; `None` where it was never seen.
    pub(super) fn part(self) -> Option<f64> {
        self.part.get()
    }

    /// Moves the part without a word about what was learnt.
    pub(super) fn shift(&mut self, by: f64) {
        if let Some(part) = self.part() {
            self.part = Part::new(part + by);
        }
    }

    /// Learns from one more cycle.
    pub(super) fn learn(&mut self, lesson: Lesson, teaching: Teaching) {
        let Some(part) = self.part() else {
            *self = Self { part: Part::new(lesson.error), vote: Vote::FRESH };
            return;
        };
        if self.vote == Vote::FRESH {
            *self = Self::second(part, lesson);
        } else if lesson.is_noise() {
            self.part = Part::new(part + teaching.gain * lesson.error);
            self.vote = self.vote.with_weight(self.vote.weight().saturating_sub(1));
        } else {
            self.vote_about(part, lesson, teaching);
        }
    }

    /// Of two first cycles that agree the mean is taken; of two that do not, the one that is less of an exception.
    fn second(part: f64, lesson: Lesson) -> Self {
        let Lesson { error, scale, .. } = lesson;
        if lesson.is_noise() {
            Self { part: Part::new(part + error / 2.0), vote: Vote::NONE }
        } else if lesson.is_calmer(part) {
            Self { part: Part::new(part + error), vote: Vote::about(-error, scale) }
        } else {
            Self { part: Part::new(part), vote: Vote::about(error, scale) }
        }
    }

    fn vote_about(&mut self, part: f64, lesson: Lesson, teaching: Teaching) {
        let seen = Vote::about(lesson.error, lesson.scale);
        let weight = self.vote.weight();
        if self.vote.agrees(seen) {
            // The candidate is what was seen last, so that it follows what grows from cycle to cycle.
            self.vote = seen.with_weight(weight + Vote::HIT);
            let needed = teaching.votes + if lesson.is_calmer(part) { Vote::HIT } else { 0 };
            if self.vote.weight() >= needed.min(Vote::WEIGHT_MAX) {
                *self = Self { part: Part::new(part + lesson.error), vote: Vote::NONE };
            }
        } else {
            let left = self.vote.with_weight(weight.saturating_sub(1));
            self.vote = if left == Vote::NONE { seen } else { left };
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAILY: Teaching = Teaching { gain: 1.0 / 3.0, votes: 5 };
    const WEEKLY: Teaching = Teaching { gain: 1.0 / 3.0, votes: 4 };

    /// The slot's part after these values, one a cycle, at a scale of 1.
    fn after(teaching: Teaching, values: &[f64]) -> f64 {
        let mut slot = Slot::UNSEEN;
        for value in values {
            let error = value - slot.part().unwrap_or(0.0);
            slot.learn(Lesson { error, scale: 1.0, around: 0.0 }, teaching);
        }
        slot.part().unwrap()
    }

    #[track_caller]
    fn check(teaching: Teaching, values: &[f64], expected: f64) {
        let part = after(teaching, values);
        assert!((part - expected).abs() < 0.5, "{values:?}: {part}, not {expected}");
    }

    #[test]
    fn a_habit_from_the_start_is_known_after_two_cycles() {
        check(DAILY, &[100.0, 100.0], 100.0);
    }

    #[test]
    fn an_exception_in_the_first_cycle_gives_way_in_the_second() {
        check(DAILY, &[100.0, 0.0], 0.0);
        check(DAILY, &[0.0, 100.0], 0.0);
    }

    #[test]
    fn a_new_habit_needs_three_days_or_two_weeks() {
        check(DAILY, &[0.0, 0.0, 100.0, 100.0], 0.0);
        check(DAILY, &[0.0, 0.0, 100.0, 100.0, 100.0], 100.0);
        check(WEEKLY, &[0.0, 0.0, 100.0], 0.0);
        check(WEEKLY, &[0.0, 0.0, 100.0, 100.0], 100.0);
        check(WEEKLY, &[0.0, 100.0, 0.0, 0.0, 100.0], 0.0);
    }

    #[test]
    fn a_habit_is_given_up_after_four_days_or_three_weeks_without_it() {
        check(DAILY, &[100.0, 100.0, 0.0, 0.0, 0.0], 100.0);
        check(DAILY, &[100.0, 100.0, 0.0, 0.0, 0.0, 0.0], 0.0);
        check(WEEKLY, &[100.0, 100.0, 0.0, 0.0], 100.0);
        check(WEEKLY, &[100.0, 100.0, 0.0, 0.0, 0.0], 0.0);
    }

    #[test]
    fn what_comes_every_other_day_is_learnt_with_the_fourth_time() {
        check(DAILY, &[0.0, 0.0, 90.0, 0.0, 90.0, 0.0, 90.0], 0.0);
        check(DAILY, &[0.0, 0.0, 90.0, 0.0, 90.0, 0.0, 90.0, 0.0, 90.0], 90.0);
    }

    #[test]
    fn what_differs_each_time_is_no_habit() {
        check(DAILY, &[0.0, 0.0, 100.0, -100.0, 10.0, 1000.0, -100.0], 0.0);
    }

    #[test]
    fn one_exception_moves_nothing_at_all() {
        let calm = [1.0, 2.0, 1.0, 1.5];
        let [before, later] = [&calm[..], &[&calm[..], &[500.0]].concat()].map(|values| after(DAILY, values));
        assert_eq!(before.to_bits(), later.to_bits());
    }

    proptest! {
        #[test]
        fn a_part_is_kept_to_a_thousandth(number in -1e18_f64..1e18, exponent in -60_i32..0) {
            let number = number * 2.0_f64.powi(exponent);
            let kept = Part::new(number).get().unwrap();
            prop_assert!((kept - number).abs() <= number.abs() * 0.00196, "{} {}", number, kept);
        }

        #[test]
        fn no_number_is_lost_or_made_up(bits in any::<u64>()) {
            let kept = Part::new(f64::from_bits(bits)).get();
            prop_assert!(kept.is_some_and(f64::is_finite), "{:?}", kept);
        }

        #[test]
        fn learning_keeps_a_slot_finite(errors in prop::collection::vec(-1e300_f64..1e300, 0..40), scale in 0.0_f64..1e9) {
            let mut slot = Slot::UNSEEN;
            for error in errors {
                slot.learn(Lesson { error, scale, around: 0.0 }, DAILY);
                prop_assert!(slot.part().is_some_and(f64::is_finite));
            }
        }
    }
}

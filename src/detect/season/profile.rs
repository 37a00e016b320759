//! The slots of one series: a day's, a week's as what they differ from the day's, and how the errors of a day spread.

use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Place};
use super::ladder::Rung;
use super::slot::{Lesson, Part, Slot, Teaching};

/// Three days have to agree about what lies beyond the noise.
const DAILY: Teaching = Teaching { gain: 1.0 / 3.0, votes: 5 };
/// While the week's rung is taken the day's slots learn from what it leaves over, seven times a week.
const DAILY_UNDER_WEEK: Teaching = Teaching { gain: 1.0 / 5.0, votes: 5 };
/// Two weeks in a row, or three of four.
const WEEKLY: Teaching = Teaching { gain: 1.0 / 3.0, votes: 4 };
/// The spread of a slot remembers about so many cycles.
const SPREAD_CYCLES: f64 = 5.0;

/// A slot whose samples are so many times as far from what was expected as usual has had an outage.
pub(super) const FAR: f64 = 3.0;

/// What is remembered of a series by slot; nothing is kept before it is needed.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Profile {
    day: Box<[Slot]>,
    week: Box<[Slot]>,
    spread: Box<[Part]>,
}

impl Profile {
    pub(super) fn begin_day(&mut self, calendar: Calendar) {
        let slots = calendar.day_slots() as usize;
        self.day = vec![Slot::UNSEEN; slots].into();
        self.spread = vec![Part::UNSEEN; slots].into();
    }

    pub(super) fn begin_week(&mut self, calendar: Calendar) {
        self.week = vec![Slot::UNSEEN; calendar.week_slots() as usize].into();
    }

    /// Whether it has as many slots as the calendar, or none yet.
    pub(super) fn is_of(&self, calendar: Calendar) -> bool {
        let is_of = |held: usize, slots: i64| held == 0 || i64::try_from(held) == Ok(slots);
        is_of(self.day.len(), calendar.day_slots())
            && is_of(self.spread.len(), calendar.day_slots())
            && is_of(self.week.len(), calendar.week_slots())
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.day) + size_of_val(&*self.week) + size_of_val(&*self.spread)
    }

    /// What a rung adds in a slot; `None` where it was never seen there.
    pub(super) fn part(&self, place: Place, rung: Rung) -> Option<f64> {
        let day = || self.day.get(place.of_day).and_then(|slot| slot.part());
        match rung {
            Rung::Plain => Some(0.0),
            Rung::Day => day(),
            // Where hours cannot be told apart, the week stands for itself.
            Rung::Week => Some(self.week.get(place.of_week)?.part()? + day().unwrap_or(0.0)),
        }
    }

    /// The parts of five neighbouring slots; one that was never seen is taken to be as the one in the middle.
    pub(super) fn parts(&self, place: Place, rung: Rung) -> Option<[f64; 5]> {
        let here = self.part(place, rung)?;
        let beside = |by: isize| self.part(self.beside(place, by), rung).unwrap_or(here);
        Some([beside(-2), beside(-1), here, beside(1), beside(2)])
    }

    /// The place of a slot so many after another, as far as parts go.
    fn beside(&self, place: Place, by: isize) -> Place {
        let of_day = wrapped(place.of_day, by, self.day.len());
        Place { of_day, of_week: wrapped(place.of_week, by, self.week.len()), ..place }
    }

    /// Teaches a slot of the day by its error at a scale; the rung is the one that left the error over.
    pub(super) fn learn_day(&mut self, place: Place, (error, scale): (f64, f64), rung: Rung) {
        let teaching = if rung == Rung::Week { DAILY_UNDER_WEEK } else { DAILY };
        let around = around(&self.day, place.of_day);
        if let Some(slot) = self.day.get_mut(place.of_day) {
            slot.learn(Lesson { error, scale, around }, teaching);
        }
    }

    /// Teaches a slot of the week by its error at a scale.
    pub(super) fn learn_week(&mut self, place: Place, (error, scale): (f64, f64)) {
        let around = around(&self.week, place.of_week);
        if let Some(slot) = self.week.get_mut(place.of_week) {
            slot.learn(Lesson { error, scale, around }, WEEKLY);
        }
    }

    /// Takes the median off the day's slots, or the week's, and gives it: what is in all of them is level.
    pub(super) fn centre(&mut self, rung: Rung) -> f64 {
        let slots = match rung {
            Rung::Plain => return 0.0,
            Rung::Day => &mut self.day,
            Rung::Week => &mut self.week,
        };
        let mut parts: Vec<f64> = slots.iter().filter_map(|slot| slot.part()).collect();
        parts.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| parts.get(index).copied().unwrap_or(0.0);
        let median = (at(parts.len().saturating_sub(1) / 2) + at(parts.len() / 2)) / 2.0;
        slots.iter_mut().for_each(|slot| slot.shift(-median));
        median
    }

    /// The spread of a slot and its neighbours: the root of their mean squares, where all are known.
    pub(super) fn spread(&self, place: Place) -> Option<f64> {
        let of = |by: isize| self.spread.get(wrapped(place.of_day, by, self.spread.len()))?.get();
        let [before, here, after] = [of(-1)?, of(0)?, of(1)?];
        Some(((before * before + here * here + after * after) / 3.0).sqrt())
    }

    /// Learns the mean distance of a slot's samples from what was expected of them.
    pub(super) fn learn_spread(&mut self, place: Place, distance: f64) {
        if let Some(spread) = self.spread.get_mut(place.of_day) {
            let old = spread.get().unwrap_or(distance);
            // One outage in a slot is no reason to be lenient in it for a week; what stays far out is learnt slowly.
            let is_far = old > 0.0 && distance > FAR * old;
            let new = if is_far { 1.1 * old } else { distance };
            *spread = Part::new(old + (new - old) / SPREAD_CYCLES);
        }
    }

    /// Another rung leaves other errors over.
    pub(super) fn forget_spread(&mut self) {
        self.spread.fill(Part::UNSEEN);
    }
}

/// The mean part of the slots before and after one; 0 where neither was seen.
fn around(slots: &[Slot], index: usize) -> f64 {
    let of = |by: isize| slots.get(wrapped(index, by, slots.len())).and_then(|slot| slot.part());
    match (of(-1), of(1)) {
        (Some(before), Some(after)) => (before + after) / 2.0,
        (Some(only), None) | (None, Some(only)) => only,
        (None, None) => 0.0,
    }
}

/// An index so many further in a ring; as it is where the ring has fewer slots than that.
fn wrapped(index: usize, by: isize, slots: usize) -> usize {
    let moved = index.wrapping_add_signed(by);
    if moved < slots {
        moved
    } else if by < 0 {
        moved.wrapping_add(slots)
    } else {
        moved.wrapping_sub(slots)
    }
}

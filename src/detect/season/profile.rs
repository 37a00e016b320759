//! The slots of one series: a day's, a week's as what they differ from the day's, and how the errors of a day spread.

use super::calendar::Calendar;
use super::ladder::Rung;
use super::slot::{Part, Slot, Teaching};

/// Three days have to agree about what lies beyond the noise.
const DAILY: Teaching = Teaching { gain: 1.0 / 3.0, votes: 5 };
/// While the week's rung is taken the day's slots learn from what it leaves over, seven times a week.
const DAILY_UNDER_WEEK: Teaching = Teaching { gain: 1.0 / 5.0, votes: 5 };
/// Two weeks, or two of three.
const WEEKLY: Teaching = Teaching { gain: 1.0 / 3.0, votes: 3 };
/// The spread of a slot remembers about so many cycles.
const SPREAD_CYCLES: f64 = 5.0;

/// What is remembered of a series by slot; nothing is kept before it is needed.
#[derive(Debug, Clone, Default)]
pub(super) struct Profile {
    day: Box<[Slot]>,
    week: Box<[Slot]>,
    spread: Box<[Part]>,
}

impl Profile {
    pub(super) fn has_day(&self) -> bool {
        !self.day.is_empty()
    }

    pub(super) fn has_week(&self) -> bool {
        !self.week.is_empty()
    }

    pub(super) fn begin_day(&mut self, calendar: Calendar) {
        let slots = calendar.day_slots() as usize;
        self.day = vec![Slot::UNSEEN; slots].into();
        self.spread = vec![Part::UNSEEN; slots].into();
    }

    pub(super) fn begin_week(&mut self, calendar: Calendar) {
        self.week = vec![Slot::UNSEEN; calendar.week_slots() as usize].into();
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.day) + size_of_val(&*self.week) + size_of_val(&*self.spread)
    }

    /// What a rung adds in a slot; `None` where it was never seen there.
    pub(super) fn part(&self, calendar: Calendar, number: i64, rung: Rung) -> Option<f64> {
        let day = || self.day.get(calendar.of_day(number)).and_then(|slot| slot.part());
        let week = || self.week.get(calendar.of_week(number)).and_then(|slot| slot.part());
        match rung {
            Rung::Plain => Some(0.0),
            Rung::Day => day(),
            // Where hours cannot be told apart, the week stands for itself.
            Rung::Week => Some(week()? + day().unwrap_or(0.0)),
        }
    }

    /// The parts of five neighbouring slots; one that was never seen is taken to be as the one in the middle.
    pub(super) fn parts(&self, calendar: Calendar, number: i64, rung: Rung) -> Option<[f64; 5]> {
        let here = self.part(calendar, number, rung)?;
        let beside = |by: i64| self.part(calendar, number + by, rung).unwrap_or(here);
        Some([beside(-2), beside(-1), here, beside(1), beside(2)])
    }

    /// The part in a slot's two neighbours.
    pub(super) fn neighbours(&self, calendar: Calendar, number: i64, rung: Rung) -> Option<[f64; 2]> {
        Some([self.part(calendar, number - 1, rung)?, self.part(calendar, number + 1, rung)?])
    }

    pub(super) fn learn_day(&mut self, calendar: Calendar, number: i64, error: f64, scale: f64, rung: Rung) {
        let teaching = if rung == Rung::Week { DAILY_UNDER_WEEK } else { DAILY };
        if let Some(slot) = self.day.get_mut(calendar.of_day(number)) {
            slot.learn(error, scale, teaching);
        }
    }

    pub(super) fn learn_week(&mut self, calendar: Calendar, number: i64, error: f64, scale: f64) {
        if let Some(slot) = self.week.get_mut(calendar.of_week(number)) {
            slot.learn(error, scale, WEEKLY);
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
        let middle = parts.len() / 2;
        if parts.is_empty() {
            return 0.0;
        }
        let (_, median, _) = parts.select_nth_unstable_by(middle, f64::total_cmp);
        let median = *median;
        slots.iter_mut().for_each(|slot| slot.shift(-median));
        median
    }

    /// The spread of a slot and its neighbours: the root of their mean squares, where all are known.
    pub(super) fn spread(&self, calendar: Calendar, number: i64) -> Option<f64> {
        let of = |by: i64| self.spread.get(calendar.of_day(number + by)).and_then(|spread| spread.get());
        let [before, here, after] = [of(-1)?, of(0)?, of(1)?];
        Some(((before * before + here * here + after * after) / 3.0).sqrt())
    }

    /// Learns the mean distance of a slot's samples from what was expected of them.
    pub(super) fn learn_spread(&mut self, calendar: Calendar, number: i64, distance: f64) {
        if let Some(spread) = self.spread.get_mut(calendar.of_day(number)) {
            let old = spread.get().unwrap_or(distance);
            // One outage in a slot is no reason to be lenient in it for a week.
            let new = if old > 0.0 { distance.min(2.0 * old) } else { distance };
            *spread = Part::new(old + (new - old) / SPREAD_CYCLES);
        }
    }

    /// Another rung leaves other errors over.
    pub(super) fn forget_spread(&mut self) {
        self.spread.fill(Part::UNSEEN);
    }
}

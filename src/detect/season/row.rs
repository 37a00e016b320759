//! One series: its open slot, the level of each rung, and what a closed slot teaches.

use serde::{Deserialize, Serialize};

use super::calendar::{Calendar, Place};
use super::expectation::{Expectation, Season};
use super::ladder::{ERROR_SCALES_MAX, Ladder, Rung, RungChange};
use super::level::{Level, SCALES_PER_ERROR, WARM_UP_SLOTS};
use super::profile::{FAR, Profile};
use super::settings::SeasonSettings;

/// A pair of samples so many scales beside what its neighbours have is what its slot is remembered for.
const EXCURSION_SCALES: f64 = 5.0;
/// From so many cycles on a slot's own spread counts.
pub(super) const POOLED_CYCLES: i64 = 5;
/// The pooled scale is worth at most so many degrees of freedom: its slots are not independent.
const POOLED_FREEDOM_MAX: f64 = 100.0;
/// Three slots of five cycles.
const OWN_FREEDOM: f64 = 15.0;
/// The share of a slot's own spread in its variance; the rest is pooled.
const OWN_SHARE: f64 = 0.8;

/// What every row of a table shares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) calendar: Calendar,
    pub(super) settings: &'a SeasonSettings,
}

/// The samples of a slot that is not over, by their distance from the level.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Open {
    number: i64,
    sum: f64,
    /// The sum of the distances from what was expected.
    beyond: f64,
    /// The excursion of the last sample.
    before: f64,
    /// The deviation of the farthest excursion; 0 where there was none.
    farthest: f64,
    count: u32,
    /// By which rung its samples are expected, and what that adds here and in the slots around.
    rung: Rung,
    parts: [f32; 5],
}

/// How far a rung's slots have been seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
enum Seen {
    #[default]
    Nothing,
    /// The first cycle goes on: its slots are about a level that stands still.
    First { from: i64 },
    /// It is over.
    Cycles { from: i64 },
}

/// One series.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Row {
    /// The last sample; nothing was learnt where there is none.
    last_ms: Option<i64>,
    open: Open,
    /// The latest local slot that was learnt.
    learnt: Option<i64>,
    day: Seen,
    week: Seen,
    levels: [Level; 3],
    pub(super) ladder: Ladder,
    /// The faded mean of the distances of samples from what was expected.
    distance: f32,
    distance_count: u16,
    /// The slot in which the rung was taken.
    since: i64,
    pub(super) profile: Profile,
}

impl Row {
    pub(super) fn level(&self, rung: Rung) -> &Level {
        let [plain, day, week] = &self.levels;
        match rung {
            Rung::Plain => plain,
            Rung::Day => day,
            Rung::Week => week,
        }
    }

    fn level_mut(&mut self, rung: Rung) -> &mut Level {
        let [plain, day, week] = &mut self.levels;
        match rung {
            Rung::Plain => plain,
            Rung::Day => day,
            Rung::Week => week,
        }
    }

    /// The rung by which a slot is expected: the chosen one, or a lower one where that never saw the slot.
    fn rung_at(&self, place: Place) -> Rung {
        let chosen = self.ladder.rung();
        let has_seen = |rung: &Rung| self.profile.part(place, *rung).is_some();
        Rung::ALL.into_iter().rev().filter(|rung| *rung <= chosen).find(has_seen).unwrap_or_default()
    }

    /// What the rung of a slot adds there and around. The slots themselves are looked at once for all samples of one.
    fn parts_at(&self, place: Place) -> (Rung, [f32; 5]) {
        if self.open.count > 0 && self.open.number == place.number {
            return (self.open.rung, self.open.parts);
        }
        let rung = self.rung_at(place);
        let parts = self.profile.parts(place, rung).filter(|_| rung != Rung::Plain);
        (rung, parts.map_or([0.0; 5], |parts| parts.map(|part| part as f32)))
    }

    /// What the season adds at a place, and by which rung.
    pub(super) fn season(&self, place: Place) -> (Rung, Season) {
        let (rung, parts) = self.parts_at(place);
        if rung == Rung::Plain {
            return (rung, Season::default());
        }
        let scale = self.level(rung).scale().unwrap_or(0.0);
        (rung, Season::between(parts.map(f64::from), place.lean, scale))
    }

    /// What is expected at a place; nothing while the series is new.
    pub(super) fn expect(&self, terms: Terms<'_>, place: Place) -> Option<Expectation> {
        if self.distance_count < WARM_UP_SLOTS {
            return None;
        }
        let (rung, season) = self.season(place);
        let level = self.level(rung).level;
        let (value, low, high) = (level + season.value, level + season.low, level + season.high);
        let pooled = SCALES_PER_ERROR * f64::from(self.distance);
        let own = self.own_spread(terms, place);
        let (scale, freedom) = match own.filter(|_| rung != Rung::Plain) {
            Some(own) => ((OWN_SHARE * own * own + (1.0 - OWN_SHARE) * pooled * pooled).sqrt(), OWN_FREEDOM),
            None => (pooled, f64::from(self.distance_count).min(POOLED_FREEDOM_MAX)),
        };
        let scale = scale.max(terms.settings.floor(value));
        let expected = Expectation { value, low, high, scale, freedom, rung };
        let figures = [value, low, high, scale];
        figures.iter().all(|figure| figure.is_finite()).then_some(expected)
    }

    /// The spread of a slot's own samples, once the rung has seen enough cycles of it.
    fn own_spread(&self, terms: Terms<'_>, place: Place) -> Option<f64> {
        let is_known = place.number - self.since >= POOLED_CYCLES * terms.calendar.day_slots();
        let spread = if is_known { self.profile.spread(place) } else { None };
        spread.map(|distance| SCALES_PER_ERROR * distance)
    }

    /// Takes one sample; says so where what it closed changes the rung.
    pub(super) fn learn(
        &mut self,
        terms: Terms<'_>,
        at_ms: i64,
        place: Place,
        value: f64,
    ) -> Option<RungChange> {
        if self.last_ms.is_some_and(|last_ms| at_ms <= last_ms) {
            return None;
        }
        let is_first = self.last_ms.is_none();
        self.last_ms = Some(at_ms);
        if is_first {
            self.levels = [Level::at(value); 3];
        }
        let mut change = None;
        if self.open.number != place.number || is_first {
            change = self.close(terms);
            self.open = Open { count: 0, ..self.open };
            let (rung, parts) = self.parts_at(place);
            self.open = Open { number: place.number, rung, parts, ..Open::default() };
        }
        let (rung, season) = self.season(place);
        let deviation = value - self.level(rung).level;
        self.open.count = self.open.count.saturating_add(1);
        self.open.sum += deviation;
        self.open.beyond += (deviation - season.nearest(deviation)).abs();
        self.note_excursion(terms, deviation);
        change
    }

    /// Two samples in a row that lie on one side of all that the slots around have are no stray: a job that is shorter
    /// than a slot is remembered by its height and not by its share of the slot.
    fn note_excursion(&mut self, terms: Terms<'_>, deviation: f64) {
        let calendar = terms.calendar;
        if calendar.slot_ms == calendar.step_ms || self.distance_count < WARM_UP_SLOTS {
            return;
        }
        let [_, before, _, after, _] = self.open.parts.map(f64::from);
        let around = Season { value: before, low: before.min(after), high: before.max(after) };
        let excursion = deviation - around.nearest(deviation);
        let last = std::mem::replace(&mut self.open.before, excursion);
        let scale = (SCALES_PER_ERROR * f64::from(self.distance)).max(terms.settings.floor(0.0));
        if excursion.abs() <= EXCURSION_SCALES * scale {
            return;
        }
        let agreed = match calendar.has_neighbours() {
            true if (last < 0.0) != (excursion < 0.0) => 0.0,
            true if last.abs() < excursion.abs() => last,
            true | false => excursion,
        };
        let agreed_deviation = deviation - excursion + agreed;
        if agreed.abs() > EXCURSION_SCALES * scale && agreed_deviation.abs() > self.open.farthest.abs() {
            self.open.farthest = agreed_deviation;
        }
    }

    /// Learns from the open slot, which is over.
    fn close(&mut self, terms: Terms<'_>) -> Option<RungChange> {
        let (open, calendar) = (self.open, terms.calendar);
        let is_enough = i64::from(open.count) * calendar.step_ms * 3 >= calendar.slot_ms;
        // Where clocks go back the same slots come again: one cycle must not vote twice.
        let is_new = self.learnt.is_none_or(|learnt| open.number > learnt);
        if open.count == 0 || !is_enough || !is_new {
            return None;
        }
        self.learnt = Some(open.number);
        let count = f64::from(open.count);
        let deviation = if open.farthest == 0.0 { open.sum / count } else { open.farthest };
        let place = calendar.slot(open.number);
        let value = self.level(self.rung_at(place)).level + deviation;
        if !value.is_finite() {
            return None;
        }
        self.learn_distance(terms, place, open.beyond / count);
        let errors = self.errors(place, value);
        self.begin_rungs(terms, value);
        self.teach_slots(terms, place, value, errors);
        self.teach_levels(terms, errors);
        self.end_first_cycles(terms);
        let change = self.ladder.choose(short(calendar.day_slots()))?;
        self.change_rung(change);
        Some(change)
    }

    /// How far off each rung was that foretold this slot.
    fn errors(&self, place: Place, value: f64) -> [Option<f64>; 3] {
        let of = |rung: Rung| {
            let foretells = match rung {
                Rung::Plain => true,
                Rung::Day => matches!(self.day, Seen::Cycles { .. }),
                Rung::Week => matches!(self.week, Seen::Cycles { .. }),
            };
            let part = self.profile.part(place, rung).filter(|_| foretells)?;
            Some(value - self.level(rung).level - part)
        };
        Rung::ALL.map(of)
    }

    fn begin_rungs(&mut self, terms: Terms<'_>, value: f64) {
        let (calendar, from) = (terms.calendar, self.open.number);
        if self.day == Seen::Nothing && calendar.has_days() {
            self.profile.begin_day(calendar);
            self.day = Seen::First { from };
            *self.level_mut(Rung::Day) = Level::at(value);
        }
        let is_old_enough = match self.day {
            Seen::Nothing => true,
            Seen::First { .. } => false,
            Seen::Cycles { .. } => true,
        };
        if self.week == Seen::Nothing && is_old_enough && calendar.has_weeks() {
            self.profile.begin_week(calendar);
            self.week = Seen::First { from };
            let below = if calendar.has_days() { Rung::Day } else { Rung::Plain };
            *self.level_mut(Rung::Week) = Level::at(self.level(below).level);
        }
    }

    fn teach_slots(&mut self, terms: Terms<'_>, place: Place, value: f64, errors: [Option<f64>; 3]) {
        let ([_, day, week], rung) = (errors, self.ladder.rung());
        let scale = |row: &Self, rung: Rung| {
            row.level(rung).scale().map_or(f64::INFINITY, |scale| scale.max(terms.settings.floor(0.0)))
        };
        let about = |row: &Self, rung: Rung| value - row.level(rung).level;
        if self.week != Seen::Nothing {
            let of_day = self.profile.part(place, Rung::Day).unwrap_or(0.0);
            let error = week.unwrap_or(about(self, Rung::Week) - of_day);
            let is_first = self.profile.part(place, Rung::Week).is_none();
            // Within the first cycle a slot can come once only, so nothing is voted about.
            if is_first || week.is_some() {
                self.profile.learn_week(place, (error, scale(self, Rung::Week)));
            }
        }
        match (rung, week) {
            (Rung::Week, Some(error)) => {
                self.profile.learn_day(place, (error, scale(self, Rung::Week)), rung);
            }
            (Rung::Plain | Rung::Day | Rung::Week, _) => {
                let error = day.unwrap_or(about(self, Rung::Day));
                let is_first = self.profile.part(place, Rung::Day).is_none();
                if is_first || day.is_some() {
                    self.profile.learn_day(place, (error, scale(self, Rung::Day)), Rung::Day);
                }
            }
        }
    }

    fn teach_levels(&mut self, terms: Terms<'_>, errors: [Option<f64>; 3]) {
        let calendar = terms.calendar;
        let (day, week) = (short(calendar.day_slots().max(7)), short(calendar.week_slots()));
        let quarter = day.div_ceil(4);
        let cap = self.level(Rung::Plain).scale().map_or(f64::INFINITY, |scale| ERROR_SCALES_MAX * scale);
        self.ladder.observe(errors, cap, week);
        for (rung, error) in Rung::ALL.into_iter().zip(errors) {
            let Some(error) = error else { continue };
            let floor = terms.settings.floor(self.level(rung).level);
            let level = self.level_mut(rung);
            // Without a season a level of hours foretells best; with one, that would follow what the season explains.
            let memory = if rung == Rung::Plain { (level.count + 1).min(quarter) } else { day };
            level.learn(error, memory, day, floor);
        }
    }

    /// After a first cycle what all slots have in common goes into the level.
    fn end_first_cycles(&mut self, terms: Terms<'_>) {
        let (calendar, number) = (terms.calendar, self.open.number);
        // The next slot is the first that comes again.
        let is_over =
            |seen: Seen, slots: i64| matches!(seen, Seen::First { from } if number + 1 - from >= slots);
        if is_over(self.day, calendar.day_slots()) {
            self.day = Seen::Cycles { from: self.from(Rung::Day).unwrap_or(number) };
            self.level_mut(Rung::Day).level += self.profile.centre(Rung::Day);
        }
        if is_over(self.week, calendar.week_slots()) {
            self.week = Seen::Cycles { from: self.from(Rung::Week).unwrap_or(number) };
            self.level_mut(Rung::Week).level += self.profile.centre(Rung::Week);
        }
    }

    fn change_rung(&mut self, change: RungChange) {
        let error = |rung: Rung| self.ladder.errors().into_iter().nth(rung as usize).flatten();
        let ratio = match (error(change.from), error(change.to)) {
            (Some(from), Some(to)) if from > 0.0 => (to / from) as f32,
            (Some(_) | None, _) => 1.0,
        };
        // The errors of the new rung are smaller by about so much; its own ones tell soon.
        self.distance *= ratio;
        self.distance_count = WARM_UP_SLOTS;
        self.since = self.open.number;
        self.profile.forget_spread();
    }

    fn learn_distance(&mut self, terms: Terms<'_>, place: Place, distance: f64) {
        let memory = short(terms.calendar.day_slots().max(24));
        self.distance_count = self.distance_count.saturating_add(1).min(memory);
        let old = f64::from(self.distance);
        let is_far = self.distance_count > WARM_UP_SLOTS && old > 0.0 && distance > FAR * old;
        // Enough to double in two days of nothing else.
        let new = if is_far { 1.5 * old } else { distance }.min(f64::from(f32::MAX));
        self.distance = (old + (new - old) / f64::from(self.distance_count)) as f32;
        self.profile.learn_spread(place, distance);
    }

    fn from(&self, rung: Rung) -> Option<i64> {
        let seen = match rung {
            Rung::Plain => Seen::Nothing,
            Rung::Day => self.day,
            Rung::Week => self.week,
        };
        match seen {
            Seen::Nothing => None,
            Seen::First { from } | Seen::Cycles { from } => Some(from),
        }
    }

    /// How many cycles of a rung lie between the first slot and the last.
    pub(super) fn cycles(&self, terms: Terms<'_>, rung: Rung) -> f64 {
        let slots = match rung {
            Rung::Plain => return 0.0,
            Rung::Day => terms.calendar.day_slots(),
            Rung::Week => terms.calendar.week_slots(),
        };
        let span = |from: i64| self.learnt.map_or(0, |learnt| learnt + 1 - from);
        self.from(rung).map_or(0.0, |from| span(from) as f64 / slots as f64)
    }

    /// Moves every level by a shift that is known to be true.
    pub(super) fn shift(&mut self, by: f64) {
        for level in &mut self.levels {
            let moved = level.level + by;
            level.level = if moved.is_finite() { moved } else { level.level };
        }
    }
}

impl Row {
    /// Whether its profile fits the calendar and no number of a slot is beyond all time.
    pub(super) fn is_sound(&self, calendar: Calendar) -> bool {
        const FARTHEST: u64 = 1 << 53;
        let numbers = [Some(self.open.number), self.learnt, Some(self.since)];
        let numbers = numbers.into_iter().chain([self.from(Rung::Day), self.from(Rung::Week)]);
        let is_near = |number: Option<i64>| number.is_none_or(|number| number.unsigned_abs() < FARTHEST);
        self.profile.is_of(calendar)
            && numbers.into_iter().all(is_near)
            && self.levels.iter().all(|level| level.count < u16::MAX && level.level.is_finite())
    }
}

/// Slots of a week are at most 2,100 or so.
fn short(slots: i64) -> u16 {
    u16::try_from(slots).unwrap_or(u16::MAX)
}

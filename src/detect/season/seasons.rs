//! The seasons of all series of one signal, in columns.

use std::time::Duration;

use super::super::opinion::Opinion;
use super::calendar::{Calendar, Place};
use super::expectation::{Expectation, Season};
use super::ladder::{Rung, RungChange};
use super::row::{Row, Terms};
use super::settings::SeasonSettings;
use crate::time::Timestamp;

/// What the series of a signal do at each time of day and week.
///
/// A row that does not exist expects nothing and learns nothing. What it is taught is put to the vote of the cycles, so
/// flagged samples belong into it: a job is expected only after it was seen. What stays out are times that say nothing of
/// normal days: maintenance, gaps, and incidents that a person confirmed.
#[derive(Debug, Clone)]
pub struct Seasons {
    settings: SeasonSettings,
    calendar: Calendar,
    /// Where the last sample was: the next one of all series is mostly in the same slot.
    near: Place,
    rows: Vec<Row>,
}

/// What the ladder of one series looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeasonView {
    /// The rung that is taken.
    pub rung: Rung,
    /// The error of each rung, from the lowest, in the signal's unit: the root of the mean squared miss at slots that it
    /// had not seen. Nothing where it does not foretell yet.
    pub errors: [Option<f64>; 3],
    /// Days from the first slot to the last that was learnt.
    pub days_seen: f64,
    /// Weeks from the first slot of a week's profile to the last that was learnt.
    pub weeks_seen: f64,
    /// The level that the rung's season swings about.
    pub level: f64,
}

impl Seasons {
    /// Takes the settings and the step of the signal.
    pub fn new(settings: &SeasonSettings, step: Duration) -> Self {
        let calendar = Calendar::new(step);
        Self { settings: settings.clone(), calendar, near: calendar.slot(0), rows: Vec::new() }
    }

    /// How long a slot is.
    pub fn slot(&self) -> Duration {
        Duration::from_millis(self.calendar.slot_ms.unsigned_abs())
    }

    /// Adds a row without history.
    pub fn grow(&mut self) {
        self.rows.push(Row::default());
    }

    /// Empties a row and gives its memory back.
    pub fn forget(&mut self, row: usize) {
        if let Some(row) = self.rows.get_mut(row) {
            *row = Row::default();
        }
    }

    /// What is expected at a time whose step was not seen yet; nothing in a row's first eight slots.
    pub fn expect(&self, row: usize, at: Timestamp) -> Option<Expectation> {
        self.rows.get(row)?.expect(self.terms(), self.place(at.as_millis()))
    }

    /// What the season adds to the level at a time: nothing where the rung is plain.
    pub fn season(&self, row: usize, at: Timestamp) -> Season {
        let season = |row: &Row| row.season(self.place(at.as_millis())).1;
        self.rows.get(row).map_or_else(Season::default, season)
    }

    /// The likeliest of what the season adds to the level at a time; 0 where the rung is plain.
    pub fn seasonal_part(&self, row: usize, at: Timestamp) -> f64 {
        self.season(row, at).value
    }

    /// What the season adds at a time where a sample has a value: of all that is as expected, what is nearest to it.
    /// `value - adjustment` is a series without its season.
    pub fn adjustment(&self, row: usize, at: Timestamp, value: f64) -> f64 {
        let Some(row) = self.rows.get(row) else { return 0.0 };
        let (rung, season) = row.season(self.place(at.as_millis()));
        season.nearest(value - row.level(rung).level)
    }

    /// What the ladder says of a sample that it has not learnt.
    pub fn judge(&self, row: usize, at_ms: i64, value: f64) -> Option<Opinion> {
        if !value.is_finite() {
            return None;
        }
        let expected = self.expect(row, Timestamp::from_millis(at_ms))?;
        Some(expected.judge(value, self.settings.sigma))
    }

    /// Takes a sample into the memory; says so where the rung is another one from here on. What is no number, late or
    /// repeated is left out.
    pub fn learn(&mut self, row: usize, at_ms: i64, value: f64) -> Option<RungChange> {
        let place = self.place(at_ms);
        let terms = Terms { calendar: self.calendar, settings: &self.settings };
        let row = self.rows.get_mut(row)?;
        if value.is_finite() { row.learn(terms, at_ms, place, value) } else { None }
    }

    /// What the season says of a sample that is taken into the memory next, where a season is known; like
    /// [`Self::expect`] and [`Self::learn`] in one.
    pub(in crate::detect) fn foretell_and_learn(
        &mut self,
        row: usize,
        at: Timestamp,
        value: f64,
    ) -> Option<Expectation> {
        let place = self.calendar.place_near(self.near, self.settings.zone.local_ms(at.as_millis()));
        if place.number != self.near.number {
            self.near = place;
        }
        let terms = Terms { calendar: self.calendar, settings: &self.settings };
        let row = self.rows.get_mut(row)?;
        let is_seasonal = row.ladder.rung() != Rung::Plain;
        let expected = if is_seasonal { row.expect(terms, place) } else { None };
        if value.is_finite() {
            let _ = row.learn(terms, at.as_millis(), place, value);
        }
        expected.filter(|expected| expected.rung != Rung::Plain)
    }

    /// Moves a row's level at once by a difference that somebody knows to be its new normal. Without that the level is
    /// adopted after a day.
    pub fn shift(&mut self, row: usize, by: f64) {
        if let Some(row) = self.rows.get_mut(row) {
            row.shift(by);
        }
    }

    /// How a row stands; nothing where there is no such row.
    pub fn view(&self, row: usize) -> Option<SeasonView> {
        let row = self.rows.get(row)?;
        let rung = row.ladder.rung();
        Some(SeasonView {
            rung,
            errors: row.ladder.errors(),
            days_seen: row.cycles(self.terms(), Rung::Day),
            weeks_seen: row.cycles(self.terms(), Rung::Week),
            level: row.level(rung).level,
        })
    }

    /// Bytes that all rows hold, without what the allocator adds.
    pub fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Row>()
            + self.rows.iter().map(|row| row.profile.bytes()).sum::<usize>()
    }

    pub(super) fn row(&self, row: usize) -> Option<&Row> {
        self.rows.get(row)
    }

    pub(super) fn row_mut(&mut self, row: usize) -> Option<&mut Row> {
        self.rows.get_mut(row)
    }

    pub(super) fn calendar(&self) -> Calendar {
        self.calendar
    }

    fn terms(&self) -> Terms<'_> {
        Terms { calendar: self.calendar, settings: &self.settings }
    }

    fn place(&self, at_ms: i64) -> Place {
        self.calendar.place(self.settings.zone.local_ms(at_ms))
    }
}

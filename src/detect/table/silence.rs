//! Series without samples: gaps, losses, and samples that look back over a gap.

use std::time::Duration;

use super::Table;
use crate::detect::finding::{Finding, Restart, What};
use crate::detect::run::Run;
use crate::detect::settings::{Missing, Settings};
use crate::detect::stage::Loss;
use crate::time::{Timestamp, millis};

impl Table {
    /// Takes note that an answer was partial: whoever is missing in it may be there all the same.
    pub(in crate::detect) fn excuse(&mut self, through: Timestamp) {
        self.excused_ms = self.excused_ms.max(through.as_millis());
    }

    /// Only a series with a full baseline can be lost: one that was never established is not missed.
    pub(super) fn has_stopped(&self, row: usize, through: Timestamp) -> bool {
        let silent_ms = through.as_millis().saturating_sub(self.last_ms[row].max(self.excused_ms));
        // It takes two steps at least: most rows need no further look.
        if silent_ms < self.step_ms.saturating_mul(2) || self.settings(row).missing == Missing::Ignore {
            return false;
        }
        // What is usual is asked of the few that are silent.
        silent_ms >= millis(self.lost_after_by(self.settings(row)))
            && self.panel.is_warm(row, self.settings(row))
            && silent_ms >= millis(self.lost_after_of(row))
    }

    /// Holds the series to be lost that have stopped by now, and gives their rows in order.
    pub(super) fn take_stopped(&mut self, through: Timestamp) -> Vec<usize> {
        let rows = 0..self.last_ms.len();
        let has_stopped =
            |row: &usize| self.in_use[*row] && !self.lost[*row] && self.has_stopped(*row, through);
        let stopped: Vec<usize> = rows.filter(has_stopped).collect();
        for row in &stopped {
            self.lost[*row] = true;
            self.note_standing(*row);
        }
        stopped
    }

    pub(super) fn silent_since(&self, row: usize) -> Timestamp {
        Timestamp::from_millis(self.last_ms[row].max(self.excused_ms))
    }

    /// How long a series is silent until it is lost, but for what overrides say.
    pub(in crate::detect) fn lost_after(&self) -> Duration {
        self.lost_after_by(&self.plan.settings)
    }

    fn lost_after_by(&self, settings: &Settings) -> Duration {
        let least = self.plan.step.saturating_mul(2);
        match settings.missing {
            Missing::Alert { after } => after.max(least),
            Missing::Ignore => least,
        }
    }

    /// How long this series is silent until it is lost: longer than is usual of it.
    pub(super) fn lost_after_of(&self, row: usize) -> Duration {
        let usual = self.pauses[row].usual(Timestamp::from_millis(self.last_ms[row]), self.plan.step);
        self.lost_after_by(self.settings(row)).max(usual)
    }

    /// Remembers how long a series was silent that has a sample again, unless it was the backend that was.
    pub(super) fn note_pause(&mut self, row: usize, at: Timestamp) {
        let is_of_backend = self.gaps.distort(at, self.plan.step.saturating_mul(2));
        if self.recent_count[row] > 0 && self.settings(row).learns_recurrence() && !is_of_backend {
            let lasted = at.since(self.silent_since(row));
            self.pauses[row].note(at, lasted, self.plan.step);
        }
    }

    /// Whether a sample comes later than two steps after the last, or is the first: else no loss and no gap has ended.
    pub(super) fn was_silent(&self, row: usize, at_ms: i64) -> bool {
        let pause_ms = at_ms.saturating_sub(self.last_ms[row]);
        self.lost[row] || self.recent_count[row] == 0 || pause_ms > self.step_ms.saturating_mul(2)
    }

    /// Ends what a series that has a sample again was silent for. Where no slot closed in between, as when what was
    /// missed is caught up, the loss is told now, so that it does not matter when anybody looked.
    pub(super) fn end_silence(&mut self, row: usize, at: Timestamp, emit: &mut dyn FnMut(Finding)) {
        let (last_seen, before) = (Timestamp::from_millis(self.last_ms[row]), at.minus(self.plan.step));
        if !self.lost[row] && self.recent_count[row] > 0 && self.has_stopped(row, before) {
            self.lost[row] = true;
            let known_at = self.silent_since(row).plus(self.lost_after_of(row)).min(before);
            emit(self.finding(row, known_at, What::Lost { last_seen }));
        }
        if self.lost[row] {
            self.lost[row] = false;
            emit(self.finding(row, at, What::Returned));
        }
    }

    /// Whether a sample stands for itself: it does not where it looks back over a gap of its series, or of the backend.
    pub(super) fn is_settled(&mut self, row: usize, at: Timestamp, was_silent: bool) -> bool {
        let window = self.plan.window;
        if was_silent && self.recent_count[row] > 0 && !window.is_zero() {
            let pause_ms = at.as_millis().saturating_sub(self.last_ms[row]);
            if pause_ms > self.step_ms.saturating_mul(2) {
                self.unsettled_ms[row] = at.plus(window).as_millis();
            }
        }
        at.as_millis() >= self.unsettled_ms[row] && (self.gaps.is_empty() || !self.gaps.distort(at, window))
    }

    pub(super) fn restart_after_gap(&mut self, row: usize, at: Timestamp, emit: &mut dyn FnMut(Finding)) {
        if self.recent_count[row] == 0 {
            return;
        }
        let lasted = at.since(Timestamp::from_millis(self.last_ms[row]));
        let settings = self.settings(row);
        if lasted > settings.adopt_after.max(self.baseline_span()) {
            if lasted > settings.forgets_after(self.plan.step) {
                self.panel.forget(row);
            }
            (self.recent_count[row], self.runs[row]) = (0, Run::default());
            emit(self.finding(row, at, What::Restarted(Restart::Gap { lasted })));
        }
    }

    /// Adds up the series whose last sample lies in a span and which have been silent since then up to `through`, all
    /// that were there when it began, and those that were there when it could be known, new ones too. What the sum holds
    /// as stopped already did stop, even if it is back.
    pub(in crate::detect) fn stopped_within(
        &self,
        span: (Timestamp, Timestamp),
        through: Timestamp,
        loss: &mut Loss,
    ) {
        let silent_ms = through.minus(self.plan.step.saturating_mul(2)).as_millis();
        let alive_ms = through.minus(self.lost_after()).as_millis();
        // Where a long time is caught up at once, what began later was not there yet when it was lost.
        let known_ms = span.0.plus(self.lost_after()).max(span.1).as_millis();
        for row in self.index.rows() {
            let (began_ms, last_ms) = (self.began_ms[row], self.last_ms[row]);
            if last_ms < span.0.as_millis() {
                continue;
            }
            let has_stopped = last_ms <= span.1.as_millis() && last_ms < silent_ms;
            loss.tracked += usize::from(has_stopped || began_ms <= span.0.as_millis());
            if has_stopped {
                loss.add(&self.keys[row]);
            } else if last_ms > alive_ms
                && began_ms <= known_ms
                && !loss.stopped.contains(&self.keys[row].hash)
            {
                loss.alive += 1;
            }
        }
    }

    /// The last samples of the series that have been silent since then up to `through`, from a time on, in order.
    pub(in crate::detect) fn silent_since_ms(&self, from: Timestamp, through: Timestamp) -> Vec<i64> {
        let silent_ms = through.minus(self.plan.step.saturating_mul(2)).as_millis();
        let ends = self.index.rows().map(|row| self.last_ms[row]);
        let mut ends: Vec<i64> = ends.filter(|ms| (from.as_millis()..silent_ms).contains(ms)).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// How many series had a sample within the time after which they are lost.
    pub(in crate::detect) fn alive(&self, through: Timestamp) -> usize {
        let oldest_ms = through.minus(self.lost_after()).as_millis();
        self.index.rows().filter(|row| self.last_ms[*row] > oldest_ms).count()
    }
}

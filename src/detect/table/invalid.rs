//! Values that cannot be while all is well, whatever the series has done before.

use super::Table;
use crate::detect::finding::Side;
use crate::detect::guard::INVALID_SCORE;
use crate::detect::panel::Judged;
use crate::detect::settings::Settings;

impl Table {
    /// Counts how many samples in a row were outside the valid range.
    pub(super) fn note_validity(&mut self, row: usize, value: f64) {
        let is_outside = self.settings(row).valid.side(value).is_some();
        self.invalid[row] = if is_outside { self.invalid[row].saturating_add(1) } else { 0 };
    }

    /// How many samples in a row, up to the last one, were outside the valid range.
    pub(super) fn invalid_run(&self, row: usize) -> usize {
        usize::from(self.invalid[row])
    }

    /// How many it takes until that is believed.
    pub(super) fn invalid_points(&self, settings: &Settings) -> usize {
        settings.invalid_samples(self.plan.step)
    }

    /// The side on which a sample that has been noted is outside the valid range, where that is believed by now.
    pub(super) fn forced(&self, row: usize, value: f64) -> Option<Side> {
        let settings = self.settings(row);
        let side = settings.valid.side(value)?;
        (self.invalid_run(row) >= self.invalid_points(settings)).then_some(side)
    }

    /// Raises the score of a sample outside the valid range: the anomaly begins with the first of them.
    pub(super) fn hold_to_the_range(&self, row: usize, value: f64, judged: &mut Judged) {
        let Some(side) = self.forced(row, value) else { return };
        let is_found = judged.verdict.is_outside() && judged.verdict.side == side;
        let score = if is_found { judged.verdict.score } else { 0.0 };
        judged.verdict.side = side;
        judged.verdict.score = score.max(INVALID_SCORE);
        let range = self.settings(row).valid;
        judged.verdict.upper = range.max.map_or(judged.verdict.upper, |max| judged.verdict.upper.min(max));
        judged.verdict.lower = range.min.map_or(judged.verdict.lower, |min| judged.verdict.lower.max(min));
        let lead = self.invalid_points(self.settings(row)).saturating_sub(1);
        judged.lead = judged.lead.max(lead);
    }
}

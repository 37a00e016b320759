//! Which row a series has, and rows that are used again.

use std::sync::Arc;

use super::{Counts, Table};
use crate::detect::pauses::Pauses;
use crate::detect::recurrence::Episodes;
use crate::detect::run::{Mark, Run};
use crate::series::{SeriesKey, Service};
use crate::time::Timestamp;

impl Table {
    /// Makes room for a series that is about to be judged.
    pub(in crate::detect) fn expect_series(&mut self, key: &Arc<SeriesKey>) {
        let _ = self.row_of(key);
    }

    pub(super) fn row_of(&mut self, key: &Arc<SeriesKey>) -> Option<usize> {
        // Answers name their series in the same order each time, and by the same key.
        let likely = self.last_row + 1;
        if self.keys.get(likely).is_some_and(|known| Arc::ptr_eq(known, key)) && self.in_use[likely] {
            self.last_row = likely;
            return Some(likely);
        }
        let row = self.find_row(key)?;
        self.last_row = row;
        Some(row)
    }

    fn find_row(&mut self, key: &Arc<SeriesKey>) -> Option<usize> {
        if let Some(row) = self.index.row_of(key.hash) {
            // From now on it comes by this key: after a restart, or where the names were read anew.
            self.keys[row] = Arc::clone(key);
            return Some(row);
        }
        if self.index.len() >= self.plan.series_limit {
            return None;
        }
        let row = match self.free.pop() {
            Some(row) => {
                self.keys[row] = Arc::clone(key);
                self.forget_state(row);
                row
            }
            None => self.grow(key),
        };
        self.in_use[row] = true;
        self.variants.take_in(row, key, &self.plan, self.samples_a_day);
        self.index.insert(key.hash, &key.service, row);
        Some(row)
    }

    pub(super) fn grow(&mut self, key: &Arc<SeriesKey>) -> usize {
        let row = self.keys.len();
        let blank = Mark { at_ms: i64::MIN, value: 0.0, signed_score: f64::NAN };
        self.keys.push(Arc::clone(key));
        self.panel.grow();
        self.variants.grow();
        self.episodes.push(Episodes::default());
        self.recent.resize((row + 1) * self.recent_len, blank);
        self.recent_count.push(0);
        self.runs.push(Run::default());
        self.verdicts.push(None);
        self.invalid.push(0);
        self.began_ms.push(i64::MIN);
        self.last_ms.push(i64::MIN);
        self.lost.push(false);
        self.unsettled_ms.push(i64::MIN);
        self.pauses.push(Pauses::default());
        self.in_use.push(false);
        row
    }

    pub(super) fn forget_state(&mut self, row: usize) {
        self.panel.forget(row);
        self.episodes[row].forget();
        (self.recent_count[row], self.runs[row]) = (0, Run::default());
        (self.began_ms[row], self.last_ms[row]) = (i64::MIN, i64::MIN);
        (self.lost[row], self.unsettled_ms[row]) = (false, i64::MIN);
        (self.verdicts[row], self.invalid[row]) = (None, 0);
        self.openings.remove(&row);
        self.pauses[row] = Pauses::default();
    }

    pub(super) fn forget_before(&mut self, oldest: Timestamp, counts: &mut Counts) {
        let is_old = |row: &usize| self.last_ms[*row] < oldest.as_millis();
        if !(0..self.last_ms.len()).any(|row| self.in_use[row] && is_old(&row)) {
            return;
        }
        let gone: Vec<(usize, Service)> =
            self.index.rows().filter(is_old).map(|row| (row, self.keys[row].service.clone())).collect();
        self.index.remove(&gone);
        for (row, _) in &gone {
            self.in_use[*row] = false;
            self.variants.leave(*row);
        }
        counts.evicted += gone.len() as u64;
        self.free.extend(gone.into_iter().map(|(row, _)| row));
    }
}

//! The last samples of each row, as they came.

use super::Table;
use crate::detect::run::Mark;

impl Table {
    pub(super) fn remember(&mut self, row: usize, mark: Mark) {
        let place = (self.recent_count[row] % self.recent_len as u64) as usize;
        self.recent[row * self.recent_len + place] = mark;
        self.recent_count[row] += 1;
    }

    /// The samples of the opening window, oldest first, into the scratch column.
    pub(super) fn load_marks(&mut self, row: usize) {
        let count = self.recent_count[row];
        let held = count.min(self.settings(row).open_window as u64).min(self.recent_len as u64);
        self.scratch.clear();
        for nth in count - held..count {
            let place = (nth % self.recent_len as u64) as usize;
            self.scratch.push(self.recent[row * self.recent_len + place]);
        }
    }

    /// All remembered samples, oldest first.
    pub(super) fn marks(&self, row: usize) -> Vec<Mark> {
        let count = self.recent_count[row];
        let held = count.min(self.recent_len as u64);
        let place = |nth: u64| row * self.recent_len + (nth % self.recent_len as u64) as usize;
        (count - held..count).map(|nth| self.recent[place(nth)]).collect()
    }
}

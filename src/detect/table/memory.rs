//! The last samples of each row, as they came.

use super::Table;
use crate::detect::run::Mark;

impl Table {
    pub(super) fn remember(&mut self, row: usize, mark: Mark) {
        let place = self.place(row, self.recent_count[row]);
        self.recent[place] = mark;
        self.recent_count[row] += 1;
    }

    /// The samples of the opening window, oldest first, into the scratch column.
    pub(super) fn load_marks(&mut self, row: usize) {
        let count = self.recent_count[row];
        let held = count.min(self.settings(row).open_window as u64).min(self.recent_len as u64);
        self.scratch.clear();
        for nth in count - held..count {
            self.scratch.push(self.recent[self.place(row, nth)]);
        }
    }

    /// All remembered samples, oldest first.
    pub(super) fn marks(&self, row: usize) -> Vec<Mark> {
        let count = self.recent_count[row];
        let held = count.min(self.recent_len as u64);
        (count - held..count).map(|nth| self.recent[self.place(row, nth)]).collect()
    }

    /// Where a row's nth sample is.
    fn place(&self, row: usize, nth: u64) -> usize {
        row * self.recent_len + (nth as usize & (self.recent_len - 1))
    }
}

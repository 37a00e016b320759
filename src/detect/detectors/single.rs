//! What all single detectors are alike in: their verbs, and a column of rows.

use std::ops::{Index, IndexMut};

use super::memory::Floors;
use crate::detect::Opinion;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer};

/// A detector that judges a sample of a series by its own memory of that series.
pub trait Single {
    /// Adds a row without history.
    fn grow(&mut self);

    /// Empties a row.
    fn forget(&mut self, row: usize);

    /// Judges a sample; `None` while the row warms up, and where the value is no finite number.
    fn judge(&mut self, row: usize, at_ms: i64, value: f64) -> Option<Opinion>;

    /// Takes a sample into the memory.
    fn learn(&mut self, row: usize, at_ms: i64, value: f64);

    /// Makes the memory exactly these values, oldest first; of more than it holds, the last ones.
    fn rebase(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        values.iter().for_each(|value| self.learn(row, 0, *value));
    }

    /// Moves the edge of the band, as improbable as `sigma` standard deviations in a normal distribution, and the floors of
    /// the scale. What is remembered stays.
    fn tune(&mut self, sigma: f64, floors: Floors);

    /// How many samples the memory of a row has.
    fn held(&self, row: usize) -> usize;

    /// What is expected of the next sample, and the lower and upper edge of the band; `None` while the row warms up, and
    /// where the detector has no band.
    fn band(&self, row: usize) -> Option<(f64, f64, f64)>;
}

/// A detector whose rows can be written down and read again: what decides how it judges comes from the settings, what it
/// remembers from there.
pub(in crate::detect) trait Keep {
    /// Writes down a row.
    fn keep(&self, row: usize, out: &mut Writer);

    /// Fills a row that was grown.
    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw>;
}

/// A column of state, a row a series. A row that was not grown is a mistake of the caller, and panics.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rows<State>(Vec<State>);

impl<State> Default for Rows<State> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<State: Default> Rows<State> {
    /// Adds a row without history.
    pub(super) fn grow(&mut self) {
        self.0.push(State::default());
    }

    /// Empties a row.
    pub(super) fn forget(&mut self, row: usize) {
        self[row] = State::default();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[expect(clippy::indexing_slicing, reason = "a numeric kernel: rows are grown by the caller")]
impl<State> Index<usize> for Rows<State> {
    type Output = State;

    #[inline]
    fn index(&self, row: usize) -> &State {
        &self.0[row]
    }
}

#[expect(clippy::indexing_slicing, reason = "a numeric kernel: rows are grown by the caller")]
impl<State> IndexMut<usize> for Rows<State> {
    #[inline]
    fn index_mut(&mut self, row: usize) -> &mut State {
        &mut self.0[row]
    }
}

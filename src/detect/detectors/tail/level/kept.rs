//! A row of the levels as bytes, and back.

use super::{LOCAL, LONG, LONG_EVERY, Levels, Row, THIN};
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

impl Levels {
    pub(in crate::detect::detectors) fn keep(&self, row: usize, out: &mut Writer) {
        out.put(&self.rows[row]);
    }

    pub(in crate::detect::detectors) fn restore(
        &mut self,
        row: usize,
        from: &mut Reader<'_>,
    ) -> Result<(), SnapshotFlaw> {
        let kept: Row = from.take()?;
        sound(kept.is_sound(), "a row of levels")?;
        self.rows[row] = kept;
        Ok(())
    }
}

impl Row {
    /// Whether places lie within their rings, and what is derived is what it is derived from.
    fn is_sound(&self) -> bool {
        let (local, long) = (&self.local[..self.local_len()], &self.long[..self.long_len()]);
        let mut sorted = local.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let count = |is_it: &dyn Fn(f64) -> bool| long.iter().filter(|value| is_it(**value)).count();
        let place = usize::from(self.local_place);
        let is_full = usize::from(self.accepted) >= LOCAL;
        local.iter().chain(long).chain([&self.long_level]).all(|value| value.is_finite())
            && sorted == self.sorted[..sorted.len()]
            && if is_full { place < LOCAL } else { place == local.len() }
            && usize::from(self.long_place) < LONG
            && usize::from(self.below) == count(&|value| value < self.long_level)
            && usize::from(self.equal) == count(&|value| value == self.long_level)
            && self.since_taken < THIN
            && self.since_long < LONG_EVERY
    }
}

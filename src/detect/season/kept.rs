//! A row of the seasons as bytes, and back.

use super::row::Row;
use super::seasons::Seasons;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

impl Seasons {
    pub(in crate::detect) fn keep(&self, row: usize, out: &mut Writer) {
        match self.row(row) {
            Some(row) => out.put(row),
            None => out.put(&Row::default()),
        }
    }

    pub(in crate::detect) fn restore(
        &mut self,
        row: usize,
        from: &mut Reader<'_>,
    ) -> Result<(), SnapshotFlaw> {
        let kept: Row = from.take()?;
        sound(kept.is_sound(self.calendar()), "a row of seasons")?;
        if let Some(row) = self.row_mut(row) {
            *row = kept;
        }
        Ok(())
    }
}

//! A row of the tail detector as bytes, and back.

use super::runs::{FITS, RUN_MAX};
use super::{Pending, Row, Tail};
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

impl Tail {
    pub(in crate::detect) fn keep(&self, row: usize, out: &mut Writer) {
        let (state, from) = (&self.rows[row], row * self.lengths.least);
        out.put(state);
        out.put_all(self.pending[from..from + usize::from(state.pending)].iter());
        self.levels.keep(row, out);
        self.seasons.keep(row, out);
    }

    /// Fills a row that was grown.
    pub(in crate::detect) fn restore(
        &mut self,
        row: usize,
        from: &mut Reader<'_>,
    ) -> Result<(), SnapshotFlaw> {
        let state: Row = from.take()?;
        sound(state.is_sound() && usize::from(state.pending) <= self.lengths.least, "a row of the tail")?;
        let begin = row * self.lengths.least;
        from.fill(&mut self.pending[begin..begin + usize::from(state.pending)])?;
        let held = &self.pending[begin..begin + usize::from(state.pending)];
        sound(held.iter().all(Pending::is_sound), "a sample held back")?;
        self.rows[row] = state;
        self.levels.restore(row, from)?;
        self.seasons.restore(row, from)
    }
}

impl Row {
    fn is_sound(&self) -> bool {
        let at_least_none = |value: f64| value.is_finite() && value >= 0.0;
        let Self { scales, fits, past, quantum, cut, clean, .. } = self;
        scales.values.iter().all(|scale| at_least_none(*scale))
            && scales.seen.iter().all(|seen| at_least_none(f64::from(*seen)))
            && fits.iter().all(super::Fit::is_sound)
            && past.is_sound()
            && at_least_none(*quantum)
            && (0.0..=1.0).contains(cut)
            && usize::from(*clean) <= RUN_MAX
    }
}

impl Pending {
    fn is_sound(&self) -> bool {
        let statistics: [f32; FITS] = self.statistics;
        self.value.is_finite()
            && self.residuals.iter().all(|residual| residual.is_finite())
            && statistics.iter().all(|statistic| *statistic >= 0.0)
            && self.floor.is_finite()
    }
}

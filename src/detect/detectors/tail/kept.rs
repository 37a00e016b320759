//! A row of the tail detector as bytes, and back.

use super::runs::RUN_MAX;
use super::{Pending, Row, Tail};
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

impl Tail {
    pub(in crate::detect) fn keep(&self, row: usize, out: &mut Writer) {
        let (state, from) = (&self.rows[row], row * self.lengths.least);
        out.put(state);
        // In the order in which they came, as a ring that begins at its first place is.
        let place = |nth: usize| from + (usize::from(state.oldest) + nth) % self.lengths.least;
        out.put_all((0..usize::from(state.pending)).map(|nth| &self.pending[place(nth)]));
        self.levels.keep(row, out);
        self.seasons.keep(row, out);
    }

    /// Fills a row that was grown.
    pub(in crate::detect) fn restore(
        &mut self,
        row: usize,
        from: &mut Reader<'_>,
    ) -> Result<(), SnapshotFlaw> {
        let state = Row { oldest: 0, ..from.take()? };
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
        let Self { scales, fits, past, reached, quantum, cut, share, clean, .. } = self;
        scales.values.iter().all(|scale| at_least_none(*scale))
            && scales.seen.iter().all(|seen| at_least_none(f64::from(*seen)))
            && fits.is_sound()
            && past.is_sound()
            && reached.is_sound()
            && *share > 0.0
            && *share <= 1.0
            && at_least_none(*quantum)
            && (0.0..=1.0).contains(cut)
            && usize::from(*clean) <= RUN_MAX
    }
}

impl Pending {
    fn is_sound(&self) -> bool {
        self.value.is_finite()
            && self.residuals.iter().all(|residual| residual.is_finite())
            && self.statistics.iter().all(|statistic| *statistic >= 0.0)
            && self.floor.is_finite()
    }
}

//! Which steps of a slot had a sample of any series.

/// The times of the samples since the slot before closed, each once.
///
/// As long as the times have no gap, a series within them costs two comparisons, however many samples it has.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    times_ms: Vec<i64>,
    is_whole: bool,
}

impl Seen {
    /// Takes the ascending times of one series.
    pub(super) fn take(&mut self, times_ms: &[i64], step_ms: i64) {
        let (Some(first), Some(last)) = (times_ms.first(), times_ms.last()) else { return };
        let known = self.times_ms.first().zip(self.times_ms.last());
        if self.is_whole && known.is_some_and(|(from, to)| from <= first && last <= to) {
            return;
        }
        self.times_ms.extend_from_slice(times_ms);
        self.times_ms.sort_unstable();
        self.times_ms.dedup();
        let gaps = self.times_ms.iter().zip(self.times_ms.iter().skip(1));
        self.is_whole = gaps.fold(true, |whole, (a, b)| whole && b.saturating_sub(*a) <= step_ms);
    }

    /// The times so far.
    pub(super) fn times(&self) -> &[i64] {
        &self.times_ms
    }

    /// The times, which are forgotten thereby.
    pub(super) fn finish(&mut self) -> Vec<i64> {
        self.is_whole = false;
        std::mem::take(&mut self.times_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_union_of_all_series_counts() {
        let mut seen = Seen::default();
        seen.take(&[10, 40], 10);
        seen.take(&[10, 20], 10);
        seen.take(&[30], 10);
        seen.take(&[20, 30], 10);
        assert_eq!(seen.finish(), [10, 20, 30, 40]);
        assert_eq!(seen.finish(), [] as [i64; 0]);
    }
}

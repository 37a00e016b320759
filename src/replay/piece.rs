//! What a backend holds of one signal between two steps, and how it is cut into the answers to single polls.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::Coverage;
use crate::series::{Batch, SignalName};
use crate::time::Timestamp;

/// Every sample of one signal at the steps from `from` to `through`, both included. Read once, and shared by all who run
/// over it.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// The samples.
    pub batch: Batch,
    /// The first step.
    pub from: Timestamp,
    /// The last step.
    pub through: Timestamp,
    /// The steps at which the backend itself took no samples: the first and the last of each run.
    pub gaps: Vec<(Timestamp, Timestamp)>,
    /// Whether these are all samples that there are.
    pub coverage: Coverage,
}

impl Piece {
    /// The same samples, so much later.
    #[must_use]
    pub fn later(&self, by: Duration) -> Self {
        let mut batch = Batch::with_capacity(
            self.batch.signal().clone(),
            self.batch.series_count(),
            self.batch.sample_count(),
        );
        for row in self.batch.rows() {
            batch.begin_row(Arc::clone(row.key));
            for (at, value) in row.times_ms.iter().zip(row.values) {
                batch.push(Timestamp::from_millis(*at).plus(by), *value);
            }
        }
        Self {
            batch,
            from: self.from.plus(by),
            through: self.through.plus(by),
            gaps: self.gaps.iter().map(|(first, last)| (first.plus(by), last.plus(by))).collect(),
            coverage: self.coverage.clone(),
        }
    }
}

/// A piece that is handed out part by part, in order of time.
#[derive(Debug)]
pub(super) struct Cut {
    piece: Arc<Piece>,
    /// How many samples of each row are handed out.
    taken: Vec<usize>,
}

impl Cut {
    pub(super) fn new(piece: Arc<Piece>) -> Self {
        let taken = vec![0; piece.batch.series_count()];
        Self { piece, taken }
    }

    pub(super) fn piece(&self) -> &Piece {
        &self.piece
    }

    /// The samples up to `through` that were not handed out yet.
    pub(super) fn take(&mut self, signal: &SignalName, through: Timestamp) -> Batch {
        let mut part = Batch::new(signal.clone());
        for (row, taken) in self.piece.batch.rows().zip(&mut self.taken) {
            let left = row.times_ms.get(*taken..).unwrap_or_default();
            let due = left.iter().take_while(|at| **at <= through.as_millis()).count();
            if due == 0 {
                continue;
            }
            part.begin_row(Arc::clone(row.key));
            let values = row.values.get(*taken..).unwrap_or_default();
            for (at, value) in left.iter().zip(values).take(due) {
                part.push(Timestamp::from_millis(*at), *value);
            }
            *taken += due;
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Labels, SeriesKey, Service};

    #[test]
    fn each_sample_is_handed_out_once_and_in_order() {
        let signal = SignalName::new("errors");
        let mut batch = Batch::new(signal.clone());
        for (service, steps) in [("a", vec![1, 2, 3, 4]), ("b", vec![3]), ("c", vec![])] {
            let labels = Labels::new([("service", service)]);
            batch.begin_row(Arc::new(SeriesKey::new(signal.clone(), Service::new(service), labels)));
            for step in steps {
                batch.push(Timestamp::from_millis(step), step as f64);
            }
        }
        let (from, through) = (Timestamp::from_millis(1), Timestamp::from_millis(4));
        let piece = Piece { batch, from, through, gaps: Vec::new(), coverage: Coverage::Whole };
        let mut cut = Cut::new(Arc::new(piece));
        let mut take = |through: i64| -> Vec<(String, Vec<f64>)> {
            let part = cut.take(&signal, Timestamp::from_millis(through));
            part.rows().map(|row| (row.key.service.to_string(), row.values.to_vec())).collect()
        };
        assert_eq!(take(2), [("a".to_owned(), vec![1.0, 2.0])]);
        assert_eq!(take(2), []);
        assert_eq!(take(9), [("a".to_owned(), vec![3.0, 4.0]), ("b".to_owned(), vec![3.0])]);
    }
}

//! A part of one answer to one signal's query, as columns.

use std::sync::Arc;

use super::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// A part of a batch carries at most this many series, so that no single step of the engine takes long.
pub const SERIES_PER_PART_MAX: usize = 4096;

/// Values beyond this magnitude are no values: no unit needs them, and below it no square or sum of them overflows.
const MAGNITUDE_MAX: f64 = 1e150;

/// Samples of one signal: a row a series, all rows in two shared columns.
///
/// Only finite values up to a magnitude of 1e150 enter: `NaN`, infinities and staleness markers are not values. Times
/// ascend strictly in a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    signal: SignalName,
    rows: Vec<(Arc<SeriesKey>, usize)>,
    times_ms: Vec<i64>,
    values: Vec<f64>,
}

/// One series of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchRow<'a> {
    /// Which series.
    pub key: &'a Arc<SeriesKey>,
    /// Milliseconds UTC, strictly ascending.
    pub times_ms: &'a [i64],
    /// Finite values, as many as times.
    pub values: &'a [f64],
}

impl Batch {
    /// Starts an empty batch.
    pub fn new(signal: SignalName) -> Self {
        Self { signal, rows: Vec::new(), times_ms: Vec::new(), values: Vec::new() }
    }

    /// Starts an empty batch with room for so many series and samples.
    pub fn with_capacity(signal: SignalName, series: usize, samples: usize) -> Self {
        Self {
            signal,
            rows: Vec::with_capacity(series),
            times_ms: Vec::with_capacity(samples),
            values: Vec::with_capacity(samples),
        }
    }

    /// The signal that every row belongs to.
    pub fn signal(&self) -> &SignalName {
        &self.signal
    }

    /// Opens a row; samples pushed from now on belong to it.
    pub fn begin_row(&mut self, key: Arc<SeriesKey>) {
        self.rows.push((key, self.times_ms.len()));
    }

    /// Adds a sample to the open row and says whether it was taken: a value that is not finite, a time that does not
    /// ascend, or a sample before the first row is left out.
    pub fn push(&mut self, at: Timestamp, value: f64) -> bool {
        let Some((_, start)) = self.rows.last() else {
            return false;
        };
        let before = if self.times_ms.len() > *start { self.times_ms.last() } else { None };
        let ascends = before.is_none_or(|before| *before < at.as_millis());
        // Of `NaN`, no comparison holds.
        let taken = ascends && value.abs() <= MAGNITUDE_MAX;
        if taken {
            self.times_ms.push(at.as_millis());
            self.values.push(value);
        }
        taken
    }

    /// How many series have a row, with samples or without.
    pub fn series_count(&self) -> usize {
        self.rows.len()
    }

    /// How many samples there are over all rows.
    pub fn sample_count(&self) -> usize {
        self.values.len()
    }

    /// The latest sample's time over all rows.
    pub fn latest(&self) -> Option<Timestamp> {
        self.times_ms.iter().copied().max().map(Timestamp::from_millis)
    }

    /// The rows in the order in which they came.
    pub fn rows(&self) -> impl Iterator<Item = BatchRow<'_>> {
        self.rows.iter().enumerate().map(|(place, (key, start))| {
            let end = self.rows.get(place + 1).map_or(self.times_ms.len(), |(_, next)| *next);
            BatchRow {
                key,
                times_ms: self.times_ms.get(*start..end).unwrap_or_default(),
                values: self.values.get(*start..end).unwrap_or_default(),
            }
        })
    }

    /// Cuts the batch into parts of at most [`SERIES_PER_PART_MAX`] series.
    pub fn into_parts(self) -> Vec<Self> {
        if self.rows.len() <= SERIES_PER_PART_MAX {
            return vec![self];
        }
        let first_of = |nth: usize| self.rows.get(nth).map_or(self.times_ms.len(), |(_, start)| *start);
        let cut = |nth: usize, rows: &[(Arc<SeriesKey>, usize)]| {
            let start = first_of(nth * SERIES_PER_PART_MAX);
            let end = first_of(nth * SERIES_PER_PART_MAX + rows.len());
            Self {
                signal: self.signal.clone(),
                rows: rows.iter().map(|(key, first)| (Arc::clone(key), *first - start)).collect(),
                times_ms: self.times_ms.get(start..end).unwrap_or_default().to_vec(),
                values: self.values.get(start..end).unwrap_or_default().to_vec(),
            }
        };
        self.rows.chunks(SERIES_PER_PART_MAX).enumerate().map(|(nth, rows)| cut(nth, rows)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Labels, Service};

    fn key(name: &str) -> Arc<SeriesKey> {
        let labels = Labels::new([("service", name)]);
        Arc::new(SeriesKey::new(SignalName::new("s"), Service::new(name), labels))
    }

    #[test]
    fn what_is_no_value_does_not_enter() {
        let mut batch = Batch::new(SignalName::new("s"));
        assert!(!batch.push(Timestamp::from_millis(0), 1.0), "no row is open");
        batch.begin_row(key("a"));
        assert!(batch.push(Timestamp::from_millis(1), 1.0));
        assert!(!batch.push(Timestamp::from_millis(2), f64::NAN));
        assert!(!batch.push(Timestamp::from_millis(2), f64::INFINITY));
        assert!(!batch.push(Timestamp::from_millis(2), -1e151));
        assert!(!batch.push(Timestamp::from_millis(1), 2.0), "a duplicate");
        batch.begin_row(key("b"));
        assert!(batch.push(Timestamp::from_millis(1), 3.0), "another row starts anew");
        let rows: Vec<_> = batch.rows().map(|row| (row.key.service.as_str(), row.values.to_vec())).collect();
        assert_eq!(rows, [("a", vec![1.0]), ("b", vec![3.0])]);
    }

    #[test]
    fn parts_hold_all_rows_in_order() {
        let mut batch = Batch::new(SignalName::new("s"));
        for n in 0..=SERIES_PER_PART_MAX {
            batch.begin_row(key(&n.to_string()));
            batch.push(Timestamp::from_millis(n as i64), n as f64);
        }
        let parts = batch.clone().into_parts();
        assert_eq!(parts.iter().map(Batch::series_count).collect::<Vec<_>>(), [SERIES_PER_PART_MAX, 1]);
        let values: Vec<f64> = parts.iter().flat_map(|part| part.values.clone()).collect();
        assert_eq!(values, batch.values);
    }
}

//! A recording in memory, and the way through it in time order.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use super::error::RecordingError;
use super::read::{Bounds, read_within};
use crate::series::{Batch, Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// Samples of some signals of some services, sorted by time.
///
/// Read from CSV: a header `time,service,<signal>,...` (columns in any order), then a row for each time and service
/// (in any order). A time is Unix seconds, with a fraction or without, or RFC 3339. An empty cell is no sample; `NaN`
/// and infinities are no values and are counted. A row that repeats another one exactly counts once; two rows of one
/// time and service that differ are an error, since no one can tell which is right.
#[derive(Debug, Clone)]
pub struct Recording {
    pub(super) signals: Vec<SignalName>,
    pub(super) services: Vec<Service>,
    /// Distinct times, ascending, and the rows that belong to each.
    pub(super) times: Vec<Timestamp>,
    pub(super) rows_at: Vec<Range<usize>>,
    /// The service of each row, as its place in `services`.
    pub(super) row_services: Vec<u32>,
    /// A value for each row and signal, row by row; `NaN` where there is none.
    pub(super) values: Vec<f64>,
    pub(super) not_values: usize,
    /// A key for each signal and service, signal by signal.
    pub(super) keys: Vec<Arc<SeriesKey>>,
}

/// All samples of one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Slot {
    /// The time.
    pub at: Timestamp,
    /// A batch for each signal, in the order of [`Recording::signals`]. Only series with a sample have a row; a signal
    /// without any has an empty batch, as a backend's answer would be.
    pub batches: Vec<Batch>,
}

impl Recording {
    /// Reads CSV of at most 10,000,000 rows, 50,000,000 values, 1,000 signals and 4 GiB. The name stands in errors.
    ///
    /// # Errors
    /// Name the file, the line, the column, the value and a way out.
    pub fn read(reader: impl std::io::Read, name: &str) -> Result<Self, RecordingError> {
        read_within(reader, name, &Bounds::default())
    }

    /// The signals, in the order of their columns.
    pub fn signals(&self) -> &[SignalName] {
        &self.signals
    }

    /// The services, in the order of their names.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The distinct times, ascending.
    pub fn times(&self) -> &[Timestamp] {
        &self.times
    }

    /// Cells left out because they hold `NaN` or an infinity.
    pub fn not_values(&self) -> usize {
        self.not_values
    }

    /// The usual distance of two times: the median (the lower one of two), at least 1 s. 1 s where there is one time
    /// only.
    pub fn step(&self) -> Duration {
        let second = Duration::from_secs(1);
        let mut distances: Vec<Duration> =
            self.times.iter().zip(self.times.iter().skip(1)).map(|(one, next)| next.since(*one)).collect();
        if distances.is_empty() {
            return second;
        }
        let middle = (distances.len() - 1) / 2;
        let (_, median, _) = distances.select_nth_unstable(middle);
        (*median).max(second)
    }

    /// The samples, time by time.
    pub fn slots(&self) -> Slots<'_> {
        Slots { recording: self, next: 0 }
    }

    fn slot(&self, place: usize) -> Option<Slot> {
        let at = *self.times.get(place)?;
        let rows = self.rows_at.get(place)?;
        let batches = (0..self.signals.len()).filter_map(|signal| self.batch(at, rows, signal)).collect();
        Some(Slot { at, batches })
    }

    fn batch(&self, at: Timestamp, rows: &Range<usize>, signal: usize) -> Option<Batch> {
        let mut batch = Batch::new(self.signals.get(signal)?.clone());
        for row in rows.clone() {
            let value = *self.values.get(row * self.signals.len() + signal)?;
            if value.is_finite() {
                let service = *self.row_services.get(row)? as usize;
                let key = self.keys.get(signal * self.services.len() + service)?;
                batch.begin_row(Arc::clone(key));
                batch.push(at, value);
            }
        }
        Some(batch)
    }
}

/// Goes through a recording in time order; see [`Recording::slots`].
#[derive(Debug, Clone)]
pub struct Slots<'r> {
    recording: &'r Recording,
    next: usize,
}

impl Iterator for Slots<'_> {
    type Item = Slot;

    fn next(&mut self) -> Option<Slot> {
        let slot = self.recording.slot(self.next)?;
        self.next += 1;
        Some(slot)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.recording.times.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Slots<'_> {}

/// The keys of each signal's series: the label `service` and nothing else.
pub(super) fn keys(signals: &[SignalName], services: &[Service]) -> Vec<Arc<SeriesKey>> {
    let of_signal = |signal: &SignalName| {
        let signal = signal.clone();
        services.iter().map(move |service| {
            let labels = Labels::new([("service", service.as_str())]);
            Arc::new(SeriesKey::new(signal.clone(), service.clone(), labels))
        })
    };
    signals.iter().flat_map(of_signal).collect()
}

//! CSV into samples, one row at a time.

use std::collections::VecDeque;
use std::io::Read;
use std::time::Duration;

use csv::StringRecord;

use super::error::SamplesError;
use crate::source::columns::{column, shown};
use crate::source::lines::Rows;
use crate::time::{Timestamp, parse_timestamp};

/// So many rows from the top of a file say how far apart its samples are.
const ROWS_FOR_STEP: usize = 10_000;
const HEADER: &str =
    "the first line has to be a header with the columns timestamp and value, with a comma between";
/// 10000-01-01: a time beyond is one in milliseconds, or none.
const TIME_END: Timestamp = Timestamp::from_millis(253_402_300_800_000);

/// A row of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The line in the file, counted from one.
    pub line: u64,
    /// The time.
    pub at: Timestamp,
    /// The value; `None` where the cell is empty or holds `NaN` or an infinity.
    pub value: Option<f64>,
    /// The time as it stands in the file.
    pub timestamp_text: String,
    /// The value as it stands in the file.
    pub value_text: String,
}

/// The samples of one series, read while they are asked for: at most 10,000 rows are in memory.
///
/// CSV with a header that has the columns `timestamp` and `value`, at any place; others are ignored. A time is Unix
/// seconds, with a fraction or without, `YYYY-MM-DD HH:MM:SS` in UTC, or RFC 3339. Rows come out in the file's order.
#[derive(Debug)]
pub struct Samples<R> {
    rows: Rows<R>,
    name: String,
    columns: Columns,
    record: StringRecord,
    ahead: VecDeque<Sample>,
    /// What was found after the rows that wait in `ahead`.
    broken: Option<SamplesError>,
    has_ended: bool,
    step: Option<Duration>,
}

#[derive(Debug, Clone, Copy)]
struct Columns {
    count: usize,
    timestamp: usize,
    value: usize,
}

impl<R: Read> Samples<R> {
    /// Reads the header and the first rows. The name stands in errors.
    ///
    /// # Errors
    /// Names the file, the line and a way out where the header is not what it must be or no row follows it.
    pub fn open(reader: R, name: &str) -> Result<Self, SamplesError> {
        let mut rows = Rows::new(reader, csv::Trim::None);
        let header = rows.header().map_err(|error| csv_error(name, 0, &error))?;
        let mut samples = Self {
            columns: Columns::new(&header, name)?,
            rows,
            name: name.to_owned(),
            record: StringRecord::new(),
            ahead: VecDeque::new(),
            broken: None,
            has_ended: false,
            step: None,
        };
        samples.look_ahead()?;
        Ok(samples)
    }

    /// The usual distance of two samples: the median (the lower one of two) of the positive differences between the rows
    /// at the top of the file, 10,000 of them at most. `None` where no time is after another.
    pub fn step(&self) -> Option<Duration> {
        self.step
    }

    /// Only how far apart samples are is taken from rows that are not given out yet.
    fn look_ahead(&mut self) -> Result<(), SamplesError> {
        while self.ahead.len() < ROWS_FOR_STEP {
            match self.read() {
                Ok(Some(sample)) => self.ahead.push_back(sample),
                Ok(None) => break,
                Err(error) if self.ahead.is_empty() => return Err(error),
                Err(error) => {
                    self.broken = Some(error);
                    break;
                }
            }
        }
        if self.ahead.is_empty() {
            return Err(SamplesError::Empty { name: self.name.clone() });
        }
        let next = self.ahead.iter().skip(1);
        let distances = self.ahead.iter().zip(next).map(|(one, next)| next.at.since(one.at));
        let mut distances: Vec<Duration> = distances.filter(|distance| !distance.is_zero()).collect();
        if !distances.is_empty() {
            let middle = (distances.len() - 1) / 2;
            self.step = Some(*distances.select_nth_unstable(middle).1);
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Option<Sample>, SamplesError> {
        match self.rows.read(&mut self.record) {
            Ok(true) => self.sample().map(Some),
            Ok(false) => {
                self.has_ended = true;
                Ok(None)
            }
            Err(error) => Err(csv_error(&self.name, self.rows.line_before(), &error)),
        }
    }

    fn sample(&self) -> Result<Sample, SamplesError> {
        let line = self.record.position().map_or(0, csv::Position::line);
        if self.record.len() != self.columns.count {
            return Err(self.ragged(line));
        }
        let text = |column: usize| self.record.get(column).unwrap_or_default();
        let (timestamp, value) = (text(self.columns.timestamp), text(self.columns.value));
        let cell = |column, because| SamplesError::Cell { name: self.name.clone(), line, column, because };
        Ok(Sample {
            line,
            at: time_of(timestamp.trim()).map_err(|because| cell("timestamp", because))?,
            value: value_of(value.trim()).map_err(|because| cell("value", because))?,
            timestamp_text: timestamp.to_owned(),
            value_text: value.to_owned(),
        })
    }

    fn ragged(&self, line: u64) -> SamplesError {
        let (found, expected) = (self.record.len(), self.columns.count);
        let way_out = if found < expected {
            "leave a cell empty where there is no value, but keep its comma"
        } else {
            "remove the cells that have no column"
        };
        SamplesError::Ragged { name: self.name.clone(), line, found, expected, way_out }
    }
}

impl<R: Read> Iterator for Samples<R> {
    type Item = Result<Sample, SamplesError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(sample) = self.ahead.pop_front() {
            return Some(Ok(sample));
        }
        if let Some(error) = self.broken.take() {
            self.has_ended = true;
            return Some(Err(error));
        }
        if self.has_ended {
            return None;
        }
        let row = self.read().transpose();
        // After an error nothing that follows can be trusted to be a row.
        self.has_ended |= matches!(row, Some(Err(_)));
        row
    }
}

impl Columns {
    fn new(header: &StringRecord, name: &str) -> Result<Self, SamplesError> {
        let wrong = |because: String| SamplesError::Header { name: name.to_owned(), because };
        if header.iter().all(|column| column.trim().is_empty()) {
            return Err(SamplesError::Empty { name: name.to_owned() });
        }
        let find = |wanted| column(header, wanted, HEADER).map_err(wrong);
        Ok(Self { count: header.len(), timestamp: find("timestamp")?, value: find("value")? })
    }
}

fn time_of(text: &str) -> Result<Timestamp, String> {
    let is_number = text.parse::<f64>().is_ok();
    let at = match parse_timestamp(text) {
        Ok(at) => Some(at),
        // Without a zone it is UTC. A date alone says nothing of the time of day.
        Err(_) if !is_number && text.contains(':') && text.bytes().all(is_civil) => {
            let civil = text.parse::<jiff::civil::DateTime>().ok();
            let zoned = civil.and_then(|civil| civil.to_zoned(jiff::tz::TimeZone::UTC).ok());
            zoned.map(|zoned| Timestamp::from_millis(zoned.timestamp().as_millisecond()))
        }
        Err(_) => None,
    };
    match at {
        Some(at) if at < TIME_END => Ok(at),
        Some(_) => Err(format!(
            "{:?} is beyond the year 9999: give Unix time in seconds, not in milliseconds",
            shown(text)
        )),
        None => Err(format!(
            "{:?} is no time: give Unix seconds or YYYY-MM-DD HH:MM:SS in UTC, such as 2026-01-31 08:00:00",
            shown(text)
        )),
    }
}

fn is_civil(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'-' | b':' | b'.' | b' ' | b'T')
}

fn value_of(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) => Ok(value.is_finite().then_some(value)),
        Err(_) => Err(format!(
            "{:?} is no number: give one with a point, or leave the cell empty where there is none",
            shown(text)
        )),
    }
}

fn csv_error(name: &str, line: u64, error: &csv::Error) -> SamplesError {
    let (line, because) = match error.kind() {
        csv::ErrorKind::Utf8 { .. } => (line.max(1), "is not UTF-8: save the file as UTF-8".to_owned()),
        // It breaks off within the row after the last one that was read.
        csv::ErrorKind::Io(error) => (line + 1, error.to_string()),
        _ => (line, error.to_string()),
    };
    SamplesError::Unreadable { name: name.to_owned(), line, because }
}

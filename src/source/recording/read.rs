//! CSV into a recording: cells checked one by one, rows sorted, repeated rows found.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;

use csv::StringRecord;

use super::error::RecordingError;
use super::table::{Recording, keys};
use crate::series::{Service, SignalName};
use crate::source::lines::Rows;
use crate::time::{Timestamp, parse_timestamp};

/// What a recording may hold.
pub(super) struct Bounds {
    pub(super) rows: usize,
    pub(super) values: usize,
    pub(super) signals: usize,
    pub(super) bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rows: 10_000_000, values: 50_000_000, signals: 1_000, bytes: 4 << 30 }
    }
}

/// A cell's text is shown up to this many characters.
const SHOWN_CHARS_MAX: usize = 80;

pub(super) fn read_within(
    reader: impl Read,
    name: &str,
    bounds: &Bounds,
) -> Result<Recording, RecordingError> {
    // One byte more than allowed tells a file that ends at the bound from one that goes on.
    let mut limited = reader.take(bounds.bytes.saturating_add(1));
    let outcome = {
        let mut rows = Rows::new(&mut limited, csv::Trim::All);
        read_rows(&mut rows, name, bounds)
    };
    if limited.limit() == 0 {
        // Whatever else was found may come from the cut.
        return Err(too_large(name, format!("{} bytes", bounds.bytes)));
    }
    outcome
}

fn read_rows<R: Read>(rows: &mut Rows<R>, name: &str, bounds: &Bounds) -> Result<Recording, RecordingError> {
    let header = rows.header().map_err(|error| csv_error(name, &error))?;
    let columns = Columns::new(&header, name, bounds)?;
    let mut table = Table::new(columns, name);
    let mut record = StringRecord::new();
    while rows.read(&mut record).map_err(|error| csv_error(name, &error))? {
        if table.rows.len() >= bounds.rows {
            return Err(too_large(name, format!("{} rows", bounds.rows)));
        }
        if table.values.len() >= bounds.values {
            return Err(too_large(name, format!("{} values", bounds.values)));
        }
        table.add(&record)?;
    }
    table.finish()
}

/// Where in a row things stand.
struct Columns {
    count: usize,
    time: usize,
    service: usize,
    signals: Vec<(usize, SignalName)>,
}

impl Columns {
    fn new(header: &StringRecord, name: &str, bounds: &Bounds) -> Result<Self, RecordingError> {
        let wrong = |because: String| RecordingError::Header { name: name.to_owned(), because };
        if header.iter().all(str::is_empty) {
            return Err(RecordingError::Empty { name: name.to_owned() });
        }
        let mut places = BTreeMap::new();
        for (place, column) in header.iter().enumerate() {
            if column.is_empty() {
                return Err(wrong(format!("column {} has no name: give it a signal's name", place + 1)));
            }
            if let Some(first) = places.insert(column, place) {
                let (first, again, column) = (first + 1, place + 1, shown(column));
                return Err(wrong(format!(
                    "column {column:?} stands twice, in place {first} and {again}: rename or remove one"
                )));
            }
        }
        let find = |wanted: &str| {
            places.get(wanted).copied().ok_or_else(|| {
                let seen = shown(&header.iter().collect::<Vec<_>>().join(","));
                wrong(format!("column {wanted:?} is missing in {seen:?}: give time,service,<signal>,..."))
            })
        };
        let (time, service) = (find("time")?, find("service")?);
        let named = header.iter().enumerate().filter(|(place, _)| *place != time && *place != service);
        let signals: Vec<_> = named.map(|(place, name)| (place, SignalName::new(name))).collect();
        if signals.is_empty() {
            return Err(wrong("no column is a signal's: give time,service,<signal>,...".to_owned()));
        }
        if signals.len() > bounds.signals {
            return Err(too_large(name, format!("{} signals", bounds.signals)));
        }
        Ok(Self { count: header.len(), time, service, signals })
    }
}

#[derive(Clone, Copy)]
struct Row {
    time: Timestamp,
    service: u32,
    /// Its place among the rows as read, which is where its values stand.
    place: usize,
    line: u64,
}

/// Rows as they come.
struct Table<'n> {
    name: &'n str,
    columns: Columns,
    services: HashMap<Box<str>, u32>,
    rows: Vec<Row>,
    values: Vec<f64>,
    not_values: usize,
}

impl<'n> Table<'n> {
    fn new(columns: Columns, name: &'n str) -> Self {
        Self { name, columns, services: HashMap::new(), rows: Vec::new(), values: Vec::new(), not_values: 0 }
    }

    fn add(&mut self, record: &StringRecord) -> Result<(), RecordingError> {
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != self.columns.count {
            return Err(self.ragged(record.len(), line));
        }
        let time_text = record.get(self.columns.time).unwrap_or_default();
        let time = parse_timestamp(time_text).map_err(|error| self.cell(line, "time", error.to_string()))?;
        let service = record.get(self.columns.service).unwrap_or_default();
        if service.is_empty() {
            return Err(self.cell(line, "service", "is empty: give the service's name".to_owned()));
        }
        let service = self.service(service);
        let row = Row { time, service, place: self.rows.len(), line };
        for (place, signal) in &self.columns.signals {
            let text = record.get(*place).unwrap_or_default();
            let value = if text.is_empty() { Some(f64::NAN) } else { text.parse::<f64>().ok() };
            let Some(value) = value else {
                let text = shown(text);
                let because =
                    format!("{text:?} is no number: give one, or leave the cell empty for no sample");
                return Err(self.cell(line, signal.as_str(), because));
            };
            self.not_values += usize::from(!text.is_empty() && !value.is_finite());
            // One bit pattern for all that is no value, so that equal rows are equal bit by bit.
            self.values.push(if value.is_finite() { value } else { f64::NAN });
        }
        self.rows.push(row);
        Ok(())
    }

    fn service(&mut self, name: &str) -> u32 {
        if let Some(place) = self.services.get(name) {
            return *place;
        }
        // There are fewer services than rows, and the rows are bounded.
        let place = u32::try_from(self.services.len()).unwrap_or(u32::MAX);
        self.services.insert(name.into(), place);
        place
    }

    fn finish(mut self) -> Result<Recording, RecordingError> {
        if self.rows.is_empty() {
            return Err(RecordingError::Empty { name: self.name.to_owned() });
        }
        let services = self.number_services_by_name();
        let mut rows = std::mem::take(&mut self.rows);
        rows.sort_unstable_by_key(|row| (row.time, row.service, row.place));
        let signals: Vec<SignalName> = self.columns.signals.iter().map(|(_, name)| name.clone()).collect();
        let mut recording = Recording {
            keys: keys(&signals, &services),
            signals,
            services,
            times: Vec::new(),
            rows_at: Vec::new(),
            row_services: Vec::with_capacity(rows.len()),
            values: Vec::with_capacity(self.values.len()),
            not_values: self.not_values,
        };
        let mut before: Option<Row> = None;
        for row in rows {
            match before.filter(|before| (before.time, before.service) == (row.time, row.service)) {
                Some(first) if self.same_values(first, row) => continue,
                Some(first) => return Err(self.duplicate(first, row, &recording.services)),
                None => recording.append(row.time, row.service, self.values_of(row)),
            }
            before = Some(row);
        }
        Ok(recording)
    }

    /// Gives the services numbers in the order of their names, so that nothing depends on the order of rows.
    fn number_services_by_name(&mut self) -> Vec<Service> {
        let mut by_name: Vec<(Box<str>, u32)> = self.services.drain().collect();
        by_name.sort_unstable();
        let mut places = vec![0_u32; by_name.len()];
        for (place, (_, as_read)) in (0_u32..).zip(&by_name) {
            if let Some(slot) = places.get_mut(*as_read as usize) {
                *slot = place;
            }
        }
        for row in &mut self.rows {
            row.service = places.get(row.service as usize).copied().unwrap_or_default();
        }
        by_name.iter().map(|(name, _)| Service::new(name)).collect()
    }

    fn values_of(&self, row: Row) -> &[f64] {
        let width = self.columns.signals.len();
        self.values.get(row.place * width..(row.place + 1) * width).unwrap_or_default()
    }

    fn same_values(&self, one: Row, other: Row) -> bool {
        let bits = |row| self.values_of(row).iter().map(|value| value.to_bits());
        bits(one).eq(bits(other))
    }

    fn ragged(&self, found: usize, line: u64) -> RecordingError {
        let way_out = if found < self.columns.count {
            "leave a cell empty where there is no sample, but keep its comma"
        } else {
            "remove the cells that have no column"
        };
        RecordingError::Ragged {
            name: self.name.to_owned(),
            line,
            found,
            expected: self.columns.count,
            way_out,
        }
    }

    fn cell(&self, line: u64, column: &str, because: String) -> RecordingError {
        RecordingError::Cell { name: self.name.to_owned(), line, column: shown(column), because }
    }

    fn duplicate(&self, first: Row, again: Row, services: &[Service]) -> RecordingError {
        let service = services.get(again.service as usize).map(|service| shown(service.as_str()));
        RecordingError::Duplicate {
            name: self.name.to_owned(),
            line: again.line,
            first: first.line,
            service: service.unwrap_or_default(),
            time: again.time.to_string(),
        }
    }
}

impl Recording {
    /// Adds a row that is not before the last one.
    fn append(&mut self, time: Timestamp, service: u32, values: &[f64]) {
        let row = self.row_services.len();
        self.row_services.push(service);
        self.values.extend_from_slice(values);
        match self.rows_at.last_mut() {
            Some(rows) if self.times.last() == Some(&time) => rows.end = row + 1,
            _ => {
                self.times.push(time);
                self.rows_at.push(row..row + 1);
            }
        }
    }
}

fn csv_error(name: &str, error: &csv::Error) -> RecordingError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        csv::ErrorKind::Utf8 { err, .. } => RecordingError::Cell {
            name: name.to_owned(),
            line,
            column: format!("#{}", err.field() + 1),
            because: "is not UTF-8: save the file as UTF-8".to_owned(),
        },
        csv::ErrorKind::Io(error) => {
            RecordingError::Unreadable { name: name.to_owned(), because: error.to_string() }
        }
        _ => RecordingError::Unreadable { name: name.to_owned(), because: error.to_string() },
    }
}

fn too_large(name: &str, limit: String) -> RecordingError {
    RecordingError::TooLarge { name: name.to_owned(), limit }
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}

//! What people know about the past: a CSV file of times at which something was wrong.

use std::io::Read as _;

use crate::replay::Found;
use crate::time::{Timestamp, parse_timestamp};

/// A larger file is one by mistake.
const BYTES_MAX: u64 = 4 << 20;
/// So are more labels.
const LABELS_MAX: usize = 10_000;

/// A time at which something was wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Its line in the file.
    pub line: usize,
    /// When it began.
    pub start: Timestamp,
    /// When it was over.
    pub end: Timestamp,
    /// The service; any where it is `None`.
    pub service: Option<String>,
    /// The signal; any where it is `None`.
    pub signal: Option<String>,
}

impl Label {
    /// Whether an incident is about this: the service and the signal fit, and its trouble, from the onset to the last
    /// sample of it, lies at least in part within the label.
    pub fn fits(&self, found: &Found) -> bool {
        let service = found.subject.service().map(crate::series::Service::as_str);
        let is_service = self.service.as_deref().is_none_or(|label| Some(label) == service);
        let is_signal = |label: &str| found.signals.iter().any(|signal| signal.as_str() == label);
        is_service
            && self.signal.as_deref().is_none_or(is_signal)
            && found.onset <= self.end
            && found.until.max(found.opened_at) >= self.start
    }
}

/// Labels as they stand in a file, by their start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Labels(pub Vec<Label>);

/// A file that holds no labels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}:{line}: {because}")]
pub struct LabelError {
    name: String,
    line: usize,
    because: String,
}

/// Where each column stands.
struct Columns {
    start: usize,
    end: usize,
    service: Option<usize>,
    signal: Option<usize>,
}

impl Labels {
    /// Reads labels: a header `start,end[,service][,signal]` in any order, then a row a label. A time is Unix seconds or
    /// RFC 3339; an empty service or signal fits any. Lines that begin with `#` are left out.
    ///
    /// # Errors
    /// The first line that is wrong, with what was seen and a way out; `name` stands for the file.
    pub fn read(reader: impl std::io::Read, name: &str) -> Result<Self, LabelError> {
        let refuse = |line: usize, because: String| LabelError { name: name.to_owned(), line, because };
        let mut text = String::new();
        let limit = reader.take(BYTES_MAX + 1).read_to_string(&mut text);
        limit.map_err(|error| {
            refuse(1, format!("cannot be read as UTF-8 text ({}): give a CSV file", error.kind()))
        })?;
        if text.len() as u64 > BYTES_MAX {
            return Err(refuse(
                1,
                format!("is larger than {BYTES_MAX} bytes: give the labels of the span only"),
            ));
        }
        let mut columns: Option<(Columns, usize)> = None;
        let mut labels = Vec::new();
        // Line by line, so that each mistake has the number of its own, whatever is empty before it.
        for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| is_a_row(row)) {
            let record = cells(row).map_err(|because| refuse(line, because))?;
            let Some((columns, width)) = &columns else {
                columns =
                    Some((Columns::of(&record).map_err(|because| refuse(line, because))?, record.len()));
                continue;
            };
            if record.len() != *width {
                let (has, way_out) = (record.len(), "give as many, empty ones too");
                return Err(refuse(line, format!("has {has} cells where the header has {width}: {way_out}")));
            }
            if labels.len() >= LABELS_MAX {
                return Err(refuse(
                    line,
                    format!("more than {LABELS_MAX} labels: give those of the span only"),
                ));
            }
            labels.push(columns.label(line, &record).map_err(|because| refuse(line, because))?);
        }
        if columns.is_none() {
            return Err(refuse(1, "is empty: begin with the header start,end,service,signal".to_owned()));
        }
        labels.sort_by_key(|label| (label.start, label.line));
        Ok(Self(labels))
    }
}

fn is_a_row(line: &str) -> bool {
    let line = line.trim_start_matches('\u{feff}').trim();
    !line.is_empty() && !line.starts_with('#')
}

fn cells(row: &str) -> Result<csv::StringRecord, String> {
    let mut reader =
        csv::ReaderBuilder::new().trim(csv::Trim::All).has_headers(false).from_reader(row.as_bytes());
    let mut record = csv::StringRecord::new();
    let read =
        reader.read_record(&mut record).map_err(|_| "is no CSV: give start,end,service,signal".to_owned());
    read.map(|_| record)
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Self, String> {
        let (mut start, mut end, mut service, mut signal) = (None, None, None, None);
        for (place, name) in header.iter().enumerate() {
            let slot = match name.trim_start_matches('\u{feff}') {
                "start" => &mut start,
                "end" => &mut end,
                "service" => &mut service,
                "signal" => &mut signal,
                other => {
                    let shown: String = other.chars().take(40).collect();
                    return Err(format!(
                        "{shown:?} is no column of labels: the header is start,end and, if wanted, service,signal"
                    ));
                }
            };
            if slot.replace(place).is_some() {
                return Err(format!("column {name} stands twice in the header: take one out"));
            }
        }
        let lacks =
            |name: &str| format!("the header lacks the column {name}: it is start,end,service,signal");
        Ok(Self {
            start: start.ok_or_else(|| lacks("start"))?,
            end: end.ok_or_else(|| lacks("end"))?,
            service,
            signal,
        })
    }

    fn label(&self, line: usize, record: &csv::StringRecord) -> Result<Label, String> {
        let time = |name: &str, place: usize| {
            let text = record.get(place).unwrap_or_default();
            parse_timestamp(text).map_err(|error| format!("{name}: {error}"))
        };
        let text = |place: Option<usize>| {
            let text = place.and_then(|place| record.get(place)).filter(|text| !text.is_empty());
            text.map(str::to_owned)
        };
        let (start, end) = (time("start", self.start)?, time("end", self.end)?);
        if end < start {
            return Err(format!("end {end} lies before start {start}: exchange them"));
        }
        Ok(Label { line, start, end, service: text(self.service), signal: text(self.signal) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(i64, i64, &str, &str)], &str>) {
        let read = Labels::read(text.as_bytes(), "labels.csv");
        let rows = read.map(|labels| {
            let row = |label: &Label| {
                let text = |of: &Option<String>| of.clone().unwrap_or_default();
                let (start, end) = (label.start.as_millis() / 1000, label.end.as_millis() / 1000);
                (start, end, text(&label.service), text(&label.signal))
            };
            labels.0.iter().map(row).collect::<Vec<_>>()
        });
        let expected = expected.map(|rows| {
            let owned = |(start, end, service, signal): &(i64, i64, &str, &str)| {
                (*start, *end, (*service).to_owned(), (*signal).to_owned())
            };
            rows.iter().map(owned).collect::<Vec<_>>()
        });
        assert_eq!(rows.map_err(|error| error.to_string()), expected.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn times_are_seconds_or_rfc_3339_and_columns_in_any_order() {
        check("start,end\n100,200\n", Ok(&[(100, 200, "", "")]));
        check(
            "# outages\nsignal, end, start, service\n, 2026-01-01T00:01:00Z, 2026-01-01T00:00:00Z, shop\n",
            Ok(&[(1_767_225_600, 1_767_225_660, "shop", "")]),
        );
        check(
            "start,end,signal\n300,400,errors\n100,200,\n",
            Ok(&[(100, 200, "", ""), (300, 400, "", "errors")]),
        );
        check("start,end\n", Ok(&[]));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_a_way_out() {
        check("", Err("labels.csv:1: is empty: begin with the header start,end,service,signal"));
        check(
            "start,service\n1,a\n",
            Err("labels.csv:1: the header lacks the column end: it is start,end,service,signal"),
        );
        check(
            "start,end,team\n",
            Err(
                "labels.csv:1: \"team\" is no column of labels: the header is start,end and, if wanted, service,signal",
            ),
        );
        check("start,end,end\n", Err("labels.csv:1: column end stands twice in the header: take one out"));
        check(
            "start,end\n1,2\n\n30,20\n",
            Err(
                "labels.csv:4: end 1970-01-01T00:00:20Z lies before start 1970-01-01T00:00:30Z: exchange them",
            ),
        );
        check(
            "start,end\n1,2,3\n",
            Err("labels.csv:2: has 3 cells where the header has 2: give as many, empty ones too"),
        );
        let refused = Labels::read("start,end\n1,soon\n".as_bytes(), "labels.csv").unwrap_err().to_string();
        assert!(refused.starts_with("labels.csv:2: end: ") && refused.contains("soon"), "{refused}");
    }
}

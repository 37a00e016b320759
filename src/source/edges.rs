//! Which service calls which, from a CSV file.

use std::io::Read;

use csv::StringRecord;

use super::columns::column;
use super::lines::Rows;
use crate::series::Service;

/// A file of more calls than this is not read.
const EDGES_MAX: usize = 1_000_000;
/// Nor one of more bytes.
const BYTES_MAX: u64 = 256 << 20;
const HEADER: &str =
    "the first line has to be a header with the columns source and target, with a comma between";

/// Why a file holds no calls.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("edges {name}: line {line}: {because}")]
pub struct EdgesError {
    name: String,
    line: u64,
    because: String,
}

/// Reads CSV with a header that has the columns `source` and `target`, at any place, and a row for each pair of which
/// `source` calls `target`; at most 1,000,000 rows and 256 MiB. The name stands in errors. A pair may stand there twice.
///
/// # Errors
/// Names the file, the line and a way out.
pub fn read_edges(reader: impl Read, name: &str) -> Result<Vec<(Service, Service)>, EdgesError> {
    let wrong = |line: u64, because: String| EdgesError { name: name.to_owned(), line, because };
    let mut reader = reader.take(BYTES_MAX + 1);
    let mut edges = Vec::new();
    {
        let mut rows = Rows::new(&mut reader, csv::Trim::All);
        let csv_error = |line: u64, error: csv::Error| match error.kind() {
            csv::ErrorKind::Utf8 { .. } => wrong(line, "is not UTF-8: save the file as UTF-8".to_owned()),
            _ => wrong(line, format!("cannot be read: {error}")),
        };
        let header = rows.header().map_err(|error| csv_error(1, error))?;
        let find = |wanted| column(&header, wanted, HEADER).map_err(|because| wrong(1, because));
        let (source, target) = (find("source")?, find("target")?);
        let mut row = StringRecord::new();
        while rows.read(&mut row).map_err(|error| csv_error(rows.line_before(), error))? {
            let line = row.position().map_or(0, csv::Position::line);
            if edges.len() >= EDGES_MAX {
                return Err(wrong(line, format!("more than {EDGES_MAX} rows: keep each pair once")));
            }
            let service = |place: usize, column: &str| match row.get(place) {
                Some(name) if !name.is_empty() => Ok(Service::new(name)),
                Some(_) | None => {
                    Err(wrong(line, format!("column {column:?} is empty: give the service's name")))
                }
            };
            edges.push((service(source, "source")?, service(target, "target")?));
        }
    }
    if reader.limit() == 0 {
        return Err(wrong(1, format!("more than {BYTES_MAX} bytes: keep each pair once")));
    }
    Ok(edges)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let edges = read_edges(text.as_bytes(), "calls.csv").unwrap();
        let edges: Vec<_> = edges.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        assert_eq!(edges, expected);
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        assert_eq!(read_edges(text.as_bytes(), "calls.csv").unwrap_err().to_string(), expected);
    }

    #[test]
    fn a_row_says_who_calls_whom_wherever_the_columns_stand() {
        check("source,target\nshop,cart\nshop,db\n", &[("shop", "cart"), ("shop", "db")]);
        check("\u{feff}weight, target ,source\r\n3, cart ,shop\r\n", &[("shop", "cart")]);
        check("source,target\n", &[]);
    }

    #[test]
    fn what_is_no_edge_is_refused_with_its_line_and_a_way_out() {
        refused(
            "from,to\na,b\n",
            "edges calls.csv: line 1: column \"source\" is missing in \"from,to\": the first line has to be a header with \
             the columns source and target, with a comma between",
        );
        refused(
            "source,target\na,b\n\na\n",
            "edges calls.csv: line 4: column \"target\" is empty: give the service's name",
        );
        refused(
            "source,target,source\n",
            "edges calls.csv: line 1: column \"source\" stands twice, in place 1 and 3: rename or remove one",
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), head in any::<bool>()) {
            let head: &[u8] = if head { b"source,target\n" } else { b"" };
            let _ = read_edges([head, &bytes].concat().as_slice(), "calls.csv");
        }
    }
}

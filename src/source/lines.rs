//! The lines of a CSV file, so that each row can be told by the line that a person sees.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use csv::StringRecord;

/// A row beyond this is no row: a file without ends of lines, or a quote that is never closed.
const ROW_BYTES_MAX: usize = 1 << 20;

/// CSV records with the number of their line.
#[derive(Debug)]
pub(super) struct Rows<R> {
    csv: csv::Reader<Lines<R>>,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Rows<R> {
    pub(super) fn new(reader: R, trim: csv::Trim) -> Self {
        let left = Rc::new(Cell::new(ROW_BYTES_MAX));
        let lines =
            Lines { inner: BufReader::new(reader), queued: None, last: b'\n', left: Rc::clone(&left) };
        Self { csv: csv::ReaderBuilder::new().flexible(true).trim(trim).from_reader(lines), left }
    }

    pub(super) fn header(&mut self) -> Result<StringRecord, csv::Error> {
        self.csv.headers().cloned()
    }

    /// Reads the next row, whose position is the line on which it begins; `false` at the end.
    pub(super) fn read(&mut self, record: &mut StringRecord) -> Result<bool, csv::Error> {
        self.left.set(ROW_BYTES_MAX);
        let is_row = self.csv.read_record(record)?;
        // Where a record was looked for is not where it was found: blank lines lie between. It ends with the line before
        // the one at which the reader stands now.
        let breaks: usize =
            record.iter().map(|cell| cell.bytes().filter(|byte| *byte == b'\n').count()).sum();
        let mut position = self.csv.position().clone();
        position.set_line(self.line_before().saturating_sub(breaks as u64).max(1));
        record.set_position(Some(position));
        Ok(is_row)
    }

    /// The last line that was read.
    pub(super) fn line_before(&self) -> u64 {
        self.csv.position().line().saturating_sub(1).max(1)
    }
}

/// Ends every line with a line feed alone, the last one too, and ends the reading of a row that does not end.
#[derive(Debug)]
struct Lines<R> {
    inner: BufReader<R>,
    queued: Option<u8>,
    last: u8,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Lines<R> {
    /// The next byte as it is given out.
    fn next(&mut self) -> io::Result<Option<u8>> {
        if let Some(byte) = self.queued.take() {
            return Ok(Some(byte));
        }
        match self.raw()? {
            Some(b'\r') => {
                self.queued = self.raw()?;
                // Before a line feed it is a part of the end of the line.
                let is_end = self.queued == Some(b'\n');
                Ok(Some(if is_end { self.queued.take().unwrap_or(b'\n') } else { b'\r' }))
            }
            Some(byte) => Ok(Some(byte)),
            None => Ok((self.last != b'\n').then_some(b'\n')),
        }
    }

    fn raw(&mut self) -> io::Result<Option<u8>> {
        let byte = self.inner.fill_buf()?.first().copied();
        self.inner.consume(usize::from(byte.is_some()));
        Ok(byte)
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        for place in buffer.iter_mut() {
            let Some(byte) = self.next()? else { break };
            (*place, self.last) = (byte, byte);
            read += 1;
            // What is there is given out at once: a pipe may bring the rest much later.
            if self.inner.buffer().is_empty() && self.queued.is_none() {
                break;
            }
        }
        match self.left.get().checked_sub(read) {
            Some(left) => self.left.set(left),
            None => {
                return Err(io::Error::other(format!(
                    "a row of more than {ROW_BYTES_MAX} bytes: is a quote never closed, or is it no CSV?"
                )));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `line:cells joined`, a word a row.
    fn shown(text: &str) -> String {
        let mut rows = Rows::new(text.as_bytes(), csv::Trim::None);
        let (header, mut record) = (rows.header().unwrap(), StringRecord::new());
        let mut words = vec![header.iter().collect::<Vec<_>>().join("|")];
        while rows.read(&mut record).unwrap() {
            let line = record.position().unwrap().line();
            words.push(format!("{line}:{}", record.iter().collect::<Vec<_>>().join("|")));
        }
        words.join(" ")
    }

    #[test]
    fn a_row_has_the_line_that_an_editor_shows() {
        for end in ["\n", "\r\n"] {
            let text = ["a,b", "1,2", "", "", "3,4", "5,6"].join(end);
            assert_eq!(shown(&text), "a|b 2:1|2 5:3|4 6:5|6");
            assert_eq!(shown(&format!("{text}{end}")), "a|b 2:1|2 5:3|4 6:5|6");
        }
        assert_eq!(shown("a,b\n1,\"x\ny\"\n2,3\n"), "a|b 2:1|x\ny 4:2|3");
    }

    proptest! {
        #[test]
        fn ends_of_lines_change_neither_rows_nor_lines(cells in proptest::collection::vec("[a-z]{0,3}", 0..20)) {
            let text = |end: &str| format!("head{end}{}", cells.join(end));
            prop_assert_eq!(shown(&text("\n")), shown(&text("\r\n")));
            prop_assert_eq!(shown(&text("\n")), shown(&format!("{}\n", text("\n"))));
        }
    }
}

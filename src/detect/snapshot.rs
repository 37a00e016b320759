//! All state of detection as bytes, and back.
//!
//! What is learnt depends on months of samples that the backend may not have any more; so it can be written down and read
//! again, to the last bit. It comes in frames of about a megabyte, one after the other, so that neither who writes nor who
//! reads has to hold it twice. A frame begins with what it is. Rows and places are not among it: series are named by their
//! labels, and what can be computed from settings or from other state is not read but made anew.

mod codec;

use std::collections::BTreeSet;

pub use self::codec::SnapshotFlaw;
pub(super) use self::codec::{Reader, Writer, long_array, sound};
use super::finding::Finding;
use super::gaps::Gaps;
use super::settings::SignalPlan;
use super::stage::Detect;
use super::table::Table;
use crate::series::SignalName;
use crate::time::Timestamp;

/// Another layout of the bytes has another one.
const FORMAT: u32 = 1;
/// A frame ends with the row that makes it so long.
const FRAME_BYTES: usize = 1 << 20;

/// What frames begin with.
const HEAD: u8 = 0;
const TABLE: u8 = 1;
const ROWS: u8 = 2;
const TABLE_END: u8 = 3;
const END: u8 = 4;

impl Detect {
    /// Writes down what is known of those signals that `is_kept` says: frames, to be taken by [`Restoration::take`] in the
    /// same order. Each is made when it is asked for.
    pub fn snapshot(&self, is_kept: impl Fn(&SignalName) -> bool) -> impl Iterator<Item = Vec<u8>> {
        let mut head = framed(HEAD);
        head.put(&FORMAT);
        head.put(self.gaps());
        let tables = self.tables.iter().filter(move |(signal, _)| is_kept(signal));
        let tables = tables.flat_map(|(signal, table)| {
            let mut head = framed(TABLE);
            head.put(signal.as_str());
            table.keep_head(&mut head);
            std::iter::once(head)
                .chain(Rows::of(table))
                .chain(std::iter::once_with(|| self.table_end(signal)))
        });
        std::iter::once(head)
            .chain(tables)
            .chain(std::iter::once_with(|| framed(END)))
            .map(Writer::into_bytes)
    }

    fn table_end(&self, signal: &SignalName) -> Writer {
        let mut end = framed(TABLE_END);
        Table::keep_findings(self.pending.get(signal).map(Vec::as_slice).unwrap_or_default(), &mut end);
        end.put(&self.volumes.contains_key(signal));
        if let Some(volumes) = self.volumes.get(signal) {
            volumes.keep(&mut end);
        }
        end
    }
}

fn framed(kind: u8) -> Writer {
    let mut writer = Writer::default();
    writer.put(&kind);
    writer
}

/// The rows of a table, as many a frame as it holds.
struct Rows<'a> {
    table: &'a Table,
    rows: std::vec::IntoIter<usize>,
}

impl<'a> Rows<'a> {
    fn of(table: &'a Table) -> Self {
        Self { table, rows: table.kept_rows().into_iter() }
    }
}

impl Iterator for Rows<'_> {
    type Item = Writer;

    fn next(&mut self) -> Option<Writer> {
        let mut frame = framed(ROWS);
        self.table.keep_row(self.rows.next()?, &mut frame);
        while frame.len() < FRAME_BYTES
            && let Some(row) = self.rows.next()
        {
            self.table.keep_row(row, &mut frame);
        }
        Some(frame)
    }
}

/// State of detection that is being read.
#[derive(Debug)]
pub struct Restoration {
    detect: Detect,
    asks_anew: BTreeSet<SignalName>,
    restored: BTreeSet<SignalName>,
    expects: Expects,
}

/// What the next frame is.
#[derive(Debug)]
enum Expects {
    Head,
    Table,
    /// The rows of a table, so many more.
    Rows {
        signal: SignalName,
        left: usize,
    },
    /// What is left of a table whose state means nothing here.
    Skipped,
    Nothing,
}

impl Restoration {
    /// Begins with no state, for these plans. Signals that ask something else than when the state was written down begin
    /// without any.
    pub fn new(
        plans: impl IntoIterator<Item = (SignalName, SignalPlan)>,
        asks_anew: BTreeSet<SignalName>,
    ) -> Self {
        Self { detect: Detect::new(plans), asks_anew, restored: BTreeSet::new(), expects: Expects::Head }
    }

    /// Takes the next frame.
    ///
    /// # Errors
    /// Where it is not what was written. What was taken before is of no use then.
    pub fn take(&mut self, frame: &[u8]) -> Result<(), SnapshotFlaw> {
        let mut from = Reader::new(frame);
        let kind: u8 = from.take()?;
        match (kind, std::mem::replace(&mut self.expects, Expects::Nothing)) {
            (HEAD, Expects::Head) => self.take_head(&mut from),
            (TABLE, Expects::Table) => self.take_table(&mut from),
            (ROWS, Expects::Rows { signal, left }) => self.take_rows(&mut from, signal, left),
            (TABLE_END, Expects::Rows { signal, left: 0 }) => self.take_table_end(&mut from, signal),
            (ROWS, Expects::Skipped) => {
                self.expects = Expects::Skipped;
                Ok(())
            }
            (TABLE_END, Expects::Skipped) => {
                self.expects = Expects::Table;
                Ok(())
            }
            (END, Expects::Table) => from.end(),
            _ => Err(SnapshotFlaw::Unsound("a part where another one belongs")),
        }
    }

    /// Gives what was read, and of which signals it is; the others have no state. Of what was found and not told, what lies
    /// at or before the time that `muted_until` gives for its signal is dropped.
    ///
    /// # Errors
    /// Where the last frame is still missing.
    pub fn finish(
        mut self,
        muted_until: impl Fn(&SignalName) -> Timestamp,
    ) -> Result<(Detect, BTreeSet<SignalName>), SnapshotFlaw> {
        if !matches!(self.expects, Expects::Nothing) {
            return Err(SnapshotFlaw::Unfinished);
        }
        for (signal, findings) in &mut self.detect.pending {
            let muted = muted_until(signal);
            findings.retain(|finding| finding.at > muted);
        }
        Ok((self.detect, self.restored))
    }

    fn take_head(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let found: u32 = from.take()?;
        if found != FORMAT {
            return Err(SnapshotFlaw::Version { found, known: FORMAT });
        }
        let gaps: Gaps = from.take()?;
        sound(gaps.is_sound(), "gaps out of order")?;
        self.detect.take_gaps(gaps);
        self.expects = Expects::Table;
        from.end()
    }

    fn take_table(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let signal = SignalName::new(&from.take::<String>()?);
        sound(!self.restored.contains(&signal), "a signal that comes twice")?;
        let wanted = self.detect.tables.get_mut(&signal).filter(|_| !self.asks_anew.contains(&signal));
        let rows = wanted.map(|table| table.restore_head(from)).transpose()?.flatten();
        self.expects = match rows {
            Some(left) => Expects::Rows { signal, left },
            None => Expects::Skipped,
        };
        Ok(())
    }

    fn take_rows(
        &mut self,
        from: &mut Reader<'_>,
        signal: SignalName,
        left: usize,
    ) -> Result<(), SnapshotFlaw> {
        let table = self.detect.tables.get_mut(&signal).ok_or(SnapshotFlaw::Unfinished)?;
        let mut left = left;
        while from.end().is_err() {
            left = left.checked_sub(1).ok_or(SnapshotFlaw::Unsound("more series than there are"))?;
            table.restore_row(&signal, from)?;
        }
        self.expects = Expects::Rows { signal, left };
        Ok(())
    }

    fn take_table_end(&mut self, from: &mut Reader<'_>, signal: SignalName) -> Result<(), SnapshotFlaw> {
        let table = self.detect.tables.get(&signal).ok_or(SnapshotFlaw::Unfinished)?;
        let findings: Vec<Finding> = table.restore_findings(from)?;
        if !findings.is_empty() {
            self.detect.pending.insert(signal.clone(), findings);
        }
        if from.take::<bool>()? {
            let volumes = super::guard::Volumes::restore(from)?;
            if let Some(asked) = self.detect.volumes.get_mut(&signal) {
                *asked = volumes;
            }
        }
        self.restored.insert(signal);
        self.expects = Expects::Table;
        from.end()
    }
}

//! What can be wrong with a recording, with the place and a way out.

/// Why a file is no recording.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    /// The file cannot be read.
    #[error("recording {name}: cannot be read: {because}")]
    Unreadable {
        /// The file.
        name: String,
        /// The operating system's reason.
        because: String,
    },
    /// There is no row of samples.
    #[error(
        "recording {name}: holds no samples: give a header time,service,<signal>,... and a row for each time"
    )]
    Empty {
        /// The file.
        name: String,
    },
    /// The header does not name what it must.
    #[error("recording {name}: line 1: {because}")]
    Header {
        /// The file.
        name: String,
        /// What is wrong and a way out.
        because: String,
    },
    /// A row has more or fewer cells than the header.
    #[error("recording {name}: line {line}: {found} cells under a header of {expected}: {way_out}")]
    Ragged {
        /// The file.
        name: String,
        /// The line, counted from one.
        line: u64,
        /// Cells in the row.
        found: usize,
        /// Cells in the header.
        expected: usize,
        /// What to do about it.
        way_out: &'static str,
    },
    /// A cell does not hold what its column needs.
    #[error("recording {name}: line {line}: column {column:?}: {because}")]
    Cell {
        /// The file.
        name: String,
        /// The line, counted from one.
        line: u64,
        /// The column, by its header.
        column: String,
        /// The value seen and a way out.
        because: String,
    },
    /// Two rows of one service and time that do not agree.
    #[error(
        "recording {name}: line {line}: service {service:?} at {time} stands in line {first} too, with other values: \
         keep one of them"
    )]
    Duplicate {
        /// The file.
        name: String,
        /// The later line.
        line: u64,
        /// The earlier line.
        first: u64,
        /// The service.
        service: String,
        /// The time.
        time: String,
    },
    /// More than a recording may hold.
    #[error("recording {name}: more than {limit}: cut it into parts")]
    TooLarge {
        /// The file.
        name: String,
        /// The limit that was met: `10000000 rows`.
        limit: String,
    },
}

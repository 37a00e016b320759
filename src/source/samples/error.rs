//! What can be wrong with a file of samples, with the place and a way out.

/// Why a file is no series.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SamplesError {
    /// The file cannot be read.
    #[error("{name}: line {line}: cannot be read: {because}")]
    Unreadable {
        /// The file.
        name: String,
        /// The line, counted from one.
        line: u64,
        /// The operating system's reason.
        because: String,
    },
    /// There is no row.
    #[error("{name}: line 1: holds no samples: give a header timestamp,value and a row for each sample")]
    Empty {
        /// The file.
        name: String,
    },
    /// The header does not name what it must.
    #[error("{name}: line 1: {because}")]
    Header {
        /// The file.
        name: String,
        /// What is wrong and a way out.
        because: String,
    },
    /// A row has more or fewer cells than the header.
    #[error("{name}: line {line}: {found} cells under a header of {expected}: {way_out}")]
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
    #[error("{name}: line {line}: column {column:?}: {because}")]
    Cell {
        /// The file.
        name: String,
        /// The line, counted from one.
        line: u64,
        /// The column, by its header.
        column: &'static str,
        /// The value seen and a way out.
        because: String,
    },
}

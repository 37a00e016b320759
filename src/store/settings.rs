//! Where the store is.

use std::path::PathBuf;

/// Where the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The SQLite file; made, with its folder, where it is missing.
    pub path: PathBuf,
}

//! What can go wrong with the store. Every text names the file.

use std::path::{Path, PathBuf};

use crate::id::IncidentId;
use crate::record::RecordError;

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file or its folder can't be made or opened.
    #[error("store {} can't be {doing}: {source}", file.display())]
    Place {
        /// The file.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Another process has the store open.
    #[error(
        "store {} is in use by another process{}; stop that one, or give this one another path",
        file.display(),
        holder.map(|process| format!(" (process id {process})")).unwrap_or_default()
    )]
    InUse {
        /// The file.
        file: PathBuf,
        /// The process that has it, where its lock file says so.
        holder: Option<u32>,
    },
    /// The place is a folder.
    #[error("store {} is a folder: set store.path to a file in it, such as portent.db", file.display())]
    Folder {
        /// The folder.
        file: PathBuf,
    },
    /// The file is something else.
    #[error("{} is no store of this program; give another path, or move the file away", file.display())]
    NotAStore {
        /// The file.
        file: PathBuf,
    },
    /// A newer release has written the file.
    #[error(
        "store {} has schema version {found}, this release knows up to {known}; run the newer release, or go back to \
         a copy of the file from before the upgrade",
        file.display()
    )]
    NewerSchema {
        /// The file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version of this release.
        known: i64,
    },
    /// The file's schema was made by other statements than this release's.
    #[error(
        "store {} was made by an unreleased build: its schema version {version} differs from this release's; give \
         another path, or run that build",
        file.display()
    )]
    ForeignSchema {
        /// The file.
        file: PathBuf,
        /// The schema version that differs.
        version: i64,
    },
    /// The schema could not be brought up to date. The file is as it was.
    #[error("store {} could not be migrated: {because}", file.display())]
    Migration {
        /// The file.
        file: PathBuf,
        /// Why.
        because: String,
    },
    /// The database refused or failed.
    #[error("store {} failed while {doing}: {source}", file.display())]
    Database {
        /// The file.
        file: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// The database's reason.
        source: sqlx::Error,
    },
    /// An incident is to be opened that exists already.
    #[error("store {} has incident {incident} already, it can't be opened again", file.display())]
    AlreadyOpened {
        /// The file.
        file: PathBuf,
        /// The incident.
        incident: IncidentId,
    },
    /// An event is to be written to a stream in which it has no place.
    #[error("store {} does not take event {kind} into stream {stream:?}: {because}", file.display())]
    Misplaced {
        /// The file.
        file: PathBuf,
        /// The stream.
        stream: String,
        /// The kind of the event.
        kind: &'static str,
        /// Why not.
        because: &'static str,
    },
    /// An event has no wire form.
    #[error("store {} can't write: {source}", file.display())]
    Unwritable {
        /// The file.
        file: PathBuf,
        /// Why.
        source: RecordError,
    },
    /// A stored event can't be read.
    #[error("store {} can't read event {stream_seq} of stream {stream:?}: {source}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The stream.
        stream: String,
        /// The event's number in the stream.
        stream_seq: i64,
        /// Why.
        source: RecordError,
    },
    /// What is stored contradicts itself.
    #[error("store {} is damaged in table {table}: {because}; verify it, or go back to a copy", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where.
        table: &'static str,
        /// What.
        because: String,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's help: the database was busy, full, or had an I/O error.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Database { source: sqlx::Error::PoolTimedOut | sqlx::Error::Io(_), .. } => true,
            Self::Database { source, .. } => matches!(primary_code(source), Some(BUSY | LOCKED | IO | FULL)),
            Self::InUse { .. }
            | Self::Place { .. }
            | Self::Folder { .. }
            | Self::NotAStore { .. }
            | Self::NewerSchema { .. }
            | Self::ForeignSchema { .. }
            | Self::Migration { .. }
            | Self::AlreadyOpened { .. }
            | Self::Misplaced { .. }
            | Self::Unwritable { .. }
            | Self::Unreadable { .. }
            | Self::Damaged { .. } => false,
        }
    }
}

// SQLite's primary result codes, https://www.sqlite.org/rescode.html
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IO: i32 = 10;
const FULL: i32 = 13;
const NOT_A_DATABASE: i32 = 26;

/// The low byte of the code that SQLite gave.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

/// Says what was being done, and to which file, when the database failed.
pub(super) fn failed<'a>(file: &'a Path, doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError + 'a {
    move |source| match primary_code(&source) {
        Some(NOT_A_DATABASE) => StoreError::NotAStore { file: file.to_owned() },
        Some(_) | None => StoreError::Database { file: file.to_owned(), doing, source },
    }
}

/// Says what about a table is not as this program writes it.
pub(super) fn damaged(file: &Path, table: &'static str, because: impl Into<String>) -> StoreError {
    StoreError::Damaged { file: file.to_owned(), table, because: because.into() }
}

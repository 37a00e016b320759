//! The lock that keeps a second process away.
//!
//! It is the operating system's lock on a file beside the store: it ends with the process, however that ends, so no
//! stale lock is ever left. The lock file stays and says who has it. SQLite's own locks would not do: they
//! are held for a transaction, or keep the readers of this process out as well.

use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::StoreError;

/// Held as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    _held: File,
}

impl Lock {
    /// Takes the lock of a store, or says who has it.
    pub(super) fn take(file: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Place { file: file.to_owned(), doing: "locked", source };
        let mut held = private().read(true).create(true).open(beside(file, ".lock")).map_err(failed)?;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                // Not being able to read the holder's name changes nothing about the answer.
                let holder = held.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(StoreError::InUse { file: file.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        held.set_len(0).map_err(failed)?;
        held.write_all(format!("{}\n", std::process::id()).as_bytes()).map_err(failed)?;
        Ok(Self { _held: held })
    }
}

/// A path with something appended to the name of its file.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(suffix);
    PathBuf::from(path)
}

/// Opens for writing; a file that this makes may be read by its owner only.
pub(super) fn private() -> std::fs::OpenOptions {
    let mut options = File::options();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

//! The keys file as it stands now.
//!
//! It is read again for each request, so that a key that was taken out stops working at once. A file that can't be read
//! or understood gives no key at all until it is sound again: going on with the keys of before would keep a revoked one
//! alive for as long as nobody looks into the log.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{error, info};

use super::keys::Keys;
use super::metrics::Metrics;
use super::private_file::read_private;
use crate::id::Digest;

/// A thousand entries have about 200 bytes each.
const FILE_BYTES_MAX: u64 = 512 * 1024;

/// The keys file, watched.
pub(super) struct Keyring {
    path: PathBuf,
    seen: Mutex<Seen>,
    metrics: Metrics,
}

/// What the file was the last time.
struct Seen {
    /// The hash of its bytes; `None` where it could not be read.
    content: Option<Digest>,
    keys: Result<Arc<Keys>, KeysError>,
}

/// A keys file that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keys file {} {because}", path.display())]
pub struct KeysError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and a way out. Never quotes a key.
    pub because: String,
}

impl Keyring {
    /// Reads the file for the first time.
    ///
    /// # Errors
    /// Where it can't be used.
    pub(super) fn open(path: &Path, metrics: Metrics) -> Result<Self, KeysError> {
        let bytes = read(path)?;
        let keys = parse(path, &bytes)?;
        metrics.keys.set(i64::try_from(keys.len()).unwrap_or(i64::MAX));
        let seen = Seen { content: Some(Digest::of_bytes(&bytes)), keys: Ok(Arc::new(keys)) };
        Ok(Self { path: path.to_owned(), seen: Mutex::new(seen), metrics })
    }

    /// The keys that count now.
    ///
    /// # Errors
    /// Where the file can't be used: then no key counts.
    pub(super) fn keys(&self) -> Result<Arc<Keys>, KeysError> {
        let read = read(&self.path);
        let content = read.as_ref().ok().map(|bytes| Digest::of_bytes(bytes));
        // Whoever panicked while holding it has left a state that is whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if content.is_some() && content == seen.content {
            return seen.keys.clone();
        }
        let keys = read.and_then(|bytes| parse(&self.path, &bytes)).map(Arc::new);
        self.tell(&seen.keys, &keys);
        *seen = Seen { content, keys: keys.clone() };
        keys
    }

    /// Logs a change once, however many requests see it.
    fn tell(&self, before: &Result<Arc<Keys>, KeysError>, now: &Result<Arc<Keys>, KeysError>) {
        let count = now.as_ref().map_or(0, |keys| keys.len());
        self.metrics.keys.set(i64::try_from(count).unwrap_or(i64::MAX));
        match now {
            Ok(_) => info!("the keys were read again: there are {count} now"),
            Err(error) if before.as_ref().err() != Some(error) => {
                error!(error = %error, "no key counts until this is put right: {error}");
            }
            Err(_) => {}
        }
    }
}

/// Checks a keys file before it is used.
///
/// # Errors
/// Where it can't be used.
pub fn check_keys_file(path: &Path) -> Result<(), KeysError> {
    parse(path, &read(path)?).map(drop)
}

fn read(path: &Path) -> Result<Vec<u8>, KeysError> {
    read_private(path, FILE_BYTES_MAX).map_err(|because| KeysError { path: path.to_owned(), because })
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Keys, KeysError> {
    let keys = str::from_utf8(bytes).map_err(|_| "is no UTF-8".to_owned()).and_then(Keys::parse);
    keys.map_err(|because| KeysError { path: path.to_owned(), because })
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({})", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn entry(name: &str) -> String {
        let sha256 = Digest::of_bytes(name.as_bytes());
        format!("[[key]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nscopes = [\"read\"]\n")
    }

    fn put(path: &Path, text: &str, mode: u32) {
        write(path, text).unwrap();
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_file_that_breaks_gives_no_key_until_it_is_sound_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        put(&path, &(entry("a") + &entry("b")), 0o600);
        let metrics = Metrics::default();
        let ring = Keyring::open(&path, metrics.clone()).unwrap();
        assert!(ring.keys().unwrap().find("a").is_some());
        assert_eq!(metrics.keys.get(), 2);
        // The same length, in the same instant: only its content tells.
        put(&path, &(entry("c") + &entry("b")), 0o600);
        assert!(ring.keys().unwrap().find("a").is_none(), "a revoked key is not known any more");
        assert!(ring.keys().unwrap().find("c").is_some());
        for (text, mode) in [("[[key]]\nname = ", 0o600), ("", 0o600), (entry("a").as_str(), 0o644)] {
            put(&path, text, mode);
            assert!(ring.keys().is_err(), "{text:?} {mode:o}");
            assert_eq!(metrics.keys.get(), 0);
        }
        std::fs::remove_file(&path).unwrap();
        assert!(ring.keys().unwrap_err().to_string().contains("keys.toml cannot be read"));
        put(&path, &entry("a"), 0o640);
        assert!(ring.keys().unwrap().find("a").is_some());
        assert_eq!(metrics.keys.get(), 1);
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.toml");
        for mode in [0o604, 0o620, 0o602, 0o777] {
            put(&path, &entry("a"), mode);
            let error = check_keys_file(&path).unwrap_err().to_string();
            assert!(error.contains(&format!("(mode {mode:03o}): run `chmod 600 ")), "{error}");
        }
        let error = check_keys_file(folder.path()).unwrap_err().to_string();
        assert!(error.contains("no regular file"), "{error}");
        put(&path, &"#".repeat(600 * 1024), 0o600);
        assert!(check_keys_file(&path).unwrap_err().to_string().contains("larger than 524288 bytes"));
    }
}

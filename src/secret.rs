//! Secrets: never printed, read from where the config says.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// A key of 16,384 bits in PEM has a fifth of this.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret comes from. Its `Debug` shows the place, never the text.
#[derive(Clone)]
pub enum Secret {
    /// Written in the config or the environment.
    Inline(SecretString),
    /// The first line of a file, read anew each time it is wanted, so that a rotated key is picked up.
    File(PathBuf),
}

impl Secret {
    /// Takes the text itself.
    pub fn inline(text: &str) -> Self {
        Self::Inline(SecretString::from(text.to_owned()))
    }

    /// Gives the secret's text, without the line end.
    ///
    /// # Errors
    /// Names the file that cannot be read or is empty; never quotes what is in it.
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Inline(text) => Ok(text.clone()),
            Self::File(path) => {
                let text = bounded(path, &open(path)?)?;
                match text.lines().next().map(str::trim) {
                    Some(line) if !line.is_empty() => Ok(SecretString::from(line.to_owned())),
                    Some(_) | None => Err(SecretError::Empty { path: path.clone() }),
                }
            }
        }
    }
}

/// Reads a file that holds nothing but a secret and that others than its owner and group may not read.
///
/// # Errors
/// As [`Secret::read`], and where everybody may read the file.
pub fn read_private(path: &Path) -> Result<String, SecretError> {
    let file = open(path)?;
    refuse_public(path, &file.metadata().map_err(|error| unreadable(path, &error))?)?;
    bounded(path, &file)
}

/// Opens a regular file. It is looked at before: opening a pipe would wait for its writer.
fn open(path: &Path) -> Result<File, SecretError> {
    let seen = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
    if !seen.is_file() {
        return Err(SecretError::NoFile { path: path.to_owned() });
    }
    File::open(path).map_err(|error| unreadable(path, &error))
}

/// The text of a file, whole or not at all.
fn bounded(path: &Path, file: &File) -> Result<String, SecretError> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| unreadable(path, &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(SecretError::TooLarge { path: path.to_owned() });
    }
    Ok(text)
}

fn unreadable(path: &Path, error: &std::io::Error) -> SecretError {
    SecretError::Unreadable { path: path.to_owned(), because: error.kind().to_string() }
}

#[cfg(unix)]
fn refuse_public(path: &Path, seen: &std::fs::Metadata) -> Result<(), SecretError> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = seen.permissions().mode();
    let is_public = seen.is_file() && mode & 0o004 != 0;
    if is_public { Err(SecretError::Public { path: path.to_owned(), mode: mode & 0o777 }) } else { Ok(()) }
}

#[cfg(not(unix))]
fn refuse_public(_: &Path, _: &std::fs::Metadata) -> Result<(), SecretError> {
    Ok(())
}

/// Lends the text of a secret to the one call that needs it.
pub fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

/// A text without the secrets, for the case that whoever got them repeats them. What is shorter than four characters
/// stays: it would be struck out of words.
pub fn strike(text: &str, secrets: &[SecretString]) -> String {
    let mut secrets: Vec<&str> = secrets.iter().map(expose).filter(|secret| secret.len() >= 4).collect();
    // One may hold another.
    secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.into_iter().fold(text.to_owned(), |text, secret| text.replace(secret, "[secret]"))
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline(_) => f.write_str("Secret(hidden)"),
            Self::File(path) => write!(f, "Secret(file {})", path.display()),
        }
    }
}

/// A secret that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The file is missing or may not be read.
    #[error("secret file {} cannot be read: {because}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        because: String,
    },
    /// It is a folder, a pipe or a device.
    #[error("secret file {} is no regular file", path.display())]
    NoFile {
        /// What stands at the path.
        path: PathBuf,
    },
    /// It is larger than any secret.
    #[error("secret file {} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// Everybody on the host may read the file.
    #[error("secret file {} may be read by everybody (mode {mode:04o}): chmod o-rwx it", path.display())]
    Public {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file holds no text in its first line.
    #[error("secret file {} is empty", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        let secret = Secret::inline("hunter2");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert!(!format!("{:?}", secret.read()).contains("hunter2"));
    }

    #[test]
    fn secrets_are_struck_out_of_a_text_the_longest_first() {
        let secrets = ["abc", "hunter2", "hunter2 and more"].map(SecretString::from);
        let struck = strike("abc: hunter2, hunter2 and more", &secrets);
        assert_eq!(struck, "abc: [secret], [secret]");
    }

    #[test]
    fn a_file_gives_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "abc\r\nrest").unwrap();
        assert_eq!(expose(&Secret::File(path.clone()).read().unwrap()), "abc");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(Secret::File(path.clone()).read().unwrap_err(), SecretError::Empty { path });
    }

    #[cfg(unix)]
    #[test]
    fn a_private_file_that_everybody_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "abc").unwrap();
        for (mode, is_fine) in [(0o600, true), (0o440, true), (0o644, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let outcome = read_private(&path).map_err(|error| error.to_string());
            assert_eq!(outcome.is_ok(), is_fine, "{outcome:?}");
            assert!(is_fine || outcome.unwrap_err().contains("chmod o-rwx"), "{mode:o}");
        }
    }

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let most = usize::try_from(FILE_BYTES_MAX).unwrap();
        std::fs::write(&path, "a".repeat(most)).unwrap();
        assert_eq!(expose(&Secret::File(path.clone()).read().unwrap()).len(), most);
        std::fs::write(&path, format!("a\n{}", "a".repeat(most))).unwrap();
        assert_eq!(
            Secret::File(path.clone()).read().unwrap_err(),
            SecretError::TooLarge { path: path.clone() }
        );
        let private = read_private(&path).unwrap_err().to_string();
        assert!(private.contains("larger than 65536 bytes") || private.contains("by everybody"), "{private}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        for path in [path, dir.path().to_owned()] {
            let refused = SecretError::NoFile { path: path.clone() };
            assert_eq!(read_private(&path).unwrap_err(), refused);
            assert_eq!(Secret::File(path).read().unwrap_err(), refused);
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Secret::File("/nonexistent/key".into()).read().unwrap_err();
        assert!(error.to_string().contains("/nonexistent/key"), "{error}");
    }
}

//! Secrets: never printed, read from where the config says.

use std::fmt;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

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
                let text = std::fs::read_to_string(path).map_err(|error| SecretError::Unreadable {
                    path: path.clone(),
                    because: error.kind().to_string(),
                })?;
                match text.lines().next().map(str::trim) {
                    Some(line) if !line.is_empty() => Ok(SecretString::from(line.to_owned())),
                    Some(_) | None => Err(SecretError::Empty { path: path.clone() }),
                }
            }
        }
    }
}

/// Lends the text of a secret to the one call that needs it.
pub fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
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
    fn a_file_gives_its_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "abc\r\nrest").unwrap();
        assert_eq!(expose(&Secret::File(path.clone()).read().unwrap()), "abc");
        std::fs::write(&path, "\n").unwrap();
        assert_eq!(Secret::File(path.clone()).read().unwrap_err(), SecretError::Empty { path });
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Secret::File("/nonexistent/key".into()).read().unwrap_err();
        assert!(error.to_string().contains("/nonexistent/key"), "{error}");
    }
}

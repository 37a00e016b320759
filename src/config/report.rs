//! What is wrong with a config, and where: every mistake at once.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The layer that a value comes from; a later one is laid over the earlier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `config/default.toml`, which is built in.
    Defaults,
    /// A config file, as its path was given.
    File(PathBuf),
    /// An environment variable, by its name.
    Environment(String),
    /// A command-line flag, such as `--storage.path`.
    Flag(String),
}

impl Origin {
    /// The layers' order, whatever the names.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::Defaults => 0,
            Self::File(_) => 1,
            Self::Environment(_) => 2,
            Self::Flag(_) => 3,
        }
    }

    /// The folder that relative paths in this layer start at; `None` for the working directory.
    pub(super) fn folder(&self) -> Option<&Path> {
        match self {
            Self::File(path) => path.parent(),
            Self::Defaults | Self::Environment(_) | Self::Flag(_) => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defaults => f.write_str("built-in defaults"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Where a value stands. Places sort by layer, then down the file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The layer.
    pub origin: Arc<Origin>,
    /// The line, from 1; 0 where there are no lines.
    pub line: usize,
    /// The character within the line, from 1; 0 where there are no lines.
    pub column: usize,
}

impl Place {
    /// The layer as a whole.
    pub(super) fn whole(origin: Arc<Origin>) -> Self {
        Self { origin, line: 0, column: 0 }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// Where.
    pub place: Place,
    /// The key, such as `signal.error_rate.sigma`; empty where the text as a whole cannot be read.
    pub path: String,
    /// The value seen, what is wrong with it, and a way out. Never holds a secret.
    pub because: String,
}

impl fmt::Display for Mistake {
    /// `portent.toml:12: signal.error_rate.sigma: 42 is out of range: give a number from 1 to 10`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.place.origin)?;
        if self.place.line > 0 {
            write!(f, "{}:", self.place.line)?;
        }
        if self.path.is_empty() {
            // Without a key the column is the only way to the spot.
            if self.place.column > 0 {
                write!(f, "{}:", self.place.column)?;
            }
        } else {
            write!(f, " {}:", self.path)?;
        }
        write!(f, " {}", self.because)
    }
}

/// All that is wrong with a config: at least one mistake, in the order of their places. Displays one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Report {
    mistakes: Vec<Mistake>,
}

impl Report {
    /// Sorts the mistakes; the same one is told once. `None` where there is none.
    pub(super) fn of(mut mistakes: Vec<Mistake>) -> Option<Self> {
        mistakes.sort();
        mistakes.dedup();
        (!mistakes.is_empty()).then_some(Self { mistakes })
    }

    /// A single mistake.
    pub(super) fn one(mistake: Mistake) -> Self {
        Self { mistakes: vec![mistake] }
    }

    /// The mistakes, in the order of their places.
    pub fn mistakes(&self) -> &[Mistake] {
        &self.mistakes
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.mistakes.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{mistake}")?;
        }
        Ok(())
    }
}

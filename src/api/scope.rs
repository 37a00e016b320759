//! What a key may do. No scope implies another: what a key may do is what its entry says.

use std::fmt;

/// One kind of thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See everything: every GET.
    Read,
    /// Hand in what others have noticed.
    Ingest,
    /// Work on incidents, such as asking for a new diagnosis.
    Operate,
    /// Approve or reject an action.
    Approve,
    /// Change how the agent runs, such as reloading its config.
    Admin,
}

impl Scope {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [Self::Read, Self::Ingest, Self::Operate, Self::Approve, Self::Admin];

    /// Its name in a keys file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Ingest => "ingest",
            Self::Operate => "operate",
            Self::Approve => "approve",
            Self::Admin => "admin",
        }
    }

    /// The scope of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == name)
    }

    /// All names, for a sentence that says what is allowed.
    pub fn names() -> String {
        Self::ALL.map(Self::as_str).join(", ")
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

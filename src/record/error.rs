//! Why an event can't be written or read.

/// Why an event can't be written or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// No such kind is known; perhaps a newer release wrote it.
    #[error("event kind {kind:?} (version {version}) is unknown to this release; read it with a newer one")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// Its version.
        version: u32,
    },
    /// A newer release wrote it.
    #[error("event {kind} has version {version}, this release reads up to {known}; read it with a newer one")]
    NewerVersion {
        /// The kind.
        kind: &'static str,
        /// The version that was found.
        version: u32,
        /// The newest version that is known here.
        known: u32,
    },
    /// No release ever wrote this version.
    #[error("event {kind} has version {version}, which was never released")]
    UnknownVersion {
        /// The kind.
        kind: &'static str,
        /// The version that was found.
        version: u32,
    },
    /// The body is not what its kind and version promise.
    #[error("event {kind} version {version} has a malformed body: {because}")]
    Malformed {
        /// The kind.
        kind: &'static str,
        /// Its version.
        version: u32,
        /// What is wrong, with line and column.
        because: String,
    },
    /// The event has no wire form: it holds a number that is not finite.
    #[error("event {kind} can't be written: {because}")]
    Unwritable {
        /// The kind.
        kind: &'static str,
        /// What is wrong.
        because: String,
    },
    /// The captured samples are not what was written.
    #[error("captured samples can't be read: {0}")]
    Samples(String),
    /// The name of a stream is neither `system` nor `incident:` and an id.
    #[error("{0:?} names no stream: it is \"system\", or \"incident:\" and an id of 20 hex digits")]
    Stream(String),
}

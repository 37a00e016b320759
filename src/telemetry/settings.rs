//! How the agent logs.

/// The levels, the most severe first.
pub const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// How the agent logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The least severe level that is written: `error`, `warn`, `info`, `debug` or `trace`.
    pub level: String,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// `level=info msg="..."`.
    Logfmt,
    /// One JSON object a line.
    Json,
}

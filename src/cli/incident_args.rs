//! What may be written after `portent incident`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Which agent is asked, and how.
#[derive(Debug, Args)]
pub(super) struct Remote {
    /// The agent's base URL, with its route prefix where it has one; PORTENT_URL where it is not given, else
    /// http://127.0.0.1:9098
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// The file whose first line is an API key with the scope read; PORTENT_KEY_FILE where it is not given
    #[arg(long, value_name = "FILE")]
    pub(super) key_file: Option<PathBuf>,
    /// The authorities that may vouch for the agent's certificate, as PEM; those of the system where it is not given
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// A certificate of one's own and its private key, in one PEM file
    #[arg(long, value_name = "FILE")]
    pub(super) client_cert_file: Option<PathBuf>,
    /// The form of the answer
    #[arg(long, value_enum, default_value_t = Form::Table)]
    pub(super) output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Form {
    Table,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum IncidentCommand {
    /// List incidents, the newest first
    List(ListArgs),
    /// Show an incident: its series with values and bands, likely causes with their evidence, and its timeline
    Show {
        /// The incident's id, or as many of its first digits as no other has
        id: String,
        #[command(flatten)]
        remote: Remote,
    },
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Only those in this state; open is every one but resolved
    #[arg(long, value_enum, default_value_t = StatusArg::Open)]
    pub(super) status: StatusArg,
    /// Only those of these severities
    #[arg(long, value_enum, value_delimiter = ',', ignore_case = true, value_name = "SEVERITY")]
    pub(super) severity: Vec<SeverityArg>,
    /// Only those of this service
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// Only those that were opened since: a duration ago such as 2h, an RFC 3339 time or Unix seconds
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(super) limit: u32,
    #[command(flatten)]
    pub(super) remote: Remote,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StatusArg {
    Open,
    Detected,
    Analyzing,
    Diagnosed,
    Resolved,
    All,
}

impl StatusArg {
    /// Its word in the API; none for all.
    pub(super) fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Open => Some("open"),
            Self::Detected => Some("detected"),
            Self::Analyzing => Some("analyzing"),
            Self::Diagnosed => Some("diagnosed"),
            Self::Resolved => Some("resolved"),
            Self::All => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum SeverityArg {
    P0,
    P1,
    P2,
    P3,
}

impl SeverityArg {
    /// Its word in the API.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }
}

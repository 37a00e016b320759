//! What may be written after `portent`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::config::Override;

/// Said by `portent --help`.
const ABOUT: &str = "\
Anomaly detection and explained incidents beside your Prometheus.

Portent polls PromQL range queries, judges every series against its own recent past, groups
what belongs together into incidents, and says what probably caused them.

See it work in half a minute, with nothing installed:

    portent demo

Then on your own Prometheus (config/prometheus.toml is a start):

    portent check config portent.toml
    portent run --config.file=portent.toml";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "portent", version, about = ABOUT, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the agent until it is told to stop (SIGTERM or Ctrl-C)
    Run(RunArgs),
    /// See it work: five services with known faults, the agent beside them, and a score card
    Demo(DemoArgs),
    /// Check a config before it is used, or a running agent
    #[command(subcommand)]
    Check(CheckCommand),
    /// Run a recording through the whole pipeline in virtual time and print an incident a line as JSON
    Replay(ReplayArgs),
    /// Print a generated reference
    Reference {
        /// Which one
        #[arg(value_enum)]
        what: ReferenceWhat,
    },
}

/// The keys of the config that are also flags; each stands over the file and the environment.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The config file; see docs/configuration.md and config/prometheus.toml
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: PathBuf,
    /// Where incidents and events are kept (store.path)
    #[arg(long = "storage.path", value_name = "FILE")]
    storage_path: Option<String>,
    /// Where the API listens (api.listen_address)
    #[arg(long = "web.listen-address", value_name = "ADDRESS")]
    listen_address: Option<String>,
    /// The URL under which people reach the API (api.external_url)
    #[arg(long = "web.external-url", value_name = "URL")]
    external_url: Option<String>,
    /// The path before every route (api.route_prefix)
    #[arg(long = "web.route-prefix", value_name = "PATH")]
    route_prefix: Option<String>,
    /// error, warn, info, debug or trace (log.level)
    #[arg(long = "log.level", value_name = "LEVEL")]
    log_level: Option<String>,
    /// logfmt or json (log.format)
    #[arg(long = "log.format", value_name = "FORMAT")]
    log_format: Option<String>,
}

impl RunArgs {
    pub(super) fn overrides(&self) -> Vec<Override> {
        let flags = [
            ("store.path", "--storage.path", &self.storage_path),
            ("api.listen_address", "--web.listen-address", &self.listen_address),
            ("api.external_url", "--web.external-url", &self.external_url),
            ("api.route_prefix", "--web.route-prefix", &self.route_prefix),
            ("log.level", "--log.level", &self.log_level),
            ("log.format", "--log.format", &self.log_format),
        ];
        flags.into_iter().filter_map(|(path, flag, value)| Some(set(path, flag, value.as_deref()?))).collect()
    }
}

/// A key of the config, set by a flag.
pub(super) fn set(path: &str, flag: &str, value: &str) -> Override {
    // Always a text, however much it looks like a number.
    Override { path: path.to_owned(), value: format!("{value:?}"), flag: flag.to_owned() }
}

#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Run the clock so many times faster
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = speed)]
    pub(super) speed: f64,
    /// End after so many cycles of five faults (ten minutes each at speed 1), with a score card; exit 1 where a fault
    /// was missed or an incident was false
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) cycles: Option<u32>,
    /// Makes the noise; the same seed gives the same noise at the same time
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(super) seed: u64,
    /// The form of the score card; with json, standard output has nothing else
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
    /// Where the agent's API listens; a free port unless told otherwise
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:0", value_name = "ADDRESS")]
    pub(super) listen_address: String,
    /// error, warn, info, debug or trace
    #[arg(long = "log.level", default_value = "warn", value_name = "LEVEL")]
    pub(super) log_level: String,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        Ok(_) | Err(_) => Err("give a number from 0.1 to 1000".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum CheckCommand {
    /// Check a config: every mistake at once, each with its line, the value seen and a way out; exit 1 where there is one
    Config {
        /// The config file
        file: PathBuf,
    },
    /// Ask a running agent whether it lives; exit 1 where it does not
    Healthy(ProbeArgs),
    /// Ask a running agent whether it is ready; exit 1 where it is not
    Ready(ProbeArgs),
}

/// Which agent is asked, and for how long.
#[derive(Debug, Args)]
pub(super) struct ProbeArgs {
    /// The agent's URL, with its route prefix where it has one; demo-service answers too
    #[arg(long, default_value = "http://127.0.0.1:9098", value_name = "URL")]
    pub(super) url: String,
    /// How long the answer may take in all
    #[arg(long, default_value = "3s", value_name = "DURATION", value_parser = super::probe::timeout)]
    pub(super) timeout: Duration,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// CSV with the header time,service,<signal>,...: Unix seconds or RFC 3339, rows in any order, an empty cell where
    /// there is no sample
    pub(super) recording: PathBuf,
    /// The config whose settings apply; signals are those of the recording
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum ReferenceWhat {
    /// Every key of the config, as in docs/configuration.md
    Configuration,
    /// Every metric of the agent, as in docs/metrics.md
    Metrics,
    /// The OpenAPI document, as in docs/openapi.json
    Openapi,
}

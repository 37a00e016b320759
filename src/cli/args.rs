//! What may be written after `portent`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::explain::ExplainArgs;
use super::incident_args::IncidentCommand;
use crate::api::{Scope, key_name};
use crate::backtest::{Condition, conditions};
use crate::config::Override;
use crate::detect::Detectors;
use crate::time::{Timestamp, parse_duration, parse_timestamp};

/// Said by `portent --help`.
const ABOUT: &str = "\
Anomaly detection and explained incidents beside your Prometheus.

Portent polls PromQL range queries, judges every series against its own recent past, groups
what belongs together into incidents, and says what probably caused them.

See it work in half a minute, with nothing installed:

    portent demo

Then on your own Prometheus, which is looked at and not changed:

    portent init http://prometheus:9090 --output portent.toml
    portent check config portent.toml --live
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
    /// Look at a Prometheus-compatible backend and write a config for what is there
    ///
    /// Recognises HTTP and gRPC servers, meshes and proxies, machines, containers, databases and runtimes by the names of
    /// their metrics; chooses what names a service, how fast to poll and what to ask; asks each query once and writes
    /// what it costs beside it. It only reads, within a budget of requests, bytes and time. Exit 1 where nothing is
    /// recognised: the config then says what was looked for.
    Init(InitArgs),
    /// Check a config before it is used, or a running agent
    #[command(subcommand)]
    Check(CheckCommand),
    /// Judge one series from a CSV file, sample by sample, and print what the agent would have said of each as CSV
    ///
    /// FILE has a header with the columns timestamp and value; other columns are ignored. A time is Unix seconds, with a
    /// fraction or without, YYYY-MM-DD HH:MM:SS in UTC, or RFC 3339. Printed are, in the order of the file,
    /// timestamp,value,expected,lower,upper,score,event: the first two as they came, the next four as far as the sample is
    /// judged (a score above 1 is outside the band), and open or close where an incident would open or resolve. No row
    /// knows of a later one. Rows that are late, stand twice or have no value get no verdict; how many is said on standard
    /// error. Exit 1 where a row cannot be read. See docs/howto/files.md.
    Detect(DetectArgs),
    /// Run a recording through the whole pipeline in virtual time and print an incident a line as JSON
    ///
    /// RECORDING holds some signals of some services. Each incident says when it opened and resolved, which series were in
    /// trouble, and every diagnosis as it was made at its time. See docs/howto/files.md.
    Replay(ReplayArgs),
    /// Try a config on the history of its backend, before it is used
    ///
    /// Reads the history by range queries, one at a time and with rests, and lives through it in virtual time as the
    /// agent would have: the same slots, baselines, gates and grouping, and so the same incidents with the same ids.
    /// Says how many incidents a day there would have been, by signal, service and severity; how they fit what was
    /// really wrong (--labels); and what another config would have said of the same samples (--against). What was before
    /// --since only teaches. It changes nothing, and Ctrl-C ends it.
    ///
    /// Exit 1 where a condition of --fail-on is met or the history cannot be read.
    Backtest(BacktestArgs),
    /// Calibrate the noise budgets of a config on the history of its backend, and print what they come to
    ///
    /// Has several agents, each with other boundaries, live through the history as backtest does, counts the incidents that
    /// each would have opened, and finds the boundary at which there are as many as the budget accepts. A running agent does
    /// the same at its start, after a reload and once a day. Each lives through the history twice, and the second time counts.
    /// It changes nothing. Exit 1 where the history cannot be read.
    Budget(BudgetArgs),
    /// Look at the incidents of a running agent
    #[command(subcommand)]
    Incident(IncidentCommand),
    /// Say why a sample opened an anomaly, or did not, with what every gate went by
    ///
    /// The running agent reads the history of the service's series before that time from its backend and judges it anew, by
    /// the config that is in force. Nothing later is read. See docs/detectors.md.
    Explain(ExplainArgs),
    /// Make API keys
    #[command(subcommand)]
    Key(KeyCommand),
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
    /// Listen for other machines without API keys, so that everybody who reaches it may do everything
    /// (api.allow_without_keys)
    #[arg(long = "web.allow-without-keys")]
    allow_without_keys: bool,
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
        let texts =
            flags.into_iter().filter_map(|(path, flag, value)| Some(set(path, flag, value.as_deref()?)));
        let switch = ("api.allow_without_keys", "--web.allow-without-keys");
        texts.chain(self.allow_without_keys.then(|| switch_on(switch.0, switch.1))).collect()
    }
}

/// A key of the config, set by a flag.
pub(super) fn set(path: &str, flag: &str, value: &str) -> Override {
    // Always a text, however much it looks like a number.
    Override { path: path.to_owned(), value: format!("{value:?}"), flag: flag.to_owned() }
}

/// A key of the config, turned on by a flag.
fn switch_on(path: &str, flag: &str) -> Override {
    Override { path: path.to_owned(), value: "true".to_owned(), flag: flag.to_owned() }
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
    /// Listen for other machines, although the demo has no API keys: everybody who reaches it may do everything
    #[arg(long = "web.allow-without-keys")]
    pub(super) allow_without_keys: bool,
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
    Config(CheckConfigArgs),
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
    /// The authorities that may vouch for the agent's certificate, as PEM; those of the system where it is not given
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// A certificate of one's own and its private key, in one PEM file
    #[arg(long, value_name = "FILE")]
    pub(super) client_cert_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct CheckConfigArgs {
    /// The config file
    pub(super) file: PathBuf,
    /// Ask the backend for each signal once, as the agent would, and report series, samples, time, bytes and warnings;
    /// exit 1 where a query fails or is above the limits
    #[arg(long)]
    pub(super) live: bool,
    /// The form of the report; with json it goes to standard output whatever it says
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The base of the backend's API, such as http://prometheus:9090; stands over the config file's
    #[arg(value_name = "URL", required_unless_present = "config_file")]
    pub(super) url: Option<String>,
    /// A config whose [source] says how to ask a protected backend; what of it is no secret text is carried over
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// The file to write, which must not be there yet; standard output where it is not given
    #[arg(long, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,
    /// How long to look at most; what was not reached by then is said in the config
    #[arg(long, default_value = "2m", value_name = "DURATION", value_parser = timeout)]
    pub(super) timeout: Duration,
}

fn timeout(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(span) if (Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&span) => Ok(span),
        Ok(_) | Err(_) => Err("give a duration from 1s to 1h".to_owned()),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Make a key: print it once to standard error, and its entry for the keys file (api.keys_file) to standard output
    New(NewKeyArgs),
}

#[derive(Debug, Args)]
pub(super) struct NewKeyArgs {
    /// The person or machine that it is for; it stands in logs
    #[arg(long, value_parser = owner)]
    pub(super) name: String,
    /// What it may do: read, ingest, operate, approve, admin; none implies another
    #[arg(long, required = true, value_delimiter = ',', value_parser = scope)]
    pub(super) scopes: Vec<Scope>,
}

fn owner(text: &str) -> Result<String, String> {
    key_name(text).map(str::to_owned)
}

fn scope(text: &str) -> Result<Scope, String> {
    Scope::of_name(text).ok_or_else(|| format!("give {}", Scope::names()))
}

#[derive(Debug, Args)]
pub(super) struct DetectArgs {
    /// CSV with the header timestamp,value; /dev/stdin reads a pipe
    pub(super) file: PathBuf,
    /// The config whose settings apply: those of a signal named value where it has one, else those of signal_defaults
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// Judge with this detector instead of what the config says, or with several: names with commas between, combined as
    /// the config says
    #[arg(long, value_name = "NAMES")]
    pub(super) detector: Option<Detectors>,
    /// Make a row that is late or stands twice an error
    #[arg(long)]
    pub(super) strict: bool,
}

#[derive(Debug, Args)]
pub(super) struct ReplayArgs {
    /// CSV with the header time,service,<signal>,...: Unix seconds or RFC 3339, rows in any order, an empty cell where
    /// there is no sample
    pub(super) recording: PathBuf,
    /// The config whose settings apply; signals are those of the recording
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: Option<PathBuf>,
    /// CSV with the header source,target, a row for each pair of services of which source calls target: trouble of a
    /// service that is called then explains that of its callers
    #[arg(long, value_name = "FILE")]
    pub(super) edges: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BacktestArgs {
    /// The config to try; its [source] says where the history is
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: PathBuf,
    /// A config to compare it with, such as the one in force; it is tried on the same samples from the same backend
    #[arg(long, value_name = "FILE")]
    pub(super) against: Option<PathBuf>,
    /// Where to begin: so long before the end, or at a time
    #[arg(long, default_value = "7d", value_name = "DURATION|TIME", value_parser = since)]
    pub(super) since: Since,
    /// Where to end, as Unix seconds or RFC 3339; now where it is not given
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<Timestamp>,
    /// What was really wrong: CSV with the header start,end[,service][,signal], times as Unix seconds or RFC 3339
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// When it counts as failed, such as 'incidents>2/day,P0>0,recall<0.8,precision<0.5,delay>5m,new>0': a name, one of
    /// > >= < <= and a number; counts may be by /day or /week
    #[arg(long, value_name = "CONDITIONS", value_delimiter = ',', value_parser = condition)]
    pub(super) fail_on: Vec<Condition>,
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
    /// Write the report with plots as one page that needs no network
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct BudgetArgs {
    /// The config whose budgets are calibrated; its [source] says where the history is
    #[arg(long = "config.file", value_name = "FILE")]
    pub(super) config_file: PathBuf,
    /// Where to begin: so long before the end, or at a time
    #[arg(long, default_value = "28d", value_name = "DURATION|TIME", value_parser = since)]
    pub(super) since: Since,
    /// Where to end, as Unix seconds or RFC 3339; now where it is not given
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(super) until: Option<Timestamp>,
    /// What was really wrong, which is no noise: CSV with the header start,end[,service][,signal]
    #[arg(long, value_name = "FILE")]
    pub(super) labels: Option<PathBuf>,
    /// The form of the report on standard output
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(super) output: Output,
}

/// Where a span of the past begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Since {
    /// So long before its end.
    Ago(Duration),
    /// At a time.
    At(Timestamp),
}

impl Since {
    pub(super) fn before(self, end: Timestamp) -> Timestamp {
        match self {
            Self::Ago(span) => end.minus(span),
            Self::At(at) => at,
        }
    }
}

fn since(text: &str) -> Result<Since, String> {
    let most = Duration::from_secs(400 * 86_400);
    match (parse_duration(text), parse_timestamp(text)) {
        (Ok(span), _) if (Duration::from_secs(60)..=most).contains(&span) => Ok(Since::Ago(span)),
        (Err(_), Ok(at)) => Ok(Since::At(at)),
        (Ok(_), _) | (Err(_), Err(_)) => {
            Err("give a duration from 1m to 400d, such as 28d, or a time as Unix seconds or RFC 3339"
                .to_owned())
        }
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    parse_timestamp(text).map_err(|error| error.to_string())
}

fn condition(text: &str) -> Result<Condition, String> {
    let mut read = conditions(text).map_err(|error| error.to_string())?;
    read.pop().ok_or_else(|| "give a condition, such as incidents>2/day".to_owned())
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

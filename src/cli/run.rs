//! Runs what the command line asks for.

use std::io::Write as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::args::{CheckCommand, Cli, Command, DemoArgs, KeyCommand, Output, RunArgs};
use super::{backtest, budget, check, detect, explain, incident, init, key, probe, reference, replay};
use crate::app::{App, Reloading};
use crate::config::Config;
use crate::runtime::Clock;
use crate::{config, demo, telemetry};

/// Parses the command line, runs it, and gives the exit code: 0 all is well, 1 it is not, 2 the words were wrong.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // A closed pipe is no place to complain into.
            let _ = writeln!(std::io::stderr(), "portent: {}", told(&error));
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes, without those that an outer one has told already.
fn told(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => block_on(run_agent(args)),
        Command::Demo(args) => block_on(run_demo(args)),
        Command::Init(args) => block_on(init::init(args)),
        Command::Check(CheckCommand::Config(args)) => block_on(check::check_config(args)),
        Command::Check(CheckCommand::Healthy(args)) => block_on(probe::probe(probe::Probe::Healthy, args)),
        Command::Check(CheckCommand::Ready(args)) => block_on(probe::probe(probe::Probe::Ready, args)),
        Command::Detect(args) => as_far_as_read(detect::detect(&args)),
        Command::Replay(args) => as_far_as_read(replay::replay(&args)),
        Command::Backtest(args) => block_on(backtest::backtest(args)),
        Command::Budget(args) => block_on(budget::budget(args)),
        Command::Incident(command) => block_on(incident::incident(command)),
        Command::Explain(args) => block_on(explain::explain(args)),
        Command::Key(KeyCommand::New(args)) => key::new_key(&args),
        Command::Reference { what } => reference::print(what),
    }
}

/// Whoever closes standard output has seen enough: that is no failure of a command that only prints.
fn as_far_as_read(outcome: anyhow::Result<ExitCode>) -> anyhow::Result<ExitCode> {
    let is_closed_pipe = |error: &anyhow::Error| {
        let from_csv = error.downcast_ref::<csv::Error>().and_then(|error| match error.kind() {
            csv::ErrorKind::Io(error) => Some(error.kind()),
            _ => None,
        });
        let from_json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
        let bare = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        from_csv.or(from_json).or(bare) == Some(std::io::ErrorKind::BrokenPipe)
    };
    match outcome {
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
        Ok(_) | Err(_) => outcome,
    }
}

/// What still runs on threads of its own after the stop is waited for so long.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A stop that was asked for twice is not waited for.
#[derive(Debug, thiserror::Error)]
#[error("told to stop a second time: it ends at once; what was acknowledged is in the store")]
struct EndsAtOnce;

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    match &outcome {
        Err(error) if error.is::<EndsAtOnce>() => runtime.shutdown_background(),
        // A file or a disk that hangs does not keep the process.
        Ok(_) | Err(_) => runtime.shutdown_timeout(STOP_GRACE),
    }
    outcome
}

async fn run_agent(args: RunArgs) -> anyhow::Result<ExitCode> {
    // From here on no signal ends the process by itself.
    let mut stops = Stops::listen()?;
    let mut hangups = signal(SignalKind::hangup())?;
    let load = move || -> anyhow::Result<Config> {
        let config = config::load(Some(&args.config_file), config::environment(), &args.overrides())?;
        config.require_signals()?;
        Ok(config)
    };
    let config = load()?;
    let level = Some(telemetry::install(&config.log)?);
    let reloading = Reloading { load: Some(Arc::new(load)), level };
    let app = tokio::select! {
        app = App::start_with(&config, Clock::real(), reloading) => app?,
        // Nothing was begun yet that would have to be finished.
        () = stops.next() => return Ok(ExitCode::SUCCESS),
    };
    info!(url = %app.url(), "the API listens on {}", app.url());
    let reloads = app.reloads.clone();
    let reloading = async {
        while hangups.recv().await.is_some() {
            // Its outcome is logged where it is known.
            let _ = reloads.reload().await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = stops.next() => info!("told to stop"),
        () = app.failed() => {}
        () = reloading => {}
    }
    tokio::select! {
        stopped = app.stop() => stopped?,
        () = stops.next() => return Err(EndsAtOnce.into()),
    }
    info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// SIGTERM and Ctrl-C.
pub(super) struct Stops {
    terminate: Signal,
    interrupt: Signal,
}

impl Stops {
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

async fn run_demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let settings = demo::Settings {
        speed: args.speed,
        cycles: args.cycles,
        seed: args.seed,
        listen_address: args.listen_address,
        allow_without_keys: args.allow_without_keys,
        log_level: args.log_level,
    };
    let show = match args.output {
        Output::Text => demo::Show::Text,
        Output::Json => demo::Show::Progress,
    };
    let mut stops = Stops::listen()?;
    let card = demo::run(&settings, show, stops.next()).await.context("the demo")?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Text => write!(out, "{card}")?,
        Output::Json => writeln!(out, "{}", card.to_json()?)?,
    }
    Ok(if card.is_perfect() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! Runs what the command line asks for.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use tracing::info;

use super::args::{CheckCommand, Cli, Command, DemoArgs, Output, RunArgs};
use super::{check, probe, reference, replay};
use crate::app::App;
use crate::runtime::Clock;
use crate::{config, demo, telemetry};

/// Parses the command line, runs it, and gives the exit code: 0 all is well, 1 it is not, 2 the words were wrong.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // A closed pipe is no place to complain into.
            let _ = writeln!(std::io::stderr(), "portent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => block_on(run_agent(args)),
        Command::Demo(args) => block_on(run_demo(args)),
        Command::Check(CheckCommand::Config { file }) => check::check_config(&file),
        Command::Check(CheckCommand::Healthy(args)) => block_on(probe::probe(probe::Probe::Healthy, args)),
        Command::Check(CheckCommand::Ready(args)) => block_on(probe::probe(probe::Probe::Ready, args)),
        Command::Replay(args) => replay::replay(&args),
        Command::Reference { what } => reference::print(what),
    }
}

/// What still runs on threads of its own after the stop is waited for so long.
const STOP_GRACE: Duration = Duration::from_secs(5);

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(work);
    // A file or a disk that hangs does not keep the process.
    runtime.shutdown_timeout(STOP_GRACE);
    outcome
}

async fn run_agent(args: RunArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(Some(&args.config_file), config::environment(), &args.overrides())?;
    config.require_signals()?;
    telemetry::install(&config.log)?;
    let app = App::start(&config, Clock::real()).await?;
    info!(url = %app.url(), "the API listens on {}", app.url());
    tokio::select! {
        () = stop_signal() => info!("told to stop"),
        () = app.failed() => {}
    }
    app.stop().await?;
    Ok(ExitCode::SUCCESS)
}

async fn run_demo(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let settings = demo::Settings {
        speed: args.speed,
        cycles: args.cycles,
        seed: args.seed,
        listen_address: args.listen_address,
        log_level: args.log_level,
    };
    let show = match args.output {
        Output::Text => demo::Show::Text,
        Output::Json => demo::Show::Progress,
    };
    let card = demo::run(&settings, show, stop_signal()).await.context("the demo")?;
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Text => write!(out, "{card}")?,
        Output::Json => writeln!(out, "{}", card.to_json()?)?,
    }
    Ok(if card.is_perfect() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Waits for SIGTERM or Ctrl-C.
async fn stop_signal() {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}

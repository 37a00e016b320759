//! The demo service as a program of its own: parses its flags, serves until it is told to stop.

use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use portent_demo_service::{Clock, Schedule, World, serve};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Five simulated services with a known fault schedule, as a scrape target and as a Prometheus API.
#[derive(Parser)]
#[command(version)]
struct Flags {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9105")]
    listen_address: SocketAddr,

    /// The seed of the noise: the same seed gives the same values at the same time.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Whether each service has its fault in every cycle of ten minutes.
    #[arg(long, value_enum, default_value = "on")]
    schedule: Switch,
}

#[derive(Clone, Copy, ValueEnum)]
enum Switch {
    On,
    Off,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let schedule = match flags.schedule {
        Switch::On => Schedule::On,
        Switch::Off => Schedule::Off,
    };
    let listener = TcpListener::bind(flags.listen_address)
        .await
        .with_context(|| format!("can't listen on {}", flags.listen_address))?;
    announce(listener.local_addr().context("the listener has no address")?);
    let cancel = CancellationToken::new();
    let clock: Clock = Arc::new(wall_clock_ms);
    let mut serving = pin!(serve(listener, World::new(flags.seed, schedule), clock, cancel.clone()));
    tokio::select! {
        served = &mut serving => return served.context("the server failed"),
        stopped = stop_asked() => stopped.context("can't listen for signals")?,
    }
    cancel.cancel();
    serving.await.context("the server failed")
}

/// Prints the URL. Nobody reading it is no reason to stop.
fn announce(address: SocketAddr) {
    let _ = writeln!(std::io::stdout(), "portent-demo-service serves http://{address}/");
}

/// Waits for SIGTERM or ctrl-c.
async fn stop_asked() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Unix milliseconds; a wall clock before 1970 counts backwards from zero.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the real clock")]
fn wall_clock_ms() -> i64 {
    let ms = |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => ms(since),
        Err(before) => -ms(before.duration()),
    }
}

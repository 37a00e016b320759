//! Reads what is needed, lives through the past, and writes the report.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::bar::Bar;
use super::told::{Named, Told};
use super::{json, page, text};
use crate::app::candidate;
use crate::backtest::{Labels, Period, Report};
use crate::cli::args::{BacktestArgs, Output};
use crate::cli::run::Stops;
use crate::config::{self, Config};
use crate::runtime::{Clock, Span, live_through};
use crate::time::Timestamp;

/// Nobody waited for its end.
#[derive(Debug, thiserror::Error)]
#[error("told to stop at {0}: nothing is reported; a shorter --since takes less time")]
struct Stopped(Timestamp);

/// Prints what a config would have said about the past. Exit 1 where a condition of `--fail-on` is met.
pub(in crate::cli) async fn backtest(args: BacktestArgs) -> anyhow::Result<ExitCode> {
    for condition in &args.fail_on {
        anyhow::ensure!(
            !condition.needs_labels() || args.labels.is_some(),
            "--fail-on {condition}: needs --labels, which says what was really wrong"
        );
        anyhow::ensure!(
            !condition.needs_against() || args.against.is_some(),
            "--fail-on {condition}: needs --against, which says what to compare with"
        );
    }
    let new = sound(&args.config_file)?;
    let old = args.against.as_deref().map(sound).transpose()?;
    let labels = args.labels.as_deref().map(labels).transpose()?;
    // Before hours of work are lost to a folder that is not there.
    args.html.as_deref().map(has_folder).transpose()?;

    let clock = Clock::real();
    let until = args.until.unwrap_or_else(|| clock.now());
    anyhow::ensure!(until <= clock.now(), "--until {until} lies in the future: give a time that has passed");
    let span = Span { since: args.since.before(until), until };
    anyhow::ensure!(span.since < until, "--since {} is not before --until {until}", span.since);
    let mut candidates = vec![candidate(&new)];
    candidates.extend(old.as_ref().map(candidate));

    let mut stops = Stops::listen()?;
    let mut bar = Bar::new("backtest", &clock);
    let mut at = span.since;
    let lived = tokio::select! {
        lived = live_through(&new.source, &clock, &candidates, span, |progress| {
            at = progress.at;
            bar.show(progress);
        }) => Ok(lived),
        () = stops.next() => Err(()),
    };
    bar.clear();
    let lived = lived.map_err(|()| Stopped(at))??;
    let first = lived.reading.first_sample.with_context(|| {
        format!(
            "{} holds no samples of these signals from {} to {until}: try a shorter --since, or look at the queries with \
             portent check config {} --live",
            new.source.url,
            span.since,
            args.config_file.display()
        )
    })?;
    let mut outcomes = lived.outcomes.into_iter();
    let outcome = outcomes.next().context("no config was tried, which is a defect of portent")?;
    let report = Report::new(
        Period { begin: begin(span, first, &new), until },
        outcome,
        outcomes.next(),
        labels.as_ref(),
    );
    let told = Told {
        new: Named::of(&args.config_file, &new),
        old: args.against.as_deref().zip(old.as_ref()).map(|(file, config)| Named::of(file, config)),
        source: new.source.url.clone(),
        span,
        reading: lived.reading,
        broken: report.broken(&args.fail_on),
        report,
        took: bar.took(),
        version: env!("CARGO_PKG_VERSION"),
    };
    write(&told, args.output, args.html.as_deref())
}

/// Where the history begins: it may miss a few steps at the front without being shorter than was asked for.
fn begin(span: Span, first: Timestamp, config: &Config) -> Timestamp {
    let longest = config.signals.iter().map(|signal| signal.interval.max(signal.query.step)).max();
    let is_late = first.since(span.since) > longest.unwrap_or_default().saturating_mul(2);
    if is_late { first } else { span.since }
}

fn sound(file: &Path) -> anyhow::Result<Config> {
    let config = config::load(Some(file), config::environment(), &[])?;
    config.require_signals().with_context(|| file.display().to_string())?;
    Ok(config)
}

pub(in crate::cli) fn labels(file: &Path) -> anyhow::Result<Labels> {
    let name = file.display().to_string();
    let opened = File::open(file).with_context(|| format!("--labels: {name} cannot be opened"))?;
    Ok(Labels::read(BufReader::new(opened), &name)?)
}

fn has_folder(file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let is_there = folder.is_none_or(Path::is_dir) && !file.is_dir();
    anyhow::ensure!(is_there, "--html {}: give a file in a folder that is there", file.display());
    Ok(())
}

fn write(told: &Told, output: Output, html: Option<&Path>) -> anyhow::Result<ExitCode> {
    if let Some(file) = html {
        let page = page::page(told)?;
        std::fs::write(file, page)
            .with_context(|| format!("--html: {} cannot be written", file.display()))?;
    }
    let mut out = std::io::stdout().lock();
    match output {
        Output::Text => write!(out, "{}", text::text(told))?,
        Output::Json => writeln!(out, "{}", json::json(told)?)?,
    }
    out.flush()?;
    for broken in &told.broken {
        writeln!(std::io::stderr().lock(), "failed: {}: {}", broken.condition, broken.because)?;
    }
    Ok(if told.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

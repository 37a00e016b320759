//! `portent budget`: the noise budgets of a config calibrated on the history of its backend, without a running agent.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use super::args::{BudgetArgs, Output};
use super::backtest::{Bar, labels};
use super::incident_text::plain;
use super::run::Stops;
use crate::app::candidate;
use crate::backtest::Calibration;
use crate::config;
use crate::runtime::{Calibrated, Clock, Effort, Span, calibrate};

/// So many engines live through the past at once.
const ENGINES: usize = 8;

#[derive(Serialize)]
struct View {
    config: String,
    config_hash: String,
    since: f64,
    until: f64,
    /// From here on it was lived through twice, and the incidents of the second time count.
    begins: f64,
    budgets: Vec<BudgetView>,
    /// Budgets whose matchers hold for no series of the past.
    unmatched: Vec<String>,
}

#[derive(Serialize)]
struct BudgetView {
    /// A signal, `*` for the common one, or the matchers of an override.
    name: String,
    budget: String,
    days: f64,
    expected_per_day: f64,
    low_per_day: f64,
    high_per_day: f64,
    is_extrapolated: bool,
    is_limited: bool,
    boundaries: Vec<BoundaryView>,
    levels: Vec<LevelView>,
}

#[derive(Serialize)]
struct BoundaryView {
    signal: String,
    setting: &'static str,
    value: f64,
}

/// A boundary that was tried.
#[derive(Serialize)]
struct LevelView {
    looseness: f64,
    incidents: usize,
}

/// Prints what the budgets of a config come to.
pub(super) async fn budget(args: BudgetArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(Some(&args.config_file), config::environment(), &[])?;
    let file = args.config_file.display().to_string();
    config.require_signals().with_context(|| file.clone())?;
    let clock = Clock::real();
    let until = args.until.unwrap_or_else(|| clock.now());
    anyhow::ensure!(until <= clock.now(), "--until {until} lies in the future: give a time that has passed");
    let span = Span { since: args.since.before(until), until };
    anyhow::ensure!(span.since < until, "--since {} is not before --until {until}", span.since);
    let known = match args.labels.as_deref().map(labels).transpose()? {
        Some(labels) => labels.0.iter().map(|label| (label.start, label.end)).collect(),
        None => Vec::new(),
    };
    let effort = Effort { engines: ENGINES, known };
    let (mut stops, mut bar) = (Stops::listen()?, Bar::new("budget", &clock));
    let candidate = candidate(&config);
    let found = tokio::select! {
        found = calibrate(&config.source, &clock, &candidate, (span, &effort), |told| bar.show(told)) => found?,
        () = stops.next() => anyhow::bail!("told to stop: nothing is reported"),
    };
    bar.clear();
    let found = found.with_context(|| {
        format!("{file} has no budget: set one in [signal_defaults] or a signal, such as budget = \"2/week\"")
    })?;
    anyhow::ensure!(
        !found.calibrations.is_empty() || !found.unmatched.is_empty(),
        "{} holds less than an hour of these signals from {} to {until}: give another --since",
        config.source.url,
        span.since
    );
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Text => write!(out, "{}", text(&file, &found))?,
        Output::Json => {
            let view = View {
                config: file,
                config_hash: config.hash(),
                since: span.since.as_seconds(),
                until: until.as_seconds(),
                begins: found.seen.begin.as_seconds(),
                budgets: found.calibrations.iter().map(BudgetView::of).collect(),
                unmatched: found.unmatched.clone(),
            };
            writeln!(out, "{}", serde_json::to_string_pretty(&view)?)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

impl BudgetView {
    fn of(calibration: &Calibration) -> Self {
        let fitted = &calibration.fitted;
        let boundaries = calibration.boundaries.iter().map(|(signal, boundary)| BoundaryView {
            signal: signal.to_string(),
            setting: boundary.kind(),
            value: boundary.value(),
        });
        let levels = calibration
            .levels
            .iter()
            .map(|level| LevelView { looseness: level.looseness, incidents: level.incidents });
        Self {
            name: calibration.name.clone(),
            budget: calibration.budget.to_string(),
            days: calibration.days,
            expected_per_day: fitted.per_day,
            low_per_day: fitted.interval.0,
            high_per_day: fitted.interval.1,
            is_extrapolated: fitted.is_extrapolated,
            is_limited: fitted.limit.is_some(),
            boundaries: boundaries.collect(),
            levels: levels.collect(),
        }
    }
}

fn text(file: &str, found: &Calibrated) -> String {
    let mut out = String::new();
    let seen = &found.seen;
    let _ = writeln!(out, "{}: history from {} to {}", plain(file), seen.begin, seen.until);
    for calibration in &found.calibrations {
        let fitted = &calibration.fitted;
        let per_window = calibration.budget.per().days();
        let _ = writeln!(
            out,
            "\n{} has a budget of {}, calibrated on {:.1} days",
            plain(&calibration.name),
            calibration.budget,
            calibration.days
        );
        let _ = writeln!(
            out,
            "  expected: {:.2} a {} ({:.2} to {:.2}{})",
            fitted.per_day * per_window,
            calibration.budget.per().as_str(),
            fitted.interval.0 * per_window,
            fitted.interval.1 * per_window,
            if fitted.is_extrapolated { ", extrapolated: history shows too few that far out" } else { "" }
        );
        if fitted.limit.is_some() {
            let _ = writeln!(out, "  even the loosest boundary opens no more than that");
        }
        for (signal, boundary) in &calibration.boundaries {
            let _ = writeln!(out, "  {signal}: {} = {:.4}", boundary.kind(), boundary.value());
        }
    }
    for name in &found.unmatched {
        let _ = writeln!(
            out,
            "\n{} is not calibrated: no series of this history matches, or none of those that match has this budget; \
             correct its matchers, or look further back with --since",
            plain(name)
        );
    }
    out
}

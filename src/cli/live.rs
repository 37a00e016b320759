//! `portent check config FILE --live`: each signal asked once, as the agent would.

use std::fmt::Write as _;

use serde::Serialize;

use super::trial::{beyond, remarks, run};
use crate::config::{Config, Signal};
use crate::discover::Trial;
use crate::runtime::Clock;
use crate::source::Prometheus;

/// What the backend answered to every signal.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    /// Whether every query was answered within the limits.
    pub(super) passes: bool,
    pub(super) signals: Vec<Tried>,
}

/// What came of one signal's query.
#[derive(Debug, Serialize)]
pub(super) struct Tried {
    pub(super) signal: String,
    pub(super) series: usize,
    pub(super) services: usize,
    pub(super) samples: usize,
    pub(super) bytes: usize,
    pub(super) seconds: f64,
    pub(super) series_without_service: usize,
    pub(super) samples_not_values: usize,
    /// Why the agent could not watch it.
    pub(super) refusals: Vec<String>,
    /// What a person should know about it.
    pub(super) warnings: Vec<String>,
}

/// Asks for every signal, one after the other.
///
/// # Errors
/// Where no client can be made of the settings.
pub(super) async fn try_all(config: &Config) -> anyhow::Result<Live> {
    let source = Prometheus::new(&config.source)?;
    let clock = Clock::real();
    let mut signals = Vec::new();
    for signal in &config.signals {
        let tried = match run(&source, &config.source, signal, &clock).await {
            Ok(trial) => {
                let refusals = beyond(&trial, &config.source, signal);
                Tried::of(signal, &trial, refusals, remarks(&trial, signal))
            }
            Err(error) => Tried::of(signal, &Trial::default(), vec![error.to_string()], Vec::new()),
        };
        signals.push(tried);
    }
    Ok(Live { passes: signals.iter().all(|tried| tried.refusals.is_empty()), signals })
}

impl Tried {
    fn of(signal: &Signal, trial: &Trial, refusals: Vec<String>, warnings: Vec<String>) -> Self {
        Self {
            signal: signal.query.signal.to_string(),
            series: trial.series,
            services: trial.services.len(),
            samples: trial.samples,
            bytes: trial.bytes,
            seconds: trial.seconds,
            series_without_service: trial.without_service,
            samples_not_values: trial.not_values,
            refusals,
            warnings,
        }
    }
}

impl Live {
    /// A line a signal, and its refusals and warnings below it.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        let width = self.signals.iter().map(|tried| tried.signal.len()).max().unwrap_or_default();
        for tried in &self.signals {
            let verdict = match (tried.refusals.is_empty(), tried.warnings.is_empty()) {
                (false, _) => "FAIL",
                (true, false) => "WARN",
                (true, true) => "ok",
            };
            let _ = writeln!(
                text,
                "  {verdict:<4} {:<width$}  {} series of {} services, {} samples, {} bytes, {:.0} ms",
                tried.signal,
                tried.series,
                tried.services,
                tried.samples,
                tried.bytes,
                (tried.seconds * 1000.0).ceil()
            );
            for line in tried.refusals.iter().chain(&tried.warnings) {
                let _ = writeln!(text, "       {}: {line}", tried.signal);
            }
        }
        text
    }
}

//! Everything that is told of a backtest, whatever its form.

use std::time::Duration;

use crate::backtest::{Broken, Report};
use crate::config::Config;
use crate::incident::Severity;
use crate::replay::Found;
use crate::runtime::{Reading, Span};

/// A config, as it is named.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) file: String,
    pub(super) hash: String,
}

impl Named {
    pub(super) fn of(file: &std::path::Path, config: &Config) -> Self {
        Self { file: file.display().to_string(), hash: config.hash() }
    }
}

/// What came of it, and of what.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) new: Named,
    pub(super) old: Option<Named>,
    /// The backend.
    pub(super) source: String,
    /// What was asked for.
    pub(super) span: Span,
    pub(super) reading: Reading,
    pub(super) report: Report,
    pub(super) broken: Vec<Broken>,
    /// The real time that it took.
    pub(super) took: Duration,
    pub(super) version: &'static str,
}

impl Told {
    /// Incidents a day.
    pub(super) fn per_day(&self, count: usize) -> f64 {
        count as f64 / self.report.period.days()
    }

    /// Whether the backend holds less than was asked for.
    pub(super) fn begins_late(&self) -> bool {
        self.report.period.begin > self.span.since
    }
}

/// The signals of an incident: the one that opened it, and how many others.
pub(super) fn signals(found: &Found) -> String {
    match found.signals.len() {
        0 | 1 => found.opened_by.to_string(),
        many => format!("{} +{}", found.opened_by, many - 1),
    }
}

/// `P0` to `P3` with their counts.
pub(super) fn severities(counts: &crate::backtest::Counts) -> [(&'static str, usize); 4] {
    Severity::ALL.map(|severity| (severity.as_str(), counts.of(severity)))
}

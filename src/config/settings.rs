//! A config that has passed every check.

use std::path::PathBuf;
use std::time::Duration;

use crate::detect::{self, Kind, SignalPlan};
use crate::id::Digest;
use crate::secret::Secret;
use crate::series::SignalName;
use crate::source::{self, ServiceLabels, SignalQuery};
use crate::{api, correlate, incident, llm, runtime, store, telemetry};

/// Everything that a person has set, checked as a whole. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where samples come from.
    pub source: source::Settings,
    /// The backend is lost when no signal has been answered for this long.
    pub source_lost_after: Duration,
    /// The signals, in the order in which they are written; at most 100. None is fine for a replay.
    pub signals: Vec<Signal>,
    /// How a signal is polled and judged that says nothing about it.
    pub signal_defaults: SignalDefaults,
    /// How findings are grouped.
    pub correlate: correlate::Settings,
    /// How incidents are assessed and resolved.
    pub incident: incident::Settings,
    /// Which model is asked.
    pub llm: llm::Settings,
    /// Where the store is.
    pub store: store::Settings,
    /// Where the API listens.
    pub api: api::Settings,
    /// How the agent logs.
    pub log: telemetry::Settings,
    /// How the pipeline runs.
    pub runtime: runtime::Settings,
    pub(super) hash: Digest,
}

/// One signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// What it asks the backend.
    pub query: SignalQuery,
    /// How often it is polled; at least its step.
    pub interval: Duration,
    /// How its series are judged.
    pub plan: SignalPlan,
}

/// How a signal is polled and judged: the keys of `[signal_defaults]`, any of which a signal may set for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalDefaults {
    /// The time between two samples: whole seconds.
    pub step: Duration,
    /// How often a signal is polled.
    pub interval: Duration,
    /// The labels that name a series' service.
    pub service_label: ServiceLabels,
    /// What the signal measures; guessed from its name where it is `None`.
    pub kind: Option<Kind>,
    /// How its samples are judged.
    pub detect: detect::Settings,
    /// How many series are remembered.
    pub tracked_series: usize,
}

impl SignalDefaults {
    /// The plan for a signal of that name, whose samples stand for themselves.
    pub fn plan_for(&self, signal: &SignalName) -> SignalPlan {
        SignalPlan {
            settings: self.detect.clone(),
            kind: self.kind.unwrap_or_else(|| Kind::of_name(signal.as_str())),
            step: self.step,
            window: Duration::ZERO,
            series_limit: self.tracked_series,
        }
    }
}

impl Config {
    /// Hands out the signals where there is one: an agent without any would watch nothing and look well.
    ///
    /// # Errors
    /// A sentence that says how to add one.
    pub fn require_signals(&self) -> Result<&[Signal], NoSignals> {
        if self.signals.is_empty() { Err(NoSignals) } else { Ok(&self.signals) }
    }

    /// How a signal is judged: by its own table, or by `[signal_defaults]` where it has none, as in a recording.
    pub fn plan_for(&self, signal: &SignalName) -> SignalPlan {
        let own = self.signals.iter().find(|own| own.query.signal == *signal);
        own.map_or_else(|| self.signal_defaults.plan_for(signal), |own| own.plan.clone())
    }

    /// The SHA-256 of the merged settings without the secrets, in hex: the same settings give the same hash, however
    /// they are spread over layers.
    pub fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// The files that secrets come from, each with the key that names it.
    pub fn secret_files(&self) -> Vec<(String, PathBuf)> {
        let mut secrets: Vec<(String, &Secret)> = Vec::new();
        match &self.source.auth {
            source::Auth::None => {}
            source::Auth::Basic { password, .. } => {
                secrets.push(("source.basic_auth.password_file".to_owned(), password));
            }
            source::Auth::Bearer { token } => secrets.push(("source.bearer_token_file".to_owned(), token)),
        }
        let headers = self.source.headers.iter();
        secrets.extend(headers.map(|(name, value)| (format!("source.headers.{name}"), value)));
        secrets.extend(self.llm.api_key.iter().map(|key| ("llm.api_key_file".to_owned(), key)));
        let file = |(key, secret): (String, &Secret)| match secret {
            Secret::Inline(_) => None,
            Secret::File(path) => Some((key, path.clone())),
        };
        secrets.into_iter().filter_map(file).collect()
    }
}

/// A config that names no signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no signal is configured, so nothing would be watched: add one, such as\n\n    \
     [signal.error_rate]\n    query = 'sum by (service) (rate(http_requests_total{{code=~\"5..\"}}[2m]))'\n"
)]
pub struct NoSignals;

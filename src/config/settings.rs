//! A config that has passed every check.

use std::path::PathBuf;
use std::time::Duration;

use super::change::Marks;
use super::overrides::ForOthers;
use super::values::Values;
use crate::detect::{self, Kind, SignalPlan};
use crate::id::Digest;
use crate::secret::Secret;
use crate::series::SignalName;
use crate::source::{self, ServiceLabels, SignalQuery};
use crate::transport::{self, Authorization};
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
    /// What overrides say of signals that have no table here.
    pub(super) overrides: Vec<ForOthers>,
    pub(super) hash: Digest,
    pub(super) marks: Marks,
    pub(super) values: Values,
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
            overrides: Vec::new(),
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

    /// How a signal is judged: by its own table, or by `[signal_defaults]` where it has none, as in a recording; and some of
    /// its series by overrides.
    pub fn plan_for(&self, signal: &SignalName) -> SignalPlan {
        let own = self.signals.iter().find(|own| own.query.signal == *signal);
        let of_others = || {
            let overrides = self.overrides.iter().filter_map(|over| over.concerning(signal)).cloned();
            SignalPlan { overrides: overrides.collect(), ..self.signal_defaults.plan_for(signal) }
        };
        own.map_or_else(of_others, |own| own.plan.clone())
    }

    /// The SHA-256 of the merged settings without the secrets, in hex: the same settings give the same hash, however
    /// they are spread over layers.
    pub fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// The files that nobody else may read, each with the key that names it: secrets, private keys, and the hashes of
    /// the API's keys.
    pub fn secret_files(&self) -> Vec<(String, PathBuf)> {
        let mut secrets: Vec<(String, &Secret)> = Vec::new();
        http_secrets("source.http", &self.source.http, &mut secrets);
        http_secrets("llm.http", &self.llm.http, &mut secrets);
        secrets.extend(self.llm.api_key.iter().map(|key| ("llm.api_key_file".to_owned(), key)));
        let file = |(key, secret): (String, &Secret)| match secret {
            Secret::Inline(_) => None,
            Secret::File(path) => Some((key, path.clone())),
        };
        let client_key = |table: &str, http: &transport::Settings| {
            let path = http.tls.certificate.as_ref()?.key_file.clone();
            Some((format!("{table}.tls.key_file"), path))
        };
        let keys = self.api.keys_file.iter().map(|path| ("api.keys_file".to_owned(), path.clone()));
        let tls = self.api.tls.iter().map(|tls| ("api.tls.key_file".to_owned(), tls.key_file.clone()));
        let secrets = secrets.into_iter().filter_map(file);
        let client_keys =
            [client_key("source.http", &self.source.http), client_key("llm.http", &self.llm.http)];
        secrets.chain(client_keys.into_iter().flatten()).chain(keys).chain(tls).collect()
    }

    /// The files of certificates that anybody may read, each with the key that names it.
    pub fn certificate_files(&self) -> Vec<(String, PathBuf)> {
        let mut files = Vec::new();
        for (table, http) in [("source.http", &self.source.http), ("llm.http", &self.llm.http)] {
            let own = http.tls.certificate.as_ref().map(|own| ("cert_file", &own.cert_file));
            let authorities = http.tls.ca_file.as_ref().map(|path| ("ca_file", path));
            let of_client = authorities.into_iter().chain(own);
            files.extend(of_client.map(|(key, path)| (format!("{table}.tls.{key}"), path.clone())));
        }
        if let Some(tls) = &self.api.tls {
            files.push(("api.tls.cert_file".to_owned(), tls.cert_file.clone()));
            let authorities = tls.client_ca_file.iter();
            files.extend(authorities.map(|path| ("api.tls.client_ca_file".to_owned(), path.clone())));
        }
        files
    }
}

fn http_secrets<'c>(table: &str, http: &'c transport::Settings, into: &mut Vec<(String, &'c Secret)>) {
    match &http.authorization {
        Authorization::None => {}
        Authorization::Basic { password, .. } => {
            into.push((format!("{table}.basic_auth.password_file"), password));
        }
        Authorization::Scheme { credentials, .. } => {
            into.push((format!("{table}.authorization.credentials_file"), credentials));
        }
    }
    into.extend(http.headers.iter().map(|(name, value)| (format!("{table}.headers.{name}"), value)));
    if let Some((_, password)) = http.proxy.as_ref().and_then(|proxy| proxy.basic_auth.as_ref()) {
        into.push((format!("{table}.proxy_basic_auth.password_file"), password));
    }
}

/// A config that names no signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "no signal is configured, so nothing would be watched: add one, such as\n\n    \
     [signal.error_rate]\n    query = 'sum by (service) (rate(http_requests_total{{code=~\"5..\"}}[2m]))'\n"
)]
pub struct NoSignals;

//! Reads every section but the signals'.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::http;
use super::section::{Section, chosen};
use crate::incident::Criticality;
use crate::series::Service;
use crate::source::BackendKind;
use crate::telemetry::LogFormat;
use crate::transport::Authorization;
use crate::{correlate, incident, llm, runtime, source, store, telemetry};

const ZERO: Duration = Duration::ZERO;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads `[source]`. Its room checks the whole once more; what it finds beyond the single keys is noted too.
///
/// Beside it stands how long the backend may be silent until it is lost, which is the engine's to judge.
pub(super) fn source(root: &mut Section<'_>) -> Option<(source::Settings, Duration)> {
    let mut section = root.section("source");
    let url = section.text("url");
    for (key, instead) in http::FORMER {
        section.moved(key, instead);
    }
    let kind = kind(&mut section);
    let http = http::http(&mut section, url.as_deref().unwrap_or_default());
    let timeout = section.duration("timeout", Duration::from_millis(10)..=10 * MINUTE);
    let query_delay = section.duration("query_delay", ZERO..=DAY);
    let pulse = pulse(&mut section);
    let requests_per_second = section.count("requests_per_second", 1..=10_000);
    let burst = section.count("burst", 1..=10_000);
    let retries = section.count("retries", 0..=10);
    let series_limit = section.count("series_limit", 1..=1_000_000);
    let bytes_per_request = section.count("bytes_per_request", 65_536..=1 << 30);
    let samples_per_request = section.count("samples_per_request", 1..=50_000_000);
    let points_per_series = section.count("points_per_series", 1..=11_000);
    let lost_after = section.duration("lost_after", 10 * SECOND..=DAY);
    // A mistaken value is told already; anything sound stands in for it, so that the rest is checked as well.
    let settings = source::Settings {
        url: url.unwrap_or_else(|| "http://127.0.0.1:9090".to_owned()),
        http,
        kind,
        timeout: timeout.unwrap_or(SECOND),
        query_delay: query_delay.unwrap_or(ZERO),
        pulse,
        requests_per_second: requests_per_second.unwrap_or(1),
        burst: burst.unwrap_or(1),
        retries: retries.unwrap_or(0),
        series_limit: series_limit.unwrap_or(1),
        bytes_per_request: bytes_per_request.unwrap_or(65_536),
        samples_per_request: samples_per_request.unwrap_or(1),
        points_per_series: points_per_series.unwrap_or(1),
    };
    for mistake in settings.mistakes() {
        section.refuse(mistake.key, mistake.because);
    }
    section.finish();
    Some((settings, lost_after?))
}

fn kind(section: &mut Section<'_>) -> Option<BackendKind> {
    let known = BackendKind::ALL.map(|kind| (kind.as_str(), Some(kind)));
    section.choice("kind", &[[("auto", None)].as_slice(), &known].concat()).flatten()
}

/// Reads the query by which the backend's own gaps are seen; empty switches it off.
fn pulse(section: &mut Section<'_>) -> String {
    let promql = section.optional("pulse").unwrap_or_default();
    if !promql.is_empty()
        && let Err(because) = source::check_promql(&promql)
    {
        section.refuse("pulse", because);
    }
    promql
}

/// Reads `[correlate]`.
pub(super) fn correlate(root: &mut Section<'_>) -> Option<correlate::Settings> {
    let mut section = root.section("correlate");
    let window = section.duration("window", SECOND..=DAY);
    section.finish();
    Some(correlate::Settings { window: window?, ..correlate::Settings::default() })
}

/// Reads `[incident]`.
pub(super) fn incident(root: &mut Section<'_>) -> Option<incident::Settings> {
    let mut section = root.section("incident");
    let resolve_after = section.duration("resolve_after", SECOND..=DAY);
    let words: Vec<_> = Criticality::ALL.iter().rev().map(|level| (level.as_str(), *level)).collect();
    let default_criticality = section.choice("default_criticality", &words);
    let services = section.section("criticality");
    let mut criticality = BTreeMap::new();
    for (service, node) in services.entries() {
        match chosen(node, &words) {
            Ok(level) => drop(criticality.insert(Service::new(service), level)),
            Err(because) => services.refuse_node(node, because),
        }
    }
    section.finish();
    Some(incident::Settings {
        resolve_after: resolve_after?,
        criticality,
        default_criticality: default_criticality?,
    })
}

/// Reads `[llm]`.
pub(super) fn llm(root: &mut Section<'_>) -> Option<llm::Settings> {
    let mut section = root.section("llm");
    let enabled = section.switch("enabled");
    let base_url = section.parsed("base_url", http_url);
    let model = section.text("model");
    if enabled == Some(true) && model.as_deref().is_some_and(|model| model.trim().is_empty()) {
        section.refuse_pair(["enabled", "model"], "a model is asked but none is named: give llm.model");
    }
    let api_key = section.secret("api_key", "api_key_file");
    let http = http::http(&mut section, base_url.as_deref().unwrap_or_default());
    if api_key.is_some() && !matches!(http.authorization, Authorization::None) {
        let because = "stands beside llm.http, which has an Authorization already: keep one of them";
        section.refuse_pair(["api_key", "api_key_file"], because);
    }
    let temperature = section.number("temperature", 0.0..=2.0);
    let max_output_tokens = section.count("max_output_tokens", 64..=100_000);
    let deadline = section.duration("deadline", SECOND..=10 * MINUTE);
    let requests_per_minute = section.count("requests_per_minute", 1..=10_000);
    let cache_for = section.duration("cache_for", ZERO..=30 * DAY);
    let questions_per_incident = section.count("questions_per_incident", 1..=100);
    section.finish();
    Some(llm::Settings {
        enabled: enabled?,
        base_url: base_url?,
        model: model?,
        api_key,
        http,
        temperature: temperature?,
        max_output_tokens: max_output_tokens?,
        deadline: deadline?,
        requests_per_minute: requests_per_minute?,
        cache_for: cache_for?,
        questions_per_incident: questions_per_incident?,
    })
}

/// Reads `[store]`.
pub(super) fn store(root: &mut Section<'_>) -> Option<store::Settings> {
    let mut section = root.section("store");
    let path = section.parsed("path", |text| match text.trim() {
        "" => Err("is empty: give a file, such as portent.db".to_owned()),
        _ => Ok(PathBuf::from(text)),
    });
    section.finish();
    Some(store::Settings { path: path? })
}

/// Reads `[log]`.
pub(super) fn log(root: &mut Section<'_>) -> Option<telemetry::Settings> {
    let mut section = root.section("log");
    let level = section.choice("level", &telemetry::LEVELS.map(|level| (level, level)));
    let format = section.choice("format", &[("logfmt", LogFormat::Logfmt), ("json", LogFormat::Json)]);
    section.finish();
    Some(telemetry::Settings { level: level?.to_owned(), format: format? })
}

/// Reads `[runtime]`.
pub(super) fn runtime(root: &mut Section<'_>) -> Option<runtime::Settings> {
    let mut section = root.section("runtime");
    let history = section.duration("history", MINUTE..=30 * DAY);
    let first_look = section.duration("first_look", ZERO..=DAY);
    let queue_limit = section.count("queue_limit", 1..=65_536);
    let (is_on, interval) = (section.switch("snapshot"), section.duration("snapshot_interval", SECOND..=DAY));
    section.finish();
    let bands = bands(root);
    Some(runtime::Settings {
        history: history?,
        first_look: first_look?,
        queue_limit: queue_limit?,
        bands: bands?,
        snapshots: runtime::SnapshotSettings { is_on: is_on?, interval: interval? },
    })
}

/// Reads `[bands]`.
fn bands(root: &mut Section<'_>) -> Option<runtime::BandSettings> {
    let mut section = root.section("bands");
    let export = section.switch("export");
    let series_limit = section.count("series_limit", 1..=10_000);
    section.finish();
    Some(runtime::BandSettings { export: export?, series_limit: series_limit? })
}

/// Takes an address without what could be a secret in it, and without a slash at its end. Never quotes it.
pub(super) fn http_url(text: &str) -> Result<String, String> {
    let way_out = "give something like https://host/path";
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error}): {way_out}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("is neither http nor https: {way_out}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(format!("holds a user or a password, which others would see: {way_out}"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(format!("has a part after its path: {way_out}"));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

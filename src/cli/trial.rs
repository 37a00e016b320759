//! One signal asked once as the agent would ask it, and whether the answer is within the limits.

use std::time::Duration;

use crate::config::Signal;
use crate::discover::Trial;
use crate::runtime::Clock;
use crate::source::{Prometheus, Settings, SourceError, TimeRange, chunks};

/// Asks for the newest step, to learn how many series there are, and then for the steps of one poll in the pieces that
/// the limits want.
pub(super) async fn run(
    source: &Prometheus,
    settings: &Settings,
    signal: &Signal,
    clock: &Clock,
) -> Result<Trial, SourceError> {
    // The turns of both requests are waited for here, so that the time below is the query's alone.
    clock.sleep(Duration::from_secs(2) / settings.requests_per_second.max(1)).await;
    let query = &signal.query;
    let now = clock.now();
    let points = signal.interval.as_millis().div_ceil(query.step.as_millis().max(1));
    let points = u32::try_from(points).unwrap_or(u32::MAX);
    // What the backend is may make it longer than the config says.
    let delay = source.query_delay().await;
    let newest = TimeRange::last_points(now, delay, query.step, 1);
    let series = source.range(query, newest).await?.batch.series_count();
    let range = TimeRange::last_points(now, delay, query.step, points);

    let mut trial = Trial::default();
    let begun = clock.now();
    for part in chunks(range, query.step, series, &settings.limits()) {
        let answer = source.range(query, part).await?;
        trial.series = trial.series.max(answer.batch.series_count());
        trial.samples += answer.batch.sample_count();
        trial.bytes += answer.bytes;
        trial.bytes_largest = trial.bytes_largest.max(answer.bytes);
        trial.without_service = trial.without_service.max(answer.without_service);
        trial.not_values += answer.not_values;
        for warning in answer.warnings {
            if !trial.warnings.contains(&warning) {
                trial.warnings.push(warning);
            }
        }
        trial.services.extend(answer.batch.rows().map(|row| row.key.service.as_str().to_owned()));
    }
    trial.seconds = clock.now().since(begun).as_secs_f64();
    Ok(trial)
}

/// What is wrong with a trial, each with a way out; empty where it is within the limits.
pub(super) fn beyond(trial: &Trial, settings: &Settings, signal: &Signal) -> Vec<String> {
    let mut found = Vec::new();
    let (series, tracked) = (trial.series, signal.plan.series_limit);
    if series > tracked {
        found.push(format!(
            "{series} series are more than tracked_series of {tracked}: aggregate further, or raise it"
        ));
    }
    let (bytes, limit) = (trial.bytes_largest, settings.bytes_per_request);
    if bytes > limit {
        found.push(format!(
            "{bytes} bytes of one request are more than source.bytes_per_request of {limit}: aggregate further, or raise it"
        ));
    }
    found
}

/// What a person should know about a trial that is within the limits.
pub(super) fn remarks(trial: &Trial, signal: &Signal) -> Vec<String> {
    let mut found = Vec::new();
    let label = &signal.query.service_label;
    match (trial.series, trial.without_service) {
        (0, 0) => found.push(
            "its query gives no series, so nothing of it is judged: is the metric there, do the labels fit?"
                .to_owned(),
        ),
        (0, lacking) => found.push(format!(
            "all of its {lacking} series lack the label {label}, so nothing of it is judged: name another by service_label"
        )),
        (_, 0) => {}
        (_, lacking) => found.push(format!(
            "{lacking} series lack the label {label} and are left out: name another by service_label"
        )),
    }
    if trial.not_values > 0 {
        found.push(format!("{} samples are NaN or infinite and are left out", trial.not_values));
    }
    if trial.seconds > signal.interval.min(SLOW).as_secs_f64() / 2.0 {
        found.push(format!(
            "a poll takes {:.1} s: make its query a recording rule, or poll less often by interval",
            trial.seconds
        ));
    }
    found.extend(trial.warnings.iter().map(|warning| format!("the backend warns: {warning}")));
    found
}

/// A poll that takes half of this is slow, however seldom it is.
const SLOW: Duration = Duration::from_secs(10);

//! `portent check config FILE --live`: each signal asked once, as the agent would.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::trial::{beyond, remarks, run};
use crate::config::{Config, Signal};
use crate::discover::Trial;
use crate::runtime::Clock;
use crate::series::SignalName;
use crate::source::{Prometheus, ServiceLabels, SignalQuery, TimeRange};

/// What the pulse is called among the signals.
const PULSE: &str = "source.pulse";

/// What the backend answered to every signal.
#[derive(Debug, Serialize)]
pub(super) struct Live {
    /// Whether every query was answered within the limits.
    pub(super) passes: bool,
    /// `null` where there is none.
    pub(super) pulse: Option<TriedPulse>,
    pub(super) signals: Vec<Tried>,
}

/// What came of the pulse of the source.
#[derive(Debug, Serialize)]
pub(super) struct TriedPulse {
    pub(super) promql: String,
    /// Its newest value; several series count as their sum.
    pub(super) value: Option<f64>,
    pub(super) seconds: f64,
    /// What a person should know about it. Without it the signals are watched all the same.
    pub(super) warnings: Vec<String>,
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

/// Asks for the pulse and for every signal, one after the other.
///
/// # Errors
/// Where no client can be made of the settings.
pub(super) async fn try_all(config: &Config) -> anyhow::Result<Live> {
    let source = Prometheus::new(&config.source)?;
    let clock = Clock::real();
    let pulse = match (config.source.pulse.is_empty(), config.signals.first()) {
        (false, Some(signal)) => Some(TriedPulse::try_at(&source, config, signal.query.step, &clock).await),
        (true, _) | (_, None) => None,
    };
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
    Ok(Live { passes: signals.iter().all(|tried| tried.refusals.is_empty()), pulse, signals })
}

impl TriedPulse {
    /// Asks for the newest step.
    async fn try_at(source: &Prometheus, config: &Config, step: Duration, clock: &Clock) -> Self {
        let promql = config.source.pulse.clone();
        let query = SignalQuery {
            signal: SignalName::new(PULSE),
            promql: promql.clone(),
            step,
            service_label: ServiceLabels::none(),
        };
        let newest = TimeRange::last_points(clock.now(), source.query_delay().await, step, 1);
        let begun = clock.now();
        let outcome = source.range(&query, newest).await;
        let seconds = clock.now().since(begun).as_secs_f64();
        let (value, mut warnings) = match outcome {
            Ok(answer) => {
                let values: Vec<f64> = answer.batch.rows().flat_map(|row| row.values).copied().collect();
                let warnings = answer.warnings.iter().map(|warning| format!("the backend warns: {warning}"));
                ((!values.is_empty()).then(|| values.iter().sum()), warnings.collect())
            }
            Err(error) => (None, vec![error.to_string()]),
        };
        if value.is_none() {
            warnings.push(
                "it has no value, so gaps of the backend itself are not seen: set another source.pulse, or \"\" for none"
                    .to_owned(),
            );
        }
        Self { promql, value, seconds, warnings }
    }

    fn line(&self, width: usize) -> String {
        let verdict = if self.warnings.is_empty() { "ok" } else { "WARN" };
        let value = self.value.map_or_else(|| "no value".to_owned(), |value| format!("value {value}"));
        format!("  {verdict:<4} {PULSE:<width$}  {value}, {:.0} ms", (self.seconds * 1000.0).ceil())
    }
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
    /// A line for the pulse and for each signal, and its refusals and warnings below it.
    pub(super) fn report(&self) -> String {
        let mut text = String::new();
        let pulse_width = self.pulse.as_ref().map_or(0, |_| PULSE.len());
        let width = self.signals.iter().map(|tried| tried.signal.len()).fold(pulse_width, usize::max);
        if let Some(pulse) = &self.pulse {
            let _ = writeln!(text, "{}", pulse.line(width));
            for line in &pulse.warnings {
                let _ = writeln!(text, "       {PULSE}: {line}");
            }
        }
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

#[cfg(test)]
mod tests {
    use wiremock::matchers::{any, body_string_contains};
    use wiremock::{Mock, MockServer, Request, ResponseTemplate};

    use super::*;
    use crate::config::load_text;

    /// Asks a backend of a kind on which `sum(up)` and any other query get these answers; `more` are lines of `[source]`.
    async fn live(
        kind: &str,
        more: &str,
        pulse: ResponseTemplate,
        other: ResponseTemplate,
    ) -> (Live, Vec<Request>) {
        let server = MockServer::start().await;
        let sum_up = body_string_contains("sum%28up%29");
        Mock::given(sum_up).respond_with(pulse).with_priority(1).mount(&server).await;
        Mock::given(any()).respond_with(other).mount(&server).await;
        let text = format!(
            "[source]\nurl = \"{}\"\nkind = \"{kind}\"\nretries = 0\n{more}\n\
             [signal.errors]\nquery = \"errors\"\nstep = \"15s\"\ninterval = \"1m\"\n",
            server.uri()
        );
        let config = load_text("live.toml", &text, [], &[]).unwrap();
        (try_all(&config).await.unwrap(), server.received_requests().await.unwrap())
    }

    fn answer(value: &str) -> ResponseTemplate {
        let body = format!(
            r#"{{"status":"success","data":{{"resultType":"matrix","result":[{{"metric":{{"service":"a"}},"values":[{value}]}}]}}}}"#
        );
        ResponseTemplate::new(200).set_body_raw(body, "application/json")
    }

    fn one() -> ResponseTemplate {
        answer(r#"[1700000000,"12"]"#)
    }

    #[tokio::test]
    async fn the_pulse_is_tried_and_told() {
        let (told, _) = live("prometheus", "", one(), one()).await;
        let pulse = told.pulse.as_ref().unwrap();
        assert_eq!((pulse.value, pulse.warnings.len(), told.passes), (Some(12.0), 0, true));
        assert!(told.report().contains("ok   source.pulse  value 12, "), "{}", told.report());

        let (told, _) = live("prometheus", "pulse = \"\"", one(), one()).await;
        assert!(told.pulse.is_none() && !told.report().contains("source.pulse"));
    }

    #[tokio::test]
    async fn a_pulse_that_fails_or_has_no_value_is_a_warning() {
        for (pulse, words) in [(ResponseTemplate::new(403), "status 403"), (answer(""), "it has no value")] {
            let (told, _) = live("prometheus", "", pulse, one()).await;
            let report = told.report();
            assert!(told.passes && report.contains("WARN source.pulse  no value, "), "{report}");
            assert!(report.contains(words), "{report}");
        }
    }

    #[tokio::test]
    async fn a_backend_that_is_behind_is_asked_as_far_behind_as_the_agent_asks_it() {
        for (kind, least_s) in [("prometheus", 0), ("victoriametrics", 30)] {
            let asked_at = Clock::real().now().as_millis() / 1000;
            let (_, requests) = live(kind, "query_delay = \"0s\"", one(), one()).await;
            assert!(requests.len() >= 3, "the pulse, the count and the poll");
            let until = Clock::real().now().as_millis() / 1000;
            for request in requests {
                let form = String::from_utf8(request.body).unwrap();
                let end = form.split('&').find_map(|pair| pair.strip_prefix("end=")).unwrap();
                let end: i64 = end.parse().unwrap();
                assert!(end <= until - least_s && end >= asked_at - least_s - 15, "{kind}: {form}");
            }
        }
    }

    #[tokio::test]
    async fn the_limit_of_a_request_is_not_held_against_a_poll_of_several() {
        // Each answer has 40 kB, which is within the limit of 64 KiB; the four of a poll are not.
        let padding = format!(r#"["{}"]"#, "x".repeat(40_000));
        let body = format!(
            r#"{{"status":"success","warnings":{padding},"data":{{"resultType":"matrix","result":[]}}}}"#
        );
        let large = ResponseTemplate::new(200).set_body_raw(body, "application/json");
        let more = "bytes_per_request = 65536\npoints_per_series = 1";
        let (told, _) = live("prometheus", more, one(), large).await;
        let tried = told.signals.first().unwrap();
        assert!(tried.bytes > 4 * 40_000, "{}", tried.bytes);
        assert_eq!(tried.refusals, Vec::<String>::new());
    }
}

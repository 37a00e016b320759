//! The pipeline's own metrics.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;

use crate::detect::Tally;
use crate::engine::Event;
use crate::incident;
use crate::series::SignalName;
use crate::telemetry::Registry;
use crate::time::Timestamp;

use super::status::ModelStatus;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySignal {
    signal: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByFailure {
    signal: String,
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BySeverity {
    severity: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByDirection {
    direction: String,
}

type Float = Gauge<f64, AtomicU64>;

/// The pipeline's own metrics. Labels are bounded: signals by the config, the rest by our own words.
#[derive(Debug, Clone)]
pub(super) struct Metrics {
    query_seconds: Family<BySignal, Histogram, fn() -> Histogram>,
    query_failures: Family<ByFailure, Counter>,
    missed: Family<BySignal, Counter>,
    last_success: Family<BySignal, Float>,
    judged_through: Family<BySignal, Float>,
    series: Family<BySignal, Gauge>,
    warming: Family<BySignal, Gauge>,
    anomalous: Family<BySignal, Gauge>,
    lost: Family<BySignal, Gauge>,
    judged: Family<BySignal, Counter>,
    outside: Family<BySignal, Counter>,
    repeated: Family<BySignal, Counter>,
    untracked: Family<BySignal, Counter>,
    evicted: Family<BySignal, Counter>,
    anomalies: Family<BySignal, Counter>,
    incidents_open: Family<BySeverity, Gauge>,
    incidents_opened: Family<BySeverity, Counter>,
    incidents_resolved: Counter,
    evaluation_seconds: Histogram,
    commit_failures: Counter,
    queue_length: Gauge,
    ready: Gauge,
    llm_questions: Counter,
    llm_cached: Counter,
    llm_requests: Counter,
    llm_tokens: Family<ByDirection, Counter>,
    llm_fallbacks: Family<ByReason, Counter>,
}

fn query_buckets() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0])
}

impl Metrics {
    /// Registers them all.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            query_seconds: Family::new_with_constructor(query_buckets),
            query_failures: Family::default(),
            missed: Family::default(),
            last_success: Family::default(),
            judged_through: Family::default(),
            series: Family::default(),
            warming: Family::default(),
            anomalous: Family::default(),
            lost: Family::default(),
            judged: Family::default(),
            outside: Family::default(),
            repeated: Family::default(),
            untracked: Family::default(),
            evicted: Family::default(),
            anomalies: Family::default(),
            incidents_open: Family::default(),
            incidents_opened: Family::default(),
            incidents_resolved: Counter::default(),
            evaluation_seconds: Histogram::new([0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0]),
            commit_failures: Counter::default(),
            queue_length: Gauge::default(),
            ready: Gauge::default(),
            llm_questions: Counter::default(),
            llm_cached: Counter::default(),
            llm_requests: Counter::default(),
            llm_tokens: Family::default(),
            llm_fallbacks: Family::default(),
        };
        metrics.register_source(registry);
        metrics.register_detection(registry);
        metrics.register_incidents(registry);
        metrics.register_model(registry);
        metrics
    }

    fn register_source(&self, to: &mut Registry) {
        to.register("source_query_duration_seconds", "Real time that the queries of one poll took, retries included", self.query_seconds.clone());
        to.register("source_query_failures", "Polls that failed, retries included, by what went wrong", self.query_failures.clone());
        to.register("missed_evaluations", "Slots that passed while an earlier one was still being worked on", self.missed.clone());
        to.register("last_successful_evaluation_timestamp_seconds", "The slot of the last poll that was answered; alert when it falls behind", self.last_success.clone());
        to.register("judged_through_timestamp_seconds", "The last step that was judged", self.judged_through.clone());
        to.register("queue_length", "Inputs that waited for the engine at its last turn", self.queue_length.clone());
        to.register("ready", "1 while every signal has an answer and the store takes what is written", self.ready.clone());
    }

    fn register_detection(&self, to: &mut Registry) {
        to.register("series_tracked", "Series that have state", self.series.clone());
        to.register("series_warming", "Series whose baseline is not full yet", self.warming.clone());
        to.register("series_anomalous", "Series with an open anomaly", self.anomalous.clone());
        to.register("series_lost", "Series that have stopped while their query still answers", self.lost.clone());
        to.register("samples_judged", "Samples judged", self.judged.clone());
        to.register("samples_outside", "Samples outside their band", self.outside.clone());
        to.register("samples_repeated", "Samples that came again or late and were left out", self.repeated.clone());
        to.register("series_untracked", "Rows left out because the signal has its limit of series", self.untracked.clone());
        to.register("series_evicted", "Series forgotten after a day without a sample", self.evicted.clone());
        to.register("anomalies", "Anomalies that opened or joined an incident", self.anomalies.clone());
    }

    fn register_incidents(&self, to: &mut Registry) {
        to.register("incidents_open", "Incidents that are not resolved", self.incidents_open.clone());
        to.register("incidents_opened", "Incidents opened, by their severity at that moment", self.incidents_opened.clone());
        to.register("incidents_resolved", "Incidents resolved", self.incidents_resolved.clone());
        to.register("evaluation_duration_seconds", "Real time from taking inputs to their commit, where there was something to write", self.evaluation_seconds.clone());
        to.register("store_commit_failures", "Commits that the store did not take; the engine starts again after each", self.commit_failures.clone());
    }

    fn register_model(&self, to: &mut Registry) {
        to.register("llm_questions", "Questions to the model, answered from the cache or not", self.llm_questions.clone());
        to.register("llm_cached", "Questions that the cache answered", self.llm_cached.clone());
        to.register("llm_requests", "Requests to the model's endpoint", self.llm_requests.clone());
        to.register("llm_tokens", "Tokens as the endpoint counts them", self.llm_tokens.clone());
        to.register("llm_fallbacks", "Questions that the heuristics had to answer instead", self.llm_fallbacks.clone());
    }

    pub(super) fn answered(&self, signal: &SignalName, seconds: f64, slot: Timestamp) {
        self.query_seconds.get_or_create(&by(signal)).observe(seconds);
        self.last_success.get_or_create(&by(signal)).set(slot.as_seconds());
    }

    pub(super) fn failed(&self, signal: &SignalName, kind: &str) {
        let label = ByFailure { signal: signal.to_string(), kind: kind.to_owned() };
        self.query_failures.get_or_create(&label).inc();
    }

    pub(super) fn missed(&self, signal: &SignalName, slots: u64) {
        self.missed.get_or_create(&by(signal)).inc_by(slots);
    }

    pub(super) fn judged(&self, signal: &SignalName, through: Timestamp) {
        self.judged_through.get_or_create(&by(signal)).set(through.as_seconds());
    }

    pub(super) fn queue_length(&self, length: usize) {
        self.queue_length.set(length as i64);
    }

    pub(super) fn committed(&self, took: Duration, is_written: bool) {
        self.evaluation_seconds.observe(took.as_secs_f64());
        if !is_written {
            self.commit_failures.inc();
        }
    }

    pub(super) fn happened(&self, event: &Event) {
        match event {
            Event::Incident(incident::Event::Opened { member, assessment, .. }) => {
                self.anomalies.get_or_create(&by(&member.key.signal)).inc();
                let severity = assessment.severity.as_str().to_owned();
                self.incidents_opened.get_or_create(&BySeverity { severity }).inc();
            }
            Event::Incident(incident::Event::Joined { member }) => {
                self.anomalies.get_or_create(&by(&member.key.signal)).inc();
            }
            Event::Incident(incident::Event::Resolved { .. }) => {
                self.incidents_resolved.inc();
            }
            Event::Incident(
                incident::Event::Worsened { .. }
                | incident::Event::MemberEnded { .. }
                | incident::Event::SeverityChanged { .. }
                | incident::Event::AnalysisRequested { .. },
            )
            | Event::Diagnosed(_)
            | Event::Captured(_)
            | Event::System(_) => {}
        }
    }

    /// Sets the gauges, and brings the counters up to what was counted.
    pub(super) fn stands(
        &self,
        tallies: &[(SignalName, Tally)],
        open_incidents: &BTreeMap<&'static str, usize>,
        is_ready: bool,
    ) {
        self.ready.set(i64::from(is_ready));
        for severity in incident::Severity::ALL {
            let open = open_incidents.get(severity.as_str()).copied().unwrap_or(0);
            let label = BySeverity { severity: severity.as_str().to_owned() };
            self.incidents_open.get_or_create(&label).set(open as i64);
        }
        for (signal, tally) in tallies {
            let label = by(signal);
            self.series.get_or_create(&label).set(tally.series as i64);
            self.warming.get_or_create(&label).set(tally.warming as i64);
            self.anomalous.get_or_create(&label).set(tally.anomalous as i64);
            self.lost.get_or_create(&label).set(tally.lost as i64);
            raise(&self.judged, &label, tally.judged_total);
            raise(&self.outside, &label, tally.outside_total);
            raise(&self.repeated, &label, tally.repeated_total);
            raise(&self.untracked, &label, tally.untracked_total);
            raise(&self.evicted, &label, tally.evicted_total);
        }
    }

    /// Brings the model's counters up to what was counted.
    pub(super) fn model(&self, model: &ModelStatus) {
        let up_to = |counter: &Counter, total: u64| {
            counter.inc_by(total.saturating_sub(counter.get()));
        };
        up_to(&self.llm_questions, model.questions_total);
        up_to(&self.llm_cached, model.cached_total);
        up_to(&self.llm_requests, model.requests_total);
        for (direction, total) in
            [("prompt", model.prompt_tokens_total), ("completion", model.completion_tokens_total)]
        {
            up_to(&self.llm_tokens.get_or_create(&ByDirection { direction: direction.to_owned() }), total);
        }
        for (reason, total) in &model.fallbacks_total {
            up_to(&self.llm_fallbacks.get_or_create(&ByReason { reason: (*reason).to_owned() }), *total);
        }
    }
}

fn by(signal: &SignalName) -> BySignal {
    BySignal { signal: signal.to_string() }
}

/// A rebuilt engine counts from zero; the counter must not go back, so it only ever rises.
fn raise(counters: &Family<BySignal, Counter>, label: &BySignal, total: u64) {
    let counter = counters.get_or_create(label);
    counter.inc_by(total.saturating_sub(counter.get()));
}

//! What the pipeline tells its metrics, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;

use super::catalogue::{ByDirection, ByFailure, ByPhase, ByReason, BySeverity, BySignal, Metrics};
use crate::detect::Tally;
use crate::engine::{Engine, Event, SystemEvent};
use crate::incident;
use crate::runtime::pipeline::PollNews;
use crate::runtime::status::ModelStatus;
use crate::series::SignalName;
use crate::source::{Backend, SourceError};
use crate::time::Timestamp;

impl Metrics {
    /// Begins a signal's series: an alert on what never happened needs a value to look at, and `increase` sees the first
    /// of its kind only where there was a zero before.
    pub(in crate::runtime) fn begun(&self, signal: &SignalName, now: Timestamp) {
        self.anomalies.get_or_create(&by(signal)).inc_by(0);
        self.rebased.get_or_create(&by(signal)).inc_by(0);
        self.last_success.get_or_create(&by(signal)).set(now.as_seconds());
        self.missed.get_or_create(&by(signal)).inc_by(0);
        self.source_degraded.get_or_create(&by(signal)).set(0);
        self.failures_in_a_row.get_or_create(&by(signal)).set(0);
        self.held.get_or_create(&by(signal)).inc_by(0);
    }

    pub(in crate::runtime) fn answered(&self, signal: &SignalName, news: &PollNews) {
        let label = by(signal);
        self.failures_in_a_row.get_or_create(&label).set(0);
        self.query_seconds.get_or_create(&label).observe(news.seconds);
        self.not_values.get_or_create(&label).inc_by(news.not_values as u64);
        self.warnings.get_or_create(&label).inc_by(news.warnings.len() as u64);
        self.without_service.get_or_create(&label).set(news.without_service as i64);
    }

    /// Tells which backend answers; of one that was replaced nothing stays.
    pub(in crate::runtime) fn source(&self, backend: Option<&Backend>) {
        self.source_info.tell(backend);
    }

    pub(in crate::runtime) fn held(&self, signal: &SignalName) {
        self.held.get_or_create(&by(signal)).inc();
    }

    pub(in crate::runtime) fn source_up(&self, is_up: bool) {
        self.source_up.set(i64::from(is_up));
    }

    pub(in crate::runtime) fn clock_skew(&self, ms: i64) {
        self.clock_skew.set(ms as f64 / 1000.0);
    }

    pub(in crate::runtime) fn pulse_gaps(&self, steps: u64) {
        self.pulse_gaps.inc_by(steps);
    }

    pub(in crate::runtime) fn pulse_usable(&self, is_usable: bool) {
        self.pulse_usable.set(i64::from(is_usable));
    }

    pub(in crate::runtime) fn failed(&self, signal: &SignalName, kind: &str, in_a_row: u32) {
        self.failures_in_a_row.get_or_create(&by(signal)).set(i64::from(in_a_row));
        let label = ByFailure { signal: signal.to_string(), kind: kind.to_owned() };
        self.query_failures.get_or_create(&label).inc();
    }

    pub(in crate::runtime) fn missed(&self, signal: &SignalName, slots: u64) {
        self.missed.get_or_create(&by(signal)).inc_by(slots);
    }

    /// Ends a signal's series: nobody watches it any more, and an alert on its age would never end.
    pub(in crate::runtime) fn forget(&self, signal: &SignalName, told: &mut Told) {
        let label = by(signal);
        self.query_seconds.remove(&label);
        for family in [&self.last_success, &self.judged_through] {
            family.remove(&label);
        }
        for family in [
            &self.series,
            &self.warming,
            &self.anomalous,
            &self.lost,
            &self.source_degraded,
            &self.without_service,
            &self.failures_in_a_row,
        ] {
            family.remove(&label);
        }
        for family in [
            &self.missed,
            &self.not_values,
            &self.warnings,
            &self.judged,
            &self.outside,
            &self.usual,
            &self.low_traffic,
            &self.unsettled,
            &self.held,
            &self.repeated,
            &self.untracked,
            &self.evicted,
            &self.anomalies,
            &self.rebased,
        ] {
            family.remove(&label);
        }
        for kind in SourceError::KINDS {
            let label = ByFailure { signal: signal.to_string(), kind: kind.to_owned() };
            self.query_failures.remove(&label);
        }
        self.bands.hide(signal);
        told.0.remove(signal);
    }

    /// What was judged is written down.
    pub(in crate::runtime) fn judged(&self, signal: &SignalName, through: Timestamp, now: Timestamp) {
        self.judged_through.get_or_create(&by(signal)).set(through.as_seconds());
        self.last_success.get_or_create(&by(signal)).set(now.as_seconds());
    }

    pub(in crate::runtime) fn queue_length(&self, length: usize) {
        self.queue_length.set(length as i64);
    }

    pub(in crate::runtime) fn committed(&self, took: Duration, is_written: bool) {
        self.evaluation_seconds.observe(took.as_secs_f64());
        if !is_written {
            self.commit_failures.inc();
        }
    }

    pub(in crate::runtime) fn happened(&self, event: &Event) {
        match event {
            Event::Incident(incident::Event::Opened { member, assessment, .. }) => {
                self.anomalies.get_or_create(&by(&member.key.signal)).inc();
                let severity = assessment.severity.as_str().to_owned();
                self.incidents_opened.get_or_create(&BySeverity { severity }).inc();
            }
            Event::Incident(incident::Event::SourceOpened { assessment, .. }) => {
                let severity = assessment.severity.as_str().to_owned();
                self.incidents_opened.get_or_create(&BySeverity { severity }).inc();
            }
            Event::Incident(incident::Event::Joined { member }) => {
                self.anomalies.get_or_create(&by(&member.key.signal)).inc();
            }
            Event::System(SystemEvent::SeriesRebased(rebased)) => {
                self.rebased.get_or_create(&by(&rebased.key.signal)).inc();
            }
            Event::Incident(incident::Event::Resolved { .. }) => {
                self.incidents_resolved.inc();
            }
            Event::Incident(
                incident::Event::Worsened { .. }
                | incident::Event::MemberEnded { .. }
                | incident::Event::OutageJoined { .. }
                | incident::Event::OutageEnded { .. }
                | incident::Event::SeverityChanged { .. }
                | incident::Event::AnalysisRequested { .. },
            )
            | Event::Diagnosed(_)
            | Event::Captured(_)
            | Event::System(_) => {}
        }
    }

    /// Sets the gauges, and adds to the counters what was counted since they were last told.
    pub(in crate::runtime) fn stands(&self, engine: &Engine, told: &mut Told, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
        for severity in incident::Severity::ALL {
            let open = engine.open_incidents().filter(|incident| incident.assessment.severity == severity);
            let label = BySeverity { severity: severity.as_str().to_owned() };
            self.incidents_open.get_or_create(&label).set(open.count() as i64);
            self.incidents_opened.get_or_create(&label).inc_by(0);
        }
        for phase in ["detected", "analyzing", "diagnosed"] {
            let inside = engine.open_incidents().filter(|incident| incident.phase.as_str() == phase);
            let label = ByPhase { phase: phase.to_owned() };
            self.incidents_phase.get_or_create(&label).set(inside.count() as i64);
        }
        let degraded: Vec<&SignalName> = engine.degraded().collect();
        for (signal, tally) in engine.tallies() {
            let is_degraded = degraded.contains(&&signal);
            self.source_degraded.get_or_create(&by(&signal)).set(i64::from(is_degraded));
            self.tell(&signal, tally, told);
        }
    }

    fn tell(&self, signal: &SignalName, tally: Tally, told: &mut Told) {
        let label = by(signal);
        self.series.get_or_create(&label).set(tally.series as i64);
        self.warming.get_or_create(&label).set(tally.warming as i64);
        self.anomalous.get_or_create(&label).set(tally.anomalous as i64);
        self.lost.get_or_create(&label).set(tally.lost as i64);
        let before = told.0.insert(signal.clone(), tally).unwrap_or_default();
        for (counters, total, before) in [
            (&self.judged, tally.judged_total, before.judged_total),
            (&self.outside, tally.outside_total, before.outside_total),
            (&self.usual, tally.usual_total, before.usual_total),
            (&self.low_traffic, tally.low_traffic_total, before.low_traffic_total),
            (&self.unsettled, tally.unsettled_total, before.unsettled_total),
            (&self.repeated, tally.repeated_total, before.repeated_total),
            (&self.untracked, tally.untracked_total, before.untracked_total),
            (&self.evicted, tally.evicted_total, before.evicted_total),
        ] {
            // A rebuilt engine counts from zero: all that it has counted is new.
            counters.get_or_create(&label).inc_by(total.checked_sub(before).unwrap_or(total));
        }
    }

    /// Brings the model's counters up to what was counted.
    pub(in crate::runtime) fn model(&self, model: &ModelStatus) {
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

/// What the counters were last told, by signal.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Told(BTreeMap<SignalName, Tally>);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::telemetry::Registry;

    #[test]
    fn nothing_stays_of_a_signal_that_is_gone() {
        let mut registry = Registry::new();
        let metrics = Metrics::new(&mut registry);
        let mut told = Told::default();
        let now = Timestamp::from_millis(1_000);
        let families = |text: &str, signal: &str| -> BTreeSet<String> {
            let label = format!("signal=\"{signal}\"");
            let lines = text.lines().filter(|line| line.contains(&label));
            lines.filter_map(|line| Some(line.split_once('{')?.0.to_owned())).collect()
        };
        for signal in ["stays", "goes"].map(SignalName::new) {
            metrics.begun(&signal, now);
            metrics.answered(&signal, &PollNews::default());
            metrics.held(&signal);
            metrics.missed(&signal, 1);
            for kind in SourceError::KINDS {
                metrics.failed(&signal, kind, 1);
            }
            metrics.judged(&signal, now, now);
            metrics.tell(&signal, Tally::default(), &mut told);
            metrics.bands.show_one(&signal);
        }
        let before = registry.encode();
        // Each family that the reference lists with this label was begun above.
        let listed = registry.reference().lines().filter(|line| line.contains("`signal`")).count();
        assert!(listed > 15, "{}", registry.reference());
        let begun: BTreeSet<String> = before
            .lines()
            .filter(|line| line.contains("signal=\"goes\""))
            .filter_map(|line| line.split_once('{'))
            .map(|(name, _)| {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .fold(name, |name, end| name.strip_suffix(end).unwrap_or(name))
                    .to_owned()
            })
            .collect();
        assert_eq!(begun.len(), listed, "{begun:?}");

        metrics.forget(&SignalName::new("goes"), &mut told);
        let after = registry.encode();
        assert_eq!(families(&after, "goes"), BTreeSet::new());
        assert_eq!(families(&after, "stays"), families(&before, "stays"));
    }

    #[test]
    fn a_counter_goes_on_when_the_engine_is_rebuilt() {
        let mut registry = Registry::new();
        let metrics = Metrics::new(&mut registry);
        let signal = SignalName::new("cpu");
        let tally = |judged_total| Tally { judged_total, ..Tally::default() };
        let mut told = Told::default();
        for judged in [5, 2, 7] {
            metrics.tell(&signal, tally(judged), &mut told);
        }
        // Five, then a rebuilt engine's two, then five more of those.
        assert!(registry.encode().contains("portent_samples_judged_total{signal=\"cpu\"} 12\n"));
    }
}

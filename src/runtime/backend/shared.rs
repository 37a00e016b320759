//! The shared part: who may ask, what the answers say about the backend itself, and the pulse.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::breaker::{Admission, Breaker, Change};
use super::failure::failure_of;
use super::pulse::Pulse;
use super::skew::{DEAD_BAND_MS, Skew};
use super::standing::{Blame, LEFT_OUT_FOR, Standing};
use crate::engine::Failure;
use crate::runtime::clock::Clock;
use crate::runtime::metrics::Metrics;
use crate::series::{Batch, SignalName};
use crate::source::{
    self, Answer, Limits, Prometheus, ServiceLabels, SignalQuery, SourceError, TimeRange, chunks,
};
use crate::time::{Timestamp, format_duration};

/// The name that the pulse has among the signals, in errors and in what the client remembers. No signal can be called so.
const PULSE: &str = "source.pulse";

impl PulseQuery {
    pub(in crate::runtime) fn of(settings: &source::Settings) -> Self {
        Self { promql: settings.pulse.clone(), limits: settings.limits() }
    }
}

/// How the pulse of a source is asked for.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct PulseQuery {
    /// Empty for none.
    pub(in crate::runtime) promql: String,
    pub(in crate::runtime) limits: Limits,
}

/// One backend as all its pollers see it. Clones are the same.
#[derive(Debug, Clone)]
pub(in crate::runtime) struct Backend {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    client: Prometheus,
    clock: Clock,
    metrics: Metrics,
    query: PulseQuery,
    known: Mutex<Known>,
    /// Held while the pulse is asked for, so that pollers of the same steps wait for one answer.
    pulses: tokio::sync::Mutex<Pulses>,
    /// Rings where those who are held back should look again.
    bell: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Known {
    breaker: Breaker,
    skew: Skew,
    told_skew_ms: i64,
}

#[derive(Debug, Default)]
struct Pulses {
    by_step: BTreeMap<Duration, Pulse>,
    standing: Standing,
}

/// A place among those who ask; given back when it is dropped.
#[derive(Debug)]
pub(in crate::runtime) struct Place {
    backend: Backend,
    signal: SignalName,
}

/// Whether a poll may go out.
#[derive(Debug)]
pub(in crate::runtime) enum Pass {
    /// It may. Dropped when the poll is over, so that another may try where this one came to no end.
    Granted(Trying),
    /// The backend does not answer: somebody looks whether it does again at `until`, or is just looking.
    Held { until: Timestamp, because: String },
}

/// A poll that is out.
#[derive(Debug)]
pub(in crate::runtime) struct Trying(Option<(Backend, SignalName)>);

impl Drop for Trying {
    fn drop(&mut self) {
        if let Some((backend, signal)) = &self.0 {
            let was_open = backend.known().breaker.give_up(signal);
            if was_open {
                // It came to no end: another one may try now, and not only at its own next slot.
                backend.ring();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.backend.known().breaker.leave(&self.signal);
    }
}

impl Backend {
    pub(in crate::runtime) fn new(
        client: Prometheus,
        query: PulseQuery,
        clock: Clock,
        metrics: Metrics,
    ) -> Self {
        metrics.pulse_usable(true);
        let (bell, _) = watch::channel(0);
        let (known, pulses) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { shared: Arc::new(Shared { client, clock, metrics, query, known, pulses, bell }) }
    }

    /// The same backend for whoever reads its past: by the same client, with nothing else in common.
    pub(in crate::runtime) fn apart(&self, metrics: Metrics) -> Self {
        let Shared { client, query, clock, .. } = &*self.shared;
        Self::new(client.clone(), query.clone(), clock.clone(), metrics)
    }

    /// What one request may ask for.
    pub(in crate::runtime) fn limits(&self) -> &Limits {
        &self.shared.query.limits
    }

    /// Takes a place for a signal's poller.
    pub(in crate::runtime) fn join(&self, signal: &SignalName, interval: Duration) -> Place {
        self.known().breaker.join(signal.clone(), interval);
        Place { backend: self.clone(), signal: signal.clone() }
    }

    /// The client that all share.
    pub(in crate::runtime) fn client(&self) -> &Prometheus {
        &self.shared.client
    }

    /// Whether these are the same.
    pub(in crate::runtime) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Rings whenever those who are held back should look again.
    pub(in crate::runtime) fn bell(&self) -> watch::Receiver<u64> {
        self.shared.bell.subscribe()
    }

    /// Whether a signal may ask now.
    pub(in crate::runtime) fn admit(&self, signal: &SignalName) -> Pass {
        let now = self.shared.clock.now();
        let admission = self.known().breaker.admit(signal, now);
        match admission {
            Admission::Ask => Pass::Granted(Trying(None)),
            Admission::Try => Pass::Granted(Trying(Some((self.clone(), signal.clone())))),
            Admission::Held { since, until, because } => {
                let silent = format_duration(now.since(since));
                Pass::Held { until, because: format!("not asked: silent for {silent} ({because})") }
            }
        }
    }

    /// The time on the backend's clock.
    pub(in crate::runtime) fn time_there(&self, here: Timestamp) -> Timestamp {
        Timestamp::from_millis(here.as_millis().saturating_add(self.known().skew.ms()))
    }

    /// Milliseconds by which the backend's clock is ahead of the agent's; 0 where they agree or nothing is known.
    pub(in crate::runtime) fn skew_ms(&self) -> i64 {
        self.known().skew.ms()
    }

    /// The same; `None` where no answer has told.
    pub(in crate::runtime) fn told_skew_ms(&self) -> Option<i64> {
        self.known().skew.told_ms()
    }

    /// Since when the backend has been silent; `None` while it answers.
    pub(in crate::runtime) fn silent_since(&self) -> Option<Timestamp> {
        self.known().breaker.silent_since()
    }

    /// Asks for the steps of a range. An answer lets everybody go who was held back.
    pub(in crate::runtime) async fn range(
        &self,
        query: &SignalQuery,
        range: TimeRange,
    ) -> Result<Answer, SourceError> {
        let asked_at = self.shared.clock.now();
        let answer = self.shared.client.range(query, range).await?;
        let now = self.shared.clock.now();
        let mut known = self.known();
        let change = known.breaker.answered();
        if let Some(served_at) = answer.served_at {
            known.skew.note(served_at, asked_at, now);
            self.tell_skew(&mut known);
        }
        drop(known);
        self.tell(change, now, "");
        Ok(answer)
    }

    /// Takes note that a signal's poll got no answer. Says whether that is the backend's silence, of which the log has
    /// been told, and not this signal's alone.
    pub(in crate::runtime) fn failed(&self, signal: &SignalName, error: &SourceError) -> bool {
        if failure_of(error) != Failure::Backend {
            // A refusal is an answer, unless nothing was sent at all.
            if error.was_answered() {
                let change = self.known().breaker.answered();
                self.tell(change, self.shared.clock.now(), "");
            }
            return false;
        }
        let (now, speed) = (self.shared.clock.now(), self.shared.clock.speed());
        let retry_after = error.retry_after().map(|wish| wish.mul_f64(speed));
        let because = error.to_string();
        let change = self.known().breaker.failed(signal, now, &because, retry_after);
        self.tell(change, now, &because);
        change != Change::None
    }

    fn tell(&self, change: Change, now: Timestamp, because: &str) {
        let name = self.shared.client.name();
        match change {
            Change::None => {
                if because.is_empty() {
                    self.shared.metrics.source_up(true);
                }
                return;
            }
            Change::FellSilent => {
                self.shared.metrics.source_up(false);
                warn!(
                    source = name,
                    "source {name} does not answer; one request at a time tries whether it does again: {because}"
                );
            }
            Change::StillSilent => {}
            Change::Answers { since } => {
                self.shared.metrics.source_up(true);
                let silent = format_duration(Duration::from_secs(now.since(since).as_secs()));
                info!(source = name, "source {name} answers again after {silent}");
            }
        }
        self.ring();
    }

    /// Makes those who are held back look again.
    fn ring(&self) {
        self.shared.bell.send_modify(|rung| *rung = rung.wrapping_add(1));
        self.shared.clock.rouse();
    }

    /// One line where the clocks begin to differ, where they differ by something else, and where they agree again.
    fn tell_skew(&self, known: &mut Known) {
        let skew_ms = known.skew.ms();
        self.shared.metrics.clock_skew(skew_ms);
        let is_new = (skew_ms - known.told_skew_ms).abs() >= DEAD_BAND_MS;
        if !is_new && (skew_ms == 0) == (known.told_skew_ms == 0) {
            return;
        }
        known.told_skew_ms = skew_ms;
        let (name, span) = (self.shared.client.name(), Duration::from_millis(skew_ms.unsigned_abs()));
        let span = format_duration(Duration::from_secs(span.as_secs()));
        match skew_ms {
            0 => info!(source = name, "the clocks of the agent and of source {name} agree"),
            ..0 => warn!(
                source = name,
                "the clock of source {name} is {span} behind the agent's; steps are asked for by the source's"
            ),
            1.. => warn!(
                source = name,
                "the clock of source {name} is {span} ahead of the agent's; steps are asked for by the source's"
            ),
        }
    }

    /// The last step that the backend can have had whole when it gave an answer; `None` where it did not say when that
    /// was. A clock that was set a moment ago is seen here before it is in the estimate.
    pub(in crate::runtime) fn whole_through(&self, answer: &Answer, step: Duration) -> Option<Timestamp> {
        let served_at = answer.served_at?.plus(Duration::from_millis(DEAD_BAND_MS.unsigned_abs()));
        Some(served_at.minus(self.shared.client.delay()).align_down(step))
    }

    /// The gaps among the steps of a range that a signal was just answered, by the pulse.
    ///
    /// # Errors
    /// Where the backend may just have gone away: then these steps cannot be judged yet either. A pulse that it refuses,
    /// or that goes on failing while signals are answered, counts as none for a while, and the log says so.
    pub(in crate::runtime) async fn gaps(
        &self,
        range: TimeRange,
        step: Duration,
    ) -> Result<Vec<TimeRange>, SourceError> {
        let signal_answered_at = self.shared.clock.now();
        let mut pulses = self.shared.pulses.lock().await;
        let is_left_out = pulses.standing.is_left_out(self.shared.clock.now());
        if self.shared.query.promql.is_empty() || is_left_out {
            return Ok(Vec::new());
        }
        let Pulses { by_step, standing } = &mut *pulses;
        let pulse = by_step.entry(step).or_insert_with(|| Pulse::new(step));
        if let Some(unknown) = pulse.unknown(range) {
            match self.ask_pulse(unknown, step).await {
                Ok(parts) => {
                    self.pulse_answered(standing, &parts);
                    pulse.learn(unknown, &parts);
                    let steps: u64 = pulse.gaps(unknown).iter().map(|gap| gap.points(step)).sum();
                    self.shared.metrics.pulse_gaps(steps);
                }
                Err(error) => return self.pulse_failed(standing, error, signal_answered_at),
            }
        }
        Ok(pulse.gaps(range))
    }

    fn pulse_answered(&self, standing: &mut Standing, parts: &[Batch]) {
        let has_value = parts.iter().any(|part| part.sample_count() > 0);
        self.shared.metrics.pulse_usable(has_value);
        if standing.answered() {
            info!("the pulse of the source is answered again");
        }
    }

    fn pulse_failed(
        &self,
        standing: &mut Standing,
        error: SourceError,
        signal_answered_at: Timestamp,
    ) -> Result<Vec<TimeRange>, SourceError> {
        let blame = standing.failed(&error, signal_answered_at, self.shared.clock.now());
        let Blame::Pulse { is_new } = blame else { return Err(error) };
        self.shared.metrics.pulse_usable(false);
        if is_new {
            warn!(
                "the pulse of the source is left out, and asked for again each {}, since signals are answered and it \
                 is not: gaps of the backend are not seen until then; set another source.pulse, or \"\" for none: {error}",
                format_duration(LEFT_OUT_FOR)
            );
        }
        Ok(Vec::new())
    }

    async fn ask_pulse(&self, range: TimeRange, step: Duration) -> Result<Vec<Batch>, SourceError> {
        let query = SignalQuery {
            signal: SignalName::new(PULSE),
            promql: self.shared.query.promql.clone(),
            step,
            service_label: ServiceLabels::none(),
        };
        let mut parts = Vec::new();
        for part in chunks(range, step, 1, &self.shared.query.limits) {
            parts.push(self.range(&query, part).await?.batch);
        }
        Ok(parts)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{any, body_string_contains};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::telemetry::Registry;

    const STEP: Duration = Duration::from_secs(15);

    /// A backend that answers every query but the pulse, which gets this.
    struct Bench {
        backend: Backend,
        registry: Registry,
        _server: MockServer,
    }

    impl Bench {
        async fn start(pulse: ResponseTemplate) -> Self {
            let server = MockServer::start().await;
            let sum_up = body_string_contains("sum%28up%29");
            Mock::given(sum_up).respond_with(pulse).with_priority(1).mount(&server).await;
            let nothing = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
            let answer = ResponseTemplate::new(200).set_body_raw(nothing, "application/json");
            Mock::given(any()).respond_with(answer).mount(&server).await;
            let settings = source::Settings {
                pulse: "sum(up)".to_owned(),
                retries: 0,
                timeout: Duration::from_millis(300),
                kind: Some(source::BackendKind::Prometheus),
                ..source::Settings::for_test(&server.uri())
            };
            let mut registry = Registry::new();
            let metrics = Metrics::new(&mut registry);
            let client = Prometheus::new(&settings).unwrap();
            let backend = Backend::new(client, PulseQuery::of(&settings), Clock::real(), metrics);
            Self { backend, registry, _server: server }
        }

        /// A signal's own steps, which must be answered, and then their gaps.
        async fn poll(&self, step: i64) -> Result<Vec<TimeRange>, SourceError> {
            let at = Timestamp::from_millis(step * 15_000);
            let range = TimeRange::new(at, at).unwrap();
            let query = SignalQuery {
                signal: SignalName::new("errors"),
                promql: "errors".to_owned(),
                step: STEP,
                service_label: ServiceLabels::none(),
            };
            self.backend.range(&query, range).await.unwrap();
            self.backend.gaps(range, STEP).await
        }

        #[track_caller]
        fn check_usable(&self, expected: u8) {
            let text = self.registry.encode();
            let line = format!("portent_source_pulse_usable {expected}\n");
            assert!(text.contains(&line), "{text}");
        }
    }

    #[tokio::test]
    async fn a_pulse_that_only_it_is_forbidden_holds_no_signal_back() {
        for status in [401, 403, 404] {
            let bench = Bench::start(ResponseTemplate::new(status)).await;
            bench.check_usable(1);
            assert_eq!(bench.poll(1).await, Ok(Vec::new()), "{status}");
            bench.check_usable(0);
        }
    }

    #[tokio::test]
    async fn a_pulse_that_goes_on_failing_fails_one_poll_and_no_second() {
        let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(30));
        for answer in [slow, ResponseTemplate::new(500), ResponseTemplate::new(503)] {
            let bench = Bench::start(answer).await;
            bench.poll(1).await.unwrap_err();
            bench.check_usable(1);
            assert_eq!(bench.poll(1).await, Ok(Vec::new()));
            bench.check_usable(0);
            assert_eq!(bench.poll(2).await, Ok(Vec::new()));
        }
    }
}

//! Why a series opened an anomaly at some time, or did not: worked out anew from what the backend still holds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::metrics::Metrics;
use super::poller::history_of;
use super::start::Polled;
use super::status::Handle;
use super::supervisor::Supervisor;
use crate::detect::{Anomaly, Detect, SignalPlan, Trace};
use crate::engine;
use crate::id::Fingerprint;
use crate::series::{Batch, SeriesKey, Service, SignalName};
use crate::source::{SignalQuery, SourceError, TimeRange, chunks};
use crate::telemetry::Registry;
use crate::time::Timestamp;

/// No more history of a signal is read for one answer once it has so many samples of the service's series.
const SAMPLES_ENOUGH: usize = 100_000;
/// And no more than so many requests are made for it.
const REQUESTS_MAX: usize = 30;
/// The backend evaluates at most about so many samples for one answer, of all series of the signal.
const EVALUATED_MAX: u64 = 20_000_000;
/// No season takes longer to be known.
const REACH_MAX: Duration = Duration::from_secs(28 * 24 * 3600);
/// Samples of the signals are judged in turns of so many steps, as they would have come.
const TURN: i64 = 64;
/// Of more series of a service, the first by name are explained.
pub const EXPLAINED_MAX: usize = 20;

/// A signal as it is asked and judged.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) query: SignalQuery,
    pub(super) plan: SignalPlan,
}

impl Watched {
    /// Every signal that is polled, with its plan.
    pub(super) fn all(signals: &[Polled], settings: &engine::Settings) -> Arc<[Self]> {
        let watched = |polled: &Polled| {
            let (_, plan) = settings.signals.iter().find(|(name, _)| *name == polled.query.signal)?;
            Some(Self { query: polled.query.clone(), plan: plan.clone() })
        };
        signals.iter().filter_map(watched).collect()
    }
}

/// What is to be explained.
#[derive(Debug, Clone)]
pub struct Question {
    /// The signal.
    pub signal: SignalName,
    /// The service whose series are meant.
    pub service: Service,
    /// One of them by its hash, where only that is meant.
    pub series: Option<Fingerprint>,
    /// The sample of this time, or the step that it lies in.
    pub at: Timestamp,
}

/// What it takes to answer.
#[derive(Debug, Clone)]
struct Task {
    question: Question,
    signal: Watched,
    /// The signal that tells the traffic, where the plan asks one.
    companion: Option<Watched>,
    samples_a_day: f64,
    /// How many series the signal has now, by which the reach of history is bounded.
    series: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The step that was judged.
    pub at: Timestamp,
    /// The first step of history that was asked for.
    pub history_from: Timestamp,
    /// The series of the service, by labels.
    pub series: Vec<SeriesExplained>,
    /// How many more there are.
    pub left_out: usize,
    /// Samples that were read.
    pub samples: usize,
    /// Range queries that were answered.
    pub requests: usize,
    /// Among so many samples a day, over all series of now, the expected false openings were shared.
    pub samples_a_day: f64,
    /// Whether an answer about the steps before was partial: samples may have been missing.
    pub is_partial: bool,
}

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesExplained {
    /// Which one.
    pub key: Arc<SeriesKey>,
    /// Its sample of that step, where it has one.
    pub value: Option<f64>,
    /// The anomaly that was open before it.
    pub before: Option<Anomaly>,
    /// What every gate said.
    pub trace: Trace,
}

/// A question that has no answer.
#[derive(Debug, thiserror::Error)]
pub enum NotExplained {
    /// The agent has no backend that it could ask, as where a recording is replayed.
    #[error("the agent asks no backend")]
    NoBackend,
    /// The signal is not watched.
    #[error("no signal is called {0}")]
    Unwatched(SignalName),
    /// The backend does not give it.
    #[error("the history up to {at} cannot be read: {because}")]
    Unread {
        /// The step that was meant.
        at: Timestamp,
        /// Why, with the source and the query.
        because: SourceError,
    },
    /// No series of the service has a sample in what was read.
    #[error("no series of service {service:?} has a sample from {from} to {at}")]
    Nothing {
        /// The service.
        service: String,
        /// The first step that was read.
        from: Timestamp,
        /// The step that was meant.
        at: Timestamp,
    },
    /// The thread that judged was ended.
    #[error("the run over the history was ended by a defect")]
    Worker,
}

impl Handle {
    /// Reads the history of a service's series up to a step, judges it as the agent would have, and says what every gate
    /// made of the sample of that step. Nothing later is read.
    ///
    /// # Errors
    /// Where the backend does not give the history, or it has nothing of the service.
    pub async fn explain(&self, question: Question) -> Result<Explained, NotExplained> {
        let backend = self.source.as_ref().ok_or(NotExplained::NoBackend)?.borrow().clone();
        let task = self.task(question)?;
        let at = task.question.at.align_down(task.signal.query.step);
        // With the clock and the limits of the agent, and with a pulse of its own: this reads the past, and pollers do not.
        let backend = backend.apart(Metrics::new(&mut Registry::new()));
        let reach = reach(&task);
        let mut reader = Reader { backend, service: &task.question.service, at, samples: 0, requests: 0 };
        let signal = reader.read(&task.signal, reach).await?;
        if signal.series.is_empty() {
            let service = shown(&task.question.service);
            return Err(NotExplained::Nothing { service, from: signal.from, at });
        }
        let companion = match &task.companion {
            Some(companion) => Some(reader.read(companion, reach).await?),
            None => None,
        };
        let (samples, requests) = (reader.samples, reader.requests);
        let (history_from, is_partial) = (signal.from, !signal.partial_through.is_empty());
        let samples_a_day = task.samples_a_day;
        let judged = Supervisor::new().compute(move || judge(&task, at, signal, companion)).await;
        let (series, left_out) = judged.ok_or(NotExplained::Worker)?;
        Ok(Explained { at, history_from, series, left_out, samples, requests, samples_a_day, is_partial })
    }

    fn task(&self, question: Question) -> Result<Task, NotExplained> {
        let watched = self.watched.borrow().clone();
        let of = |name: &SignalName| watched.iter().find(|one| one.query.signal == *name).cloned();
        let signal = of(&question.signal).ok_or_else(|| NotExplained::Unwatched(question.signal.clone()))?;
        let companion = signal.plan.asks_volume_of().next().and_then(of);
        let status = self.status();
        let own = status.signals.iter().find(|own| own.name == question.signal);
        let tally = own.map(|own| own.tally).unwrap_or_default();
        let (samples_a_day, series) = (tally.samples_a_day as f64, tally.series);
        Ok(Task { question, signal, companion, samples_a_day, series })
    }
}

/// How far back it is read: as far as seasons need, as long as the backend is not asked for too much; and at least as far
/// as an agent reads that starts.
fn reach(task: &Task) -> Duration {
    let Watched { query, plan } = &task.signal;
    let steps = EVALUATED_MAX / task.series.max(1) as u64;
    let affordable = query.step.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
    affordable.min(REACH_MAX).max(history_of(plan))
}

/// A series with its samples: milliseconds UTC and value, in order.
type Samples = (Arc<SeriesKey>, Vec<(i64, f64)>);

/// What was read of one signal.
struct Read {
    plan: SignalPlan,
    signal: SignalName,
    from: Timestamp,
    /// By labels.
    series: BTreeMap<String, Samples>,
    gaps: Vec<TimeRange>,
    partial_through: Vec<Timestamp>,
}

struct Reader<'a> {
    backend: Backend,
    service: &'a Service,
    at: Timestamp,
    samples: usize,
    requests: usize,
}

impl Reader<'_> {
    async fn read(&mut self, watched: &Watched, reach: Duration) -> Result<Read, NotExplained> {
        let step = watched.query.step;
        let at = self.at;
        let through = at.align_down(step);
        let from = through.minus(reach).align_down(step);
        let mut read = Read {
            plan: watched.plan.clone(),
            signal: watched.query.signal.clone(),
            from,
            series: BTreeMap::new(),
            gaps: Vec::new(),
            partial_through: Vec::new(),
        };
        let Some(range) = TimeRange::new(from, through) else { return Ok(read) };
        let mut query = narrowed(&watched.query, self.service);
        let unread = |because| NotExplained::Unread { at, because };
        // The newest first: where there is more than can be judged, the oldest is left out.
        let mut batches = Vec::new();
        let mut samples = 0;
        let parts = chunks(range, step, EXPLAINED_MAX, self.backend.limits());
        for part in parts.into_iter().rev().take(REQUESTS_MAX) {
            let mut answer = self.backend.range(&query, part).await;
            let may_be_refused = query != watched.query;
            let is_refused =
                |error: &SourceError| may_be_refused && error.was_answered() && !error.is_retryable();
            if answer.as_ref().is_err_and(is_refused) {
                // Not every backend takes all of PromQL: then all services come, and the others are dropped here.
                query = watched.query.clone();
                answer = self.backend.range(&query, part).await;
            }
            let answer = answer.map_err(unread)?;
            self.requests += 1;
            read.gaps.extend(self.backend.gaps(part, step).await.map_err(unread)?);
            if answer.partial.is_some() {
                read.partial_through.push(part.end());
            }
            read.from = part.start();
            let of_service = answer.batch.rows().filter(|row| row.key.service == *self.service);
            samples += of_service.map(|row| row.times_ms.len()).sum::<usize>();
            batches.push(answer.batch);
            if samples >= SAMPLES_ENOUGH {
                break;
            }
        }
        read.partial_through.sort();
        self.samples += samples;
        batches.iter().rev().for_each(|batch| self.take(batch, &mut read));
        Ok(read)
    }

    /// Takes the service's series of an answer; answers come in order of time.
    fn take(&self, batch: &Batch, read: &mut Read) {
        for row in batch.rows().filter(|row| row.key.service == *self.service) {
            let samples = row.times_ms.iter().copied().zip(row.values.iter().copied());
            let (_, held) = read
                .series
                .entry(row.key.labels.to_string())
                .or_insert_with(|| (Arc::clone(row.key), Vec::new()));
            held.extend(samples);
        }
    }
}

/// The same query for one service only, where its labels can be told from its name: so the answer holds no others.
fn narrowed(query: &SignalQuery, service: &Service) -> SignalQuery {
    let names: Vec<&str> = query.service_label.names().collect();
    let values: Vec<&str> = match names.len() {
        1 => vec![service.as_str()],
        _ => service.as_str().split('/').collect(),
    };
    if names.is_empty() || names.len() != values.len() {
        return query.clone();
    }
    let labelled = names.iter().zip(&values).fold("vector(1)".to_owned(), |inner, (name, value)| {
        // In a replacement, a dollar sign names a group.
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('$', "$$");
        format!("label_replace({inner}, \"{name}\", \"{value}\", \"\", \"\")")
    });
    // A query may end with a comment.
    let promql = format!("(\n{}\n) and on ({}) {labelled}", query.promql, names.join(", "));
    SignalQuery { promql, ..query.clone() }
}

fn judge(task: &Task, at: Timestamp, signal: Read, companion: Option<Read>) -> (Vec<SeriesExplained>, usize) {
    let reads: Vec<Read> = companion.into_iter().chain([signal]).collect();
    let mut detect = Detect::new(reads.iter().map(|read| (read.signal.clone(), read.plan.clone())));
    detect.share_as(&task.signal.query.signal, task.samples_a_day);
    let turn_ms = i64::try_from(task.signal.query.step.as_millis()).unwrap_or(i64::MAX).saturating_mul(TURN);
    let never_muted = Timestamp::from_millis(i64::MIN);
    for gap in reads.iter().flat_map(|read| &read.gaps) {
        detect.gap(gap.start(), gap.end());
    }
    let own = &task.signal.query.signal;
    let Some(last) = reads.last() else { return (Vec::new(), 0) };
    let mut taken: Vec<BTreeMap<Fingerprint, usize>> = reads.iter().map(|_| BTreeMap::new()).collect();
    let mut from_ms = last.from.as_millis();
    // The sample of the step itself is not judged but asked about.
    let end_ms = at.as_millis();
    while from_ms < end_ms {
        let until_ms = from_ms.saturating_add(turn_ms).min(end_ms);
        for (read, taken) in reads.iter().zip(&mut taken) {
            // A companion is known at the step itself.
            let is_own = read.signal == *own;
            let before_ms = if is_own { until_ms } else { until_ms.saturating_add(1) };
            let batch = turn(read, taken, before_ms);
            for partial in read.partial_through.iter().filter(|at| at.as_millis() < before_ms) {
                detect.excuse(&read.signal, *partial);
            }
            detect.judge(&batch, never_muted);
            detect.close(&read.signal, Timestamp::from_millis(before_ms - 1), never_muted);
        }
        from_ms = until_ms;
    }
    if let Some(partial) = last.partial_through.iter().rfind(|through| **through >= at) {
        detect.excuse(own, *partial);
    }
    let explained = |(key, samples): &Samples| {
        let value = samples.iter().rfind(|(at_ms, _)| *at_ms == end_ms).map(|(_, value)| *value);
        let before = detect.state_of(key).and_then(|(anomaly, _)| anomaly);
        let trace = detect.explain(key, at, value)?;
        Some(SeriesExplained { key: Arc::clone(key), value, before, trace })
    };
    let wanted = |(key, _): &&Samples| task.question.series.is_none_or(|series| key.hash == series);
    let all = last.series.values().filter(wanted).count();
    let series = last.series.values().filter(wanted).take(EXPLAINED_MAX).filter_map(explained).collect();
    (series, all.saturating_sub(EXPLAINED_MAX))
}

/// The samples before a time that were not handed out yet.
fn turn(read: &Read, taken: &mut BTreeMap<Fingerprint, usize>, before_ms: i64) -> Batch {
    let mut batch = Batch::new(read.signal.clone());
    for (key, samples) in read.series.values() {
        let place = taken.entry(key.hash).or_default();
        let left = samples.get(*place..).unwrap_or_default();
        let due = left.partition_point(|(at_ms, _)| *at_ms < before_ms);
        if due == 0 {
            continue;
        }
        batch.begin_row(Arc::clone(key));
        for (at_ms, value) in left.iter().take(due) {
            batch.push(Timestamp::from_millis(*at_ms), *value);
        }
        *place += due;
    }
    batch
}

fn shown(service: &Service) -> String {
    service.as_str().chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::check_promql;

    fn narrow(labels: &str, service: &str) -> String {
        let query = SignalQuery {
            signal: SignalName::new("errors"),
            promql: "rate(errors_total[5m]) # by service".to_owned(),
            step: Duration::from_secs(15),
            service_label: labels.parse().unwrap(),
        };
        narrowed(&query, &Service::new(service)).promql
    }

    #[test]
    fn only_the_service_is_asked_for() {
        let one = narrow("service", "a/b");
        assert!(
            one.ends_with(r#") and on (service) label_replace(vector(1), "service", "a/b", "", "")"#),
            "{one}"
        );
        let two = narrow("namespace/app", "shop/checkout");
        assert!(
            two.contains(r#"on (namespace, app) label_replace(label_replace(vector(1), "namespace", "shop""#),
            "{two}"
        );
        assert_eq!(narrow("namespace/app", "checkout"), "rate(errors_total[5m]) # by service");
        for service in ["a", "quo\"te", "back\\slash", "dollar$1", "line\nbreak", "ü"] {
            assert_eq!(check_promql(&narrow("service", service)), Ok(()), "{service}");
        }
    }

    #[test]
    fn history_reaches_as_far_as_the_backend_can_bear() {
        let watched = |step: u64| Watched {
            query: SignalQuery { step: Duration::from_secs(step), ..query() },
            plan: SignalPlan { step: Duration::from_secs(step), ..plan() },
        };
        let question = |step, series| Task {
            question: Question {
                signal: SignalName::new("errors"),
                service: Service::new("a"),
                series: None,
                at: Timestamp::from_millis(0),
            },
            signal: watched(step),
            companion: None,
            samples_a_day: 1.0,
            series,
        };
        assert_eq!(reach(&question(15, 5)), REACH_MAX);
        assert_eq!(reach(&question(15, 10_000)), Duration::from_secs(2_000 * 15));
        let least = history_of(&plan());
        assert_eq!(reach(&question(15, 10_000_000)), least);
    }

    fn query() -> SignalQuery {
        SignalQuery {
            signal: SignalName::new("errors"),
            promql: "errors".to_owned(),
            step: Duration::from_secs(15),
            service_label: "service".parse().unwrap(),
        }
    }

    fn plan() -> SignalPlan {
        SignalPlan {
            settings: crate::detect::Settings::default(),
            kind: crate::detect::Kind::Errors,
            step: Duration::from_secs(15),
            window: Duration::ZERO,
            series_limit: 100,
            overrides: Vec::new(),
        }
    }
}

//! Polls one signal: its history first, then at each slot the steps that were not seen yet.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::clock::Clock;
use super::metrics::Metrics;
use super::pipeline::{Message, PollNews, Tagged};
use crate::detect::SignalPlan;
use crate::engine::{Coverage, Failure, Input};
use crate::schedule::{Schedule, Slot};
use crate::source::{Answer, Limits, Prometheus, SignalQuery, SourceError, TimeRange, chunks};
use crate::time::Timestamp;

/// History is read back at most so far, whatever was missed: older samples would find no incident that still matters.
const HISTORY_MAX: Duration = Duration::from_secs(24 * 3600);

/// A baseline is warm after four windows: the window itself, and enough beyond it to know the noise.
const WINDOWS_OF_HISTORY: u32 = 4;

/// How soon history is asked for again where the backend did not answer.
const RETRY_HISTORY_AFTER: Duration = Duration::from_secs(5);

/// After answers that were too large, requests are planned for at most so many series.
const SERIES_PLANNED_MAX: usize = 1_000_000;

/// What a poller needs to know about its signal.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Assignment {
    pub(super) query: SignalQuery,
    pub(super) interval: Duration,
    pub(super) delay: Duration,
    /// How much history the signal's detectors want.
    pub(super) history: Duration,
    pub(super) limits: Limits,
    /// The last step that was judged before this process started.
    pub(super) judged_through: Option<Timestamp>,
}

/// What a poller is told to do, and whom to ask.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    pub(super) assignment: Assignment,
    pub(super) source: Prometheus,
}

impl Orders {
    /// Whether these are the same. How far the signal was judged when they were given is no part of them.
    pub(super) fn are(&self, other: &Self) -> bool {
        let judged_through = self.assignment.judged_through;
        self.source.is(&other.source)
            && self.assignment == Assignment { judged_through, ..other.assignment.clone() }
    }
}

/// Polls one signal until the engine's queue closes.
#[derive(Debug)]
pub(super) struct Poller {
    pub(super) assignment: Assignment,
    pub(super) source: Prometheus,
    /// What replaces both while it runs.
    pub(super) orders: watch::Receiver<Orders>,
    pub(super) clock: Clock,
    pub(super) engine: mpsc::Sender<Tagged>,
    /// Counts how often the engine was rebuilt: history is due again each time.
    pub(super) generation: watch::Receiver<u64>,
    pub(super) metrics: Metrics,
}

/// What a poller has done so far in this generation.
#[derive(Debug, Clone, Copy)]
struct Progress {
    generation: u64,
    /// The last step that was handed to the engine.
    seen: Option<Timestamp>,
    /// The first step that was asked for since a slot was last closed: an answer may come in parts over several slots.
    unclosed_from: Option<Timestamp>,
    /// How many series the last answer had: what the next one is planned by.
    series: usize,
    failures: u32,
    /// Whether the log has been told that answers hold nothing to judge, or hold warnings.
    noted_unusable: bool,
    noted_warnings: bool,
}

impl Poller {
    /// Polls slot after slot. Ends when nobody takes what it polls.
    pub(super) async fn run(mut self) {
        let mut schedule = self.schedule();
        let mut progress = self.begin();
        // History is not part of the schedule: it is due at once.
        let mut slot = Slot { at: self.clock.now(), missed: 0 };
        let mut is_scheduled = false;
        loop {
            if !self.poll(slot, &mut progress).await {
                return;
            }
            let now = self.clock.now();
            slot = if is_scheduled { schedule.after(slot, now) } else { schedule.first(now) };
            is_scheduled = true;
            if progress.seen.is_none() {
                // Without history nothing is judged: try again soon, not only at the next slot.
                let patience = RETRY_HISTORY_AFTER.saturating_mul(1 << progress.failures.min(6));
                let soon = now.plus(patience.min(self.assignment.interval.max(RETRY_HISTORY_AFTER)));
                is_scheduled = slot.at <= soon;
                slot = Slot { at: slot.at.min(soon), missed: 0 };
            }
            self.metrics.missed(&self.assignment.query.signal, slot.missed);
            tokio::select! {
                () = self.clock.sleep_until(slot.at) => {}
                changed = self.generation.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    progress = self.begin();
                    slot = Slot { at: self.clock.now(), missed: 0 };
                    is_scheduled = false;
                }
                changed = self.orders.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    // How far it has come in its signal's steps stays; the next poll is due at once.
                    let Orders { assignment, source } = self.orders.borrow_and_update().clone();
                    (self.assignment, self.source) = (assignment, source);
                    schedule = self.schedule();
                    slot = Slot { at: self.clock.now(), missed: 0 };
                    is_scheduled = false;
                }
            }
        }
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(&self.assignment.query.signal, self.assignment.interval)
    }

    fn begin(&mut self) -> Progress {
        let generation = *self.generation.borrow_and_update();
        Progress {
            generation,
            seen: None,
            unclosed_from: None,
            series: 0,
            failures: 0,
            noted_unusable: false,
            noted_warnings: false,
        }
    }

    /// Asks for what is due at a slot and hands it on; `false` where nobody takes it any more.
    async fn poll(&mut self, slot: Slot, progress: &mut Progress) -> bool {
        // A backend that is known may want a longer delay than the configured one.
        self.assignment.delay = self.source.query_delay().await;
        let Some(range) = self.due(slot, progress) else { return true };
        let mut news = PollNews { missed: slot.missed, ..PollNews::default() };
        let begun = self.clock.now();
        let outcome = self.fetch(range, progress, &mut news).await;
        news.seconds = self.clock.now().since(begun).as_secs_f64() / self.clock.speed();
        news.at = slot.at;
        let signal = self.assignment.query.signal.clone();
        match outcome {
            Ok(Delivered::Yes) => {
                if progress.failures > 0 {
                    info!(signal = %signal, "signal {signal} is answered again after {} failures", progress.failures);
                }
                progress.failures = 0;
                self.metrics.answered(&signal, &news);
                self.metrics.source(self.source.backend().as_ref());
                self.note_unusable(&news, progress);
            }
            Ok(Delivered::NobodyThere) => return false,
            Err(error) => {
                // One line when it begins; after that the metric and the status tell how it goes on.
                if progress.failures == 0 {
                    warn!(signal = %signal, error.kind = error.kind(), "poll failed: {error}");
                }
                progress.failures = progress.failures.saturating_add(1);
                if matches!(error.kind(), "limit" | "timeout") {
                    // Perhaps there were more series then than there are now: ask for less at once.
                    progress.series = progress.series.max(1).saturating_mul(4).min(SERIES_PLANNED_MAX);
                }
                self.metrics.failed(&signal, error.kind());
                news.error = Some(error.to_string());
                let failure = match error.is_retryable() {
                    true => Failure::Backend,
                    false => Failure::Query,
                };
                let failed = Input::PollFailed {
                    signal: signal.clone(),
                    slot: slot.at,
                    failure,
                    because: error.to_string(),
                };
                if !self.send(progress.generation, Message::Input(failed)).await {
                    return false;
                }
            }
        }
        self.send(progress.generation, Message::Polled(signal, news)).await
    }

    /// Says once what a person would otherwise find out much later: a query that gives nothing to judge looks well.
    fn note_unusable(&self, news: &PollNews, progress: &mut Progress) {
        let (signal, labels) = (&self.assignment.query.signal, &self.assignment.query.service_label);
        let is_unusable = progress.series == 0 || news.without_service > 0;
        if is_unusable && !progress.noted_unusable {
            match news.without_service {
                0 => {
                    warn!(%signal, "the query of signal {signal} returns no series, so nothing of it is judged")
                }
                count => warn!(
                    %signal,
                    "{count} series of signal {signal} lack the label {labels} and are left out; name another by service_label"
                ),
            }
        }
        if let Some(warning) = news.warnings.first().filter(|_| !progress.noted_warnings) {
            warn!(%signal, "the backend warns about signal {signal}: {warning}");
        }
        progress.noted_unusable = is_unusable;
        progress.noted_warnings = !news.warnings.is_empty();
    }

    /// The steps to ask for: history where there is none yet, else those after the last one seen.
    fn due(&self, slot: Slot, progress: &Progress) -> Option<TimeRange> {
        let Assignment { query, delay, history, judged_through, .. } = &self.assignment;
        let oldest = slot.at.minus(HISTORY_MAX);
        let after = match progress.seen {
            Some(seen) => seen.max(oldest),
            None => {
                let from = judged_through.unwrap_or(slot.at).min(slot.at.minus(*delay));
                from.minus(*history)
                    .max(oldest.min(slot.at.minus(*delay).minus(*history)))
                    .align_down(query.step)
            }
        };
        TimeRange::unseen(after, slot.at, *delay, query.step)
    }

    async fn fetch(
        &mut self,
        range: TimeRange,
        progress: &mut Progress,
        news: &mut PollNews,
    ) -> Result<Delivered, SourceError> {
        let query = self.assignment.query.clone();
        if progress.series == 0 && range.start() < range.end() {
            // How many series there are decides how much may be asked for at once; one step is one request anyway.
            let newest = TimeRange::last_points(range.end(), Duration::ZERO, query.step, 1);
            progress.series = self.source.range(&query, newest).await?.batch.series_count();
        }
        let from = *progress.unclosed_from.get_or_insert(range.start());
        for part in chunks(range, query.step, progress.series, &self.assignment.limits) {
            let answer = self.source.range(&query, part).await?;
            progress.series = answer.batch.series_count();
            if !self.hand_on(answer, progress.generation, news).await {
                return Ok(Delivered::NobodyThere);
            }
            progress.seen = Some(part.end());
        }
        let closed = Input::SlotClosed {
            signal: query.signal.clone(),
            from,
            through: range.end(),
            coverage: Coverage::Whole,
        };
        let taken = self.send(progress.generation, Message::Input(closed)).await;
        progress.unclosed_from = None;
        Ok(if taken { Delivered::Yes } else { Delivered::NobodyThere })
    }

    async fn hand_on(&mut self, answer: Answer, generation: u64, news: &mut PollNews) -> bool {
        for warning in &answer.warnings {
            if !news.warnings.contains(warning) {
                news.warnings.push(warning.clone());
            }
        }
        news.not_values += answer.not_values;
        news.without_service = news.without_service.max(answer.without_service);
        for part in answer.batch.into_parts() {
            if !self.send(generation, Message::Input(Input::Batch(part))).await {
                return false;
            }
        }
        true
    }

    async fn send(&self, generation: u64, message: Message) -> bool {
        self.engine.send(Tagged { generation: Some(generation), message }).await.is_ok()
    }
}

/// How much history a signal's detectors want: enough windows to know the noise; and the whole of what may be in trouble
/// before it counts as a new level, with windows before it, or the trouble itself would be taken for the baseline.
pub(super) fn history_of(plan: &SignalPlan) -> Duration {
    let window = plan.step.saturating_mul(plan.settings.baseline_points as u32);
    let trouble = plan.settings.adopt_after.saturating_add(window.saturating_mul(2));
    window.saturating_mul(WINDOWS_OF_HISTORY).max(trouble)
}

/// Whether anybody took what was polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivered {
    Yes,
    NobodyThere,
}

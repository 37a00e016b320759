//! Polls one signal: its history first, then at each slot the steps that were not seen yet.
//!
//! A poll is never doubled: the next slot is looked for when the one before is done, and what passed meanwhile is
//! counted. After a failure the slots stretch; while the backend is silent, one signal asks for all of them.

pub(super) mod appetite;
mod fetch;
mod progress;

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use self::fetch::Stop;
use self::progress::Progress;
use super::backend::{Backend, Pass, Place, asks_too_much, at_least, failure_of, pause, pause_at_start};
use super::clock::Clock;
use super::jumping::Awake;
use super::metrics::Metrics;
use super::pipeline::{Message, PollNews, Tagged};
use crate::detect::SignalPlan;
use crate::engine::{Failure, Input};
use crate::schedule::{Schedule, Slot};
use crate::source::{Limits, SignalQuery, SourceError, TimeRange};
use crate::time::Timestamp;

/// History is read back at most so far, whatever was missed: older samples would find no incident that still matters.
const HISTORY_MAX: Duration = Duration::from_secs(24 * 3600);

/// A baseline is warm after four windows: the window itself, and enough beyond it to know the noise.
const WINDOWS_OF_HISTORY: u32 = 4;

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
    /// The last step that need not be asked for, where state was kept over the restart: then there is no history to read.
    pub(super) resumed_through: Option<Timestamp>,
}

/// What a poller is told to do, and whom to ask.
#[derive(Debug, Clone)]
pub(super) struct Orders {
    pub(super) assignment: Assignment,
    pub(super) backend: Backend,
}

impl Orders {
    /// Whether these are the same. How far the signal was judged when they were given is no part of them.
    pub(super) fn are(&self, other: &Self) -> bool {
        let Assignment { judged_through, resumed_through, .. } = self.assignment;
        self.backend.is(&other.backend)
            && self.assignment == Assignment { judged_through, resumed_through, ..other.assignment.clone() }
    }
}

/// What every poller is made with.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    pub(super) backend: Backend,
    pub(super) clock: Clock,
    pub(super) engine: mpsc::Sender<Tagged>,
    /// Counts how often the engine was rebuilt: history is due again each time.
    pub(super) generation: watch::Receiver<u64>,
    pub(super) metrics: Metrics,
}

/// Polls one signal until the engine's queue closes.
#[derive(Debug)]
pub(super) struct Poller {
    assignment: Assignment,
    feed: Feed,
    /// What replaces the assignment and the backend while it runs.
    orders: watch::Receiver<Orders>,
    bell: watch::Receiver<u64>,
    place: Option<Place>,
    _awake: Awake,
}

/// A poll that is due.
#[derive(Debug, Clone, Copy)]
struct Turn {
    slot: Slot,
    /// Whether it is one of the schedule's, or a look in between whether the backend answers again.
    is_scheduled: bool,
}

/// How a poll went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    Well,
    /// Whose fault it is; the backend wants to be left alone for so long, where it said so.
    Failed {
        failure: Failure,
        retry_after: Option<Duration>,
    },
    /// Not asked; somebody looks whether the backend answers again at this time.
    Held {
        until: Timestamp,
    },
}

/// Nobody takes any more what is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NobodyThere;

/// What ends a wait.
enum Woken {
    Time,
    /// Somebody who was held back may look again.
    Bell,
    Generation,
    /// It is told to do something else.
    Orders,
    TheEnd,
}

impl Poller {
    /// Makes a poller, which takes its place among those who ask at once.
    pub(super) fn new(assignment: Assignment, feed: Feed, orders: watch::Receiver<Orders>) -> Self {
        let place = Some(feed.backend.join(&assignment.query.signal, assignment.interval));
        let (bell, awake) = (feed.backend.bell(), feed.clock.awake());
        Self { assignment, feed, orders, bell, place, _awake: awake }
    }

    /// Takes the newest orders.
    fn obey(&mut self) {
        let Orders { assignment, backend } = self.orders.borrow_and_update().clone();
        // The place is given back before another is taken: perhaps it is one at the same backend.
        drop(self.place.take());
        self.place = Some(backend.join(&assignment.query.signal, assignment.interval));
        self.bell = backend.bell();
        (self.assignment, self.feed.backend) = (assignment, backend);
    }

    /// Polls slot after slot. Ends when nobody takes what it polls.
    pub(super) async fn run(mut self) {
        let mut schedule = self.schedule();
        let mut progress = self.begin();
        // History is not part of the schedule: it is due at once.
        let mut turn = self.look();
        let mut last: Option<Slot> = None;
        loop {
            let Ok(went) = self.poll(turn, &mut progress).await else { return };
            let now = self.feed.clock.now();
            let rested = now.plus(self.rest(went, &progress));
            let next = last.map_or_else(|| schedule.first(rested), |last| schedule.after(last, rested));
            let wake_at = self.sooner(went, &progress).map_or(next.at, |sooner| next.at.min(sooner));
            match self.wait(wake_at, went).await {
                Woken::Time if wake_at == next.at => {
                    last = Some(next);
                    turn = Turn { slot: next, is_scheduled: true };
                    self.feed.metrics.missed(&self.assignment.query.signal, next.missed);
                }
                Woken::Time | Woken::Bell => turn = self.look(),
                Woken::Orders => {
                    // How far it has come in its signal's steps stays; the next poll is due at once.
                    self.obey();
                    schedule = self.schedule();
                    turn = self.look();
                    last = None;
                }
                Woken::Generation => {
                    progress = self.begin();
                    turn = self.look();
                    last = None;
                }
                Woken::TheEnd => return,
            }
        }
    }

    fn schedule(&self) -> Schedule {
        Schedule::new(&self.assignment.query.signal, self.assignment.interval)
    }

    fn begin(&mut self) -> Progress {
        let generation = *self.feed.generation.borrow_and_update();
        // An engine that was built again from the store has no state.
        let resumed = self.assignment.resumed_through.filter(|_| generation == 0);
        Progress { seen: resumed, ..Progress::new(generation) }
    }

    fn look(&self) -> Turn {
        Turn { slot: Slot { at: self.feed.clock.now(), missed: 0 }, is_scheduled: false }
    }

    /// How long no slot is taken after a poll: after failures in a row, what is beyond the interval itself.
    fn rest(&self, went: Went, progress: &Progress) -> Duration {
        let interval = self.assignment.interval;
        match went {
            Went::Failed { retry_after, .. } => {
                at_least(pause(interval, progress.failures), retry_after).saturating_sub(interval)
            }
            Went::Well | Went::Held { .. } => Duration::ZERO,
        }
    }

    /// When to look before the next slot.
    fn sooner(&self, went: Went, progress: &Progress) -> Option<Timestamp> {
        let now = self.feed.clock.now();
        match went {
            Went::Held { until } => (until > now).then_some(until),
            // Without history nothing is judged: try again soon, not only at the next slot.
            Went::Failed { retry_after, .. } if progress.seen.is_none() => {
                let soon = pause_at_start(self.assignment.interval, progress.failures);
                Some(now.plus(at_least(soon, retry_after)))
            }
            Went::Failed { .. } | Went::Well => None,
        }
    }

    async fn wait(&mut self, until: Timestamp, went: Went) -> Woken {
        let listens = match went {
            Went::Well => false,
            Went::Failed { failure: Failure::Backend, .. } => self.feed.backend.silent_since().is_some(),
            // Its own fault is none that another one's answer mends; and two of them would wake each other for ever.
            Went::Failed { failure: Failure::Query | Failure::Agent, .. } => false,
            Went::Held { .. } => true,
        };
        tokio::select! {
            biased;
            changed = self.feed.generation.changed() => match changed {
                Ok(()) => Woken::Generation,
                Err(_) => Woken::TheEnd,
            },
            changed = self.orders.changed() => match changed {
                Ok(()) => Woken::Orders,
                Err(_) => Woken::TheEnd,
            },
            rung = self.bell.changed(), if listens => match rung {
                Ok(()) => Woken::Bell,
                Err(_) => Woken::TheEnd,
            },
            () = self.feed.clock.sleep_until(until) => Woken::Time,
        }
    }

    /// Asks for what is due and hands it on.
    async fn poll(&mut self, turn: Turn, progress: &mut Progress) -> Result<Went, NobodyThere> {
        let slot = turn.slot;
        // Where the backend's clock was behind, an answer shows whether it still is. After a start with state that was kept
        // there may be nothing to ask for: whether there is a backend is not known without an answer.
        let is_due = self.due(slot, progress).is_some() || self.due_at(slot.at, progress).is_some();
        if progress.is_answered && !is_due {
            return Ok(Went::Well);
        }
        let mut news = PollNews { at: slot.at, missed: slot.missed, ..PollNews::default() };
        self.bell.borrow_and_update();
        let _trying = match self.feed.backend.admit(&self.assignment.query.signal) {
            Pass::Granted(trying) => trying,
            Pass::Held { until, because } => {
                if turn.is_scheduled {
                    news.is_held = true;
                    self.feed.metrics.held(&self.assignment.query.signal);
                    self.tell_failed(slot, (Failure::Backend, because), news, progress).await?;
                }
                return Ok(Went::Held { until });
            }
        };
        // A backend that is known may want a longer delay than the configured one.
        self.assignment.delay = self.feed.backend.client().query_delay().await;
        let begun = self.feed.clock.now();
        let outcome = self.fetch(slot, progress, &mut news).await;
        news.seconds = self.feed.clock.now().since(begun).as_secs_f64() / self.feed.clock.speed();
        match outcome {
            Ok(()) => {
                self.note_answered(&news, progress);
                let signal = self.assignment.query.signal.clone();
                self.send(progress.generation, Message::Polled(signal, news)).await?;
                Ok(Went::Well)
            }
            Err(Stop::Failed(error)) => self.failed(slot, *error, news, progress).await,
            Err(Stop::NobodyThere) => Err(NobodyThere),
        }
    }

    async fn failed(
        &mut self,
        slot: Slot,
        error: SourceError,
        mut news: PollNews,
        progress: &mut Progress,
    ) -> Result<Went, NobodyThere> {
        let signal = &self.assignment.query.signal;
        let is_the_sources = self.feed.backend.failed(signal, &error);
        // What this very failure rang is no reason to look.
        self.bell.borrow_and_update();
        // One line when it begins; after that the metric and the status tell how it goes on.
        if progress.failures == 0 && !is_the_sources {
            warn!(%signal, error.kind = error.kind(), "poll failed: {error}");
            progress.is_failure_told = true;
        }
        progress.failures = progress.failures.saturating_add(1);
        if asks_too_much(&error) {
            progress.appetite.was_too_much(progress.asked);
        }
        self.feed.metrics.failed(signal, error.kind(), progress.failures);
        news.error = Some(error.to_string());
        let speed = self.feed.clock.speed();
        let retry_after = error.retry_after().map(|wish| wish.mul_f64(speed));
        let failure = failure_of(&error);
        self.tell_failed(slot, (failure, error.to_string()), news, progress).await?;
        Ok(Went::Failed { failure, retry_after })
    }

    async fn tell_failed(
        &self,
        slot: Slot,
        (failure, because): (Failure, String),
        news: PollNews,
        progress: &Progress,
    ) -> Result<(), NobodyThere> {
        let signal = self.assignment.query.signal.clone();
        let failed = Input::PollFailed { signal: signal.clone(), slot: slot.at, failure, because };
        self.send(progress.generation, Message::Input(failed)).await?;
        self.send(progress.generation, Message::Polled(signal, news)).await
    }

    fn note_answered(&self, news: &PollNews, progress: &mut Progress) {
        let signal = &self.assignment.query.signal;
        if progress.is_failure_told {
            info!(%signal, "signal {signal} is answered again after {} failures", progress.failures);
        }
        progress.is_failure_told = false;
        progress.is_answered = true;
        progress.failures = 0;
        progress.appetite.was_whole();
        self.feed.metrics.answered(signal, news);
        self.feed.metrics.source(self.feed.backend.client().backend().as_ref());
        self.note_unusable(news, progress);
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

    /// The steps to ask for, by the backend's clock: history where there is none yet, else those after the last one seen.
    fn due(&self, slot: Slot, progress: &Progress) -> Option<TimeRange> {
        self.due_at(self.feed.backend.time_there(slot.at), progress)
    }

    fn due_at(&self, now: Timestamp, progress: &Progress) -> Option<TimeRange> {
        let Assignment { query, delay, history, judged_through, .. } = &self.assignment;
        let oldest = now.minus(HISTORY_MAX);
        let after = match progress.seen {
            Some(seen) => seen.max(oldest),
            None => {
                let from = judged_through.unwrap_or(now).min(now.minus(*delay));
                from.minus(*history).max(oldest.min(now.minus(*delay).minus(*history))).align_down(query.step)
            }
        };
        TimeRange::unseen(after, now, *delay, query.step)
    }

    async fn send(&self, generation: u64, message: Message) -> Result<(), NobodyThere> {
        let awake = self.feed.clock.awake();
        let tagged = Tagged { generation: Some(generation), message, awake };
        self.feed.engine.send(tagged).await.map_err(|_| NobodyThere)
    }
}

/// How much history a signal's detectors want: enough windows to know the noise; and the whole of what may be in trouble
/// before it counts as a new level, with windows before it, or the trouble itself would be taken for the baseline.
pub(super) fn history_of(plan: &SignalPlan) -> Duration {
    let window = plan.step.saturating_mul(plan.settings.baseline_points as u32);
    let overridden = plan.overrides.iter().filter_map(|over| over.patch.adopt_after);
    let adopt_after = overridden.fold(plan.settings.adopt_after, Duration::max);
    let trouble = adopt_after.saturating_add(window.saturating_mul(2));
    let wanted = plan.step.saturating_mul(plan.settings.history_points());
    window.saturating_mul(WINDOWS_OF_HISTORY).max(trouble).max(wanted)
}

//! The one writer: the engine on a thread of its own, fed by one bounded queue, committing what it decides.

mod intake;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tracing::{error, info, warn};

use self::intake::INPUTS_PER_COMMIT;
use super::announce::announce;
use super::asker::Question;
use super::backend::Backend;
use super::clock::Clock;
use super::engine_time::{EngineTime, not_ahead};
use super::jumping::Awake;
use super::metrics::{Metrics, Shown, Told};
use super::reconfigure::Reconfigure;
use super::settings::BandSettings;
use super::snapshot::Keeper;
use super::status::{ModelStatus, PollStatus, Request, SignalStatus, Status};
use crate::detect::Tally;
use crate::engine::{
    self, Command, Effect, Engine, Event, Input, Reply, Restored, Resumed, SourceStanding, SystemEvent,
};
use crate::incident::Incident;
use crate::series::SignalName;
use crate::store::{Commit, Store, StoreError};
use crate::time::Timestamp;

/// How long to wait before the engine is rebuilt after a failed commit.
const REBUILD_AFTER: Duration = Duration::from_secs(1);
/// Resolved incidents that the engine remembers as the past of their service.
pub(super) const PAST_LIMIT: u32 = 512;

/// A message with the generation of the engine that it is meant for; `None` fits any.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) generation: Option<u64>,
    pub(super) message: Message,
    /// Time stands, on a clock that jumps, until what follows from the message is written down.
    pub(super) awake: Awake,
}

/// What comes over the queue.
#[derive(Debug)]
pub(super) enum Message {
    Input(Input),
    Polled(SignalName, PollNews),
    Asked(ModelNews),
    Command(Command, oneshot::Sender<Reply>),
    /// Another config, to the engine, through the log.
    Reconfigure(Box<Reconfigure>, oneshot::Sender<()>),
}

/// How one poll went.
#[derive(Debug, Clone, Default)]
pub(super) struct PollNews {
    pub(super) at: Timestamp,
    pub(super) seconds: f64,
    pub(super) missed: u64,
    pub(super) warnings: Vec<String>,
    pub(super) not_values: usize,
    pub(super) without_service: usize,
    /// Whether the backend was not asked, since it was known to be silent.
    pub(super) is_held: bool,
    pub(super) error: Option<String>,
}

/// How one question to the model went.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct ModelNews {
    pub(super) from_cache: bool,
    pub(super) requests: u64,
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
    pub(super) fallback: Option<&'static str>,
}

/// Everything that the engine's thread owns.
#[derive(Debug)]
pub(super) struct Pipeline {
    pub(super) settings: engine::Settings,
    pub(super) first_look: Duration,
    pub(super) bands: BandSettings,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) time: EngineTime,
    pub(super) backend: watch::Receiver<Backend>,
    pub(super) queue: mpsc::Receiver<Tagged>,
    /// What readers and operators want, which is answered between two turns.
    pub(super) requests: mpsc::Receiver<Request>,
    /// Commands that came while something was written down.
    pub(super) later: Vec<Tagged>,
    pub(super) questions: Option<mpsc::Sender<Question>>,
    pub(super) answers: mpsc::WeakSender<Tagged>,
    pub(super) generation: watch::Sender<u64>,
    pub(super) status: watch::Sender<Arc<Status>>,
    pub(super) metrics: Metrics,
    pub(super) keeper: Keeper,
    pub(super) runtime: tokio::runtime::Handle,
}

/// What the thread keeps beside the engine.
struct Working {
    engine: Engine,
    polls: BTreeMap<SignalName, PollStatus>,
    model: ModelStatus,
    started_at: Timestamp,
    told: Told,
    /// Which series have metrics of their own, and the signals whose slots closed since these were written.
    shown: Shown,
    closed: BTreeMap<SignalName, Timestamp>,
    /// Questions that found no place: each is answered by that at the next turn.
    refused: Vec<Input>,
}

impl Pipeline {
    /// Runs until every sender is gone, so that what was taken is also written.
    pub(super) fn run(mut self, restored: Restored, resumed: Option<Resumed>) {
        let started_at = self.clock.now();
        let engine = self.first_engine(restored, resumed, started_at);
        let mut working = Working {
            engine,
            polls: BTreeMap::new(),
            model: ModelStatus::default(),
            started_at,
            told: Told::default(),
            shown: Shown::default(),
            closed: BTreeMap::new(),
            refused: Vec::new(),
        };
        let mut waiting = Vec::with_capacity(INPUTS_PER_COMMIT);
        while self.take(&working.engine, &mut waiting) {
            let refused: Vec<Input> = working.refused.drain(..).collect();
            let refused = refused.into_iter().map(|input| self.tagged(input));
            waiting.splice(0..0, refused);
            self.metrics.queue_length(self.queue.len() + waiting.len());
            // For what follows from these messages, until it is shown; a rebuild sleeps by it.
            let _awake = self.clock.awake();
            if let Err(error) = self.turn(&mut working, &mut waiting) {
                self.rebuild(&mut working, &error);
            }
            self.publish(&mut working, None);
            self.keep_where_due(&working.engine);
        }
        self.keep_last(&working.engine);
    }

    fn tagged(&self, input: Input) -> Tagged {
        Tagged { generation: None, message: Message::Input(input), awake: self.clock.awake() }
    }

    /// The time that the engine decides by.
    fn engine_time(&mut self) -> Timestamp {
        let (here, told_ms) = self.clocks();
        self.time.at(here, told_ms)
    }

    /// The agent's time, and what is told of the backend's.
    fn clocks(&mut self) -> (Timestamp, Option<i64>) {
        let here = self.clock.now();
        if self.backend.has_changed().unwrap_or(false) {
            self.time.backend_changed(here);
        }
        (here, self.backend.borrow_and_update().told_skew_ms())
    }

    fn step(&mut self, working: &mut Working, input: Input) -> Vec<Effect> {
        let (here, told_ms) = self.clocks();
        let now = match &input {
            Input::Tick => self.time.at_tick(here, told_ms),
            _ => Some(self.time.at(here, told_ms)),
        };
        now.map(|now| working.engine.step(now, input)).unwrap_or_default()
    }

    fn engine(&self, restored: Restored, now: Timestamp) -> Engine {
        Engine::new(self.settings.clone(), restored, now.minus(self.first_look))
    }

    /// Steps everything that waits, commits what follows, then lets the effects out.
    fn turn(&mut self, working: &mut Working, waiting: &mut Vec<Tagged>) -> Result<(), StoreError> {
        let begun = self.clock.now();
        let generation = *self.generation.borrow();
        let (mut effects, mut replies, mut changes) = (Vec::new(), Vec::new(), Vec::new());
        for Tagged { generation: meant_for, message, awake: _awake } in waiting.drain(..) {
            if meant_for.is_some_and(|meant| meant != generation) {
                continue;
            }
            match message {
                Message::Input(input) => effects.extend(self.step(working, input)),
                Message::Polled(signal, news) => working.polled(signal, news),
                Message::Asked(news) => working.asked(news),
                Message::Command(command, reply) => {
                    let (rest, answer) = self.command(working, command);
                    effects.extend(rest);
                    replies.push((reply, answer));
                }
                Message::Reconfigure(change, reply) => {
                    let input = Input::Reconfigured(Box::new(change.input.clone()));
                    effects.extend(self.step(working, input));
                    changes.push((change, reply));
                }
            }
        }
        let commit = commit_of(&working.engine, &effects);
        if !commit.is_empty() {
            let written = self.write(&working.engine, &commit);
            self.metrics
                .committed(self.clock.now().since(begun).div_f64(self.clock.speed()), written.is_ok());
            written?;
        }
        for (change, _) in &mut changes {
            self.adopt(change, working);
        }
        for effect in effects {
            working.note(&effect);
            working.refused.extend(self.release(effect));
        }
        for (change, reply) in changes {
            for signal in &change.input.change.removed {
                self.metrics.forget(signal, &mut working.told);
            }
            let _ = reply.send(());
        }
        for (reply, answer) in replies {
            // Whoever asked may have gone: the command is done all the same.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    /// Goes by another config, now that it is written down: an engine that is made anew is made by this one.
    fn adopt(&mut self, change: &mut Reconfigure, working: &mut Working) {
        let input = &change.input;
        (self.settings, self.first_look) = (input.settings.clone(), input.first_look);
        self.bands = change.bands;
        (self.keeper.settings, self.keeper.asked) = change.snapshots.clone();
        if let Some(questions) = change.questions.take() {
            self.questions = questions;
        }
        for signal in &input.change.added {
            self.metrics.begun(signal, self.clock.now());
        }
        let stays = |signal: &SignalName| self.settings.signals.iter().any(|(name, _)| name == signal);
        working.polls.retain(|signal, _| stays(signal) && !input.asks_anew.contains(signal));
    }

    fn command(&mut self, working: &mut Working, command: Command) -> (Vec<Effect>, Reply) {
        let mut effects = self.step(working, Input::Command(command));
        let place = effects.iter().position(|effect| matches!(effect, Effect::Reply(_)));
        let reply = place.map(|place| effects.remove(place));
        match reply {
            Some(Effect::Reply(reply)) => (effects, reply),
            Some(_) | None => (effects, Reply::UnknownIncident),
        }
    }

    /// Lets an effect out, now that it is written down. Gives the answer to a question that cannot be asked.
    fn release(&self, effect: Effect) -> Option<Input> {
        match effect {
            Effect::Record(happening) => {
                announce(&happening);
                self.metrics.happened(&happening.event);
                None
            }
            Effect::Ask { revision, bundle } => self.ask(Question { revision, bundle }),
            Effect::Advance { signal, through } => {
                self.metrics.judged(&signal, through, self.clock.now());
                None
            }
            Effect::Reply(_) => None,
        }
    }

    /// Hands a question on without ever waiting: where too many wait already, that is the answer.
    fn ask(&self, question: Question) -> Option<Input> {
        let (incident, revision) = (question.bundle.incident, question.revision);
        let refused = match &self.questions {
            Some(questions) => questions.try_send(question).is_err(),
            None => true,
        };
        if !refused {
            return None;
        }
        warn!(incident.id = %incident, "too many questions wait for the model; incident {incident} keeps its heuristics");
        let because =
            crate::diagnose::Because::RateLimited("too many questions wait for the model".to_owned());
        Some(Input::Answered { incident, revision, answer: Err(because) })
    }

    /// What could not be written did not happen: the engine is discarded and made anew from the store.
    fn rebuild(&mut self, working: &mut Working, failure: &StoreError) {
        error!(
            "the store does not take what was decided: {failure}; the engine starts again from what is stored"
        );
        let mut because = failure.to_string();
        loop {
            self.publish(working, Some(because));
            let restored = self.runtime.block_on(async {
                self.clock.pause(REBUILD_AFTER).await;
                self.store.restore(PAST_LIMIT).await
            });
            match restored {
                Ok(restored) => {
                    // Steps are stored in the backend's time.
                    let now = self.engine_time();
                    working.engine = self.engine(not_ahead(restored, now), now);
                    working.polls.clear();
                    working.shown.hide_all(&self.metrics.bands);
                    working.closed.clear();
                    self.generation.send_modify(|generation| *generation += 1);
                    self.clock.rouse();
                    info!("the engine starts again; history is read anew");
                    return;
                }
                Err(error) if self.answers.upgrade().is_none() => {
                    error!("the store cannot be read at the end: {error}");
                    // What this engine knows is not what is written down.
                    self.keeper.settings.is_on = false;
                    return;
                }
                Err(error) => because = error.to_string(),
            }
        }
    }

    fn publish(&self, working: &mut Working, failure: Option<String>) {
        let tallies = working.engine.tallies();
        let mut open_incidents = BTreeMap::new();
        for incident in working.engine.open_incidents() {
            *open_incidents.entry(incident.assessment.severity.as_str()).or_insert(0) += 1;
        }
        let not_ready_because = failure.or_else(|| working.why_not_ready(&tallies));
        self.metrics.stands(&working.engine, &mut working.told, not_ready_because.is_none());
        self.metrics.model(&working.model);
        self.show_bands(working, &tallies);
        let signals = tallies.into_iter().map(|(name, tally)| SignalStatus {
            judged_through: working.engine.judged_through(&name),
            is_source_degraded: working.engine.degraded().any(|degraded| *degraded == name),
            polls: working.polls.get(&name).cloned().unwrap_or_default(),
            overridden: working.engine.overridden(&name),
            name,
            tally,
        });
        self.status.send_replace(Arc::new(Status {
            started_at: working.started_at,
            at: self.clock.now(),
            is_ready: not_ready_because.is_none(),
            not_ready_because,
            signals: signals.collect(),
            open_incidents,
            model: working.model.clone(),
        }));
    }
}

impl Pipeline {
    /// Brings the metrics of single series up to the slots that closed. Of a signal that is not answered for so long that
    /// its backend would be lost, the last figures say nothing about now.
    fn show_bands(&self, working: &mut Working, tallies: &[(SignalName, Tally)]) {
        for (signal, unanswered) in working.engine.unanswered() {
            if unanswered.latest.since(unanswered.since) >= self.settings.source_lost_after {
                working.shown.hide(&self.metrics.bands, signal);
            }
        }
        let closed = std::mem::take(&mut working.closed);
        let series: Vec<(&SignalName, usize)> =
            tallies.iter().map(|(signal, tally)| (signal, tally.series)).collect();
        working.shown.follow(&self.metrics.bands, self.bands, &series, &closed, &working.engine);
    }
}

/// What the effects write down, with the states after them.
fn commit_of(engine: &Engine, effects: &[Effect]) -> Commit {
    let mut commit = Commit::default();
    let (mut touched, mut seen) = (Vec::new(), BTreeSet::new());
    for effect in effects {
        match effect {
            Effect::Record(happening) => {
                if let engine::Stream::Incident(id) = happening.stream
                    && seen.insert(id)
                {
                    touched.push(id);
                }
                commit.happenings.push((**happening).clone());
            }
            Effect::Advance { signal, through } => commit.advanced.push((signal.clone(), *through)),
            Effect::Ask { .. } | Effect::Reply(_) => {}
        }
    }
    commit.projections =
        touched.iter().filter_map(|id| engine.incident(*id)).cloned().collect::<Vec<Incident>>();
    commit
}

impl Working {
    /// Takes note of what moves the bands of a signal's series.
    fn note(&mut self, effect: &Effect) {
        match effect {
            Effect::Advance { signal, through } => drop(self.closed.insert(signal.clone(), *through)),
            Effect::Record(happening) => {
                if let Event::System(SystemEvent::SeriesRebased(rebased)) = &happening.event {
                    self.closed.entry(rebased.key.signal.clone()).or_insert(rebased.at);
                }
            }
            Effect::Ask { .. } | Effect::Reply(_) => {}
        }
    }

    fn polled(&mut self, signal: SignalName, news: PollNews) {
        let polls = self.polls.entry(signal).or_default();
        polls.missed_total += news.missed;
        if news.is_held {
            polls.held_total += 1;
            return;
        }
        polls.last_seconds = news.seconds;
        polls.warnings = news.warnings;
        polls.not_values = news.not_values;
        polls.without_service = news.without_service;
        match news.error {
            Some(error) => {
                polls.failed_total += 1;
                polls.failures_in_a_row += 1;
                polls.last_error = Some(error);
            }
            None => {
                polls.failures_in_a_row = 0;
                polls.answered_total += 1;
                polls.last_answer_at = Some(news.at);
                polls.last_error = None;
            }
        }
    }

    fn asked(&mut self, news: ModelNews) {
        self.model.questions_total += 1;
        self.model.cached_total += u64::from(news.from_cache);
        self.model.requests_total += news.requests;
        self.model.prompt_tokens_total += news.prompt_tokens;
        self.model.completion_tokens_total += news.completion_tokens;
        if let Some(reason) = news.fallback {
            *self.model.fallbacks_total.entry(reason).or_insert(0) += 1;
        }
    }

    fn why_not_ready(&self, tallies: &[(SignalName, crate::detect::Tally)]) -> Option<String> {
        let no_answer = tallies.iter().find_map(|(signal, _)| {
            let polls = self.polls.get(signal);
            let has_answer = polls.is_some_and(|polls| polls.answered_total > 0);
            let because =
                polls.and_then(|polls| polls.last_error.as_deref()).unwrap_or("its history is being read");
            (!has_answer).then(|| format!("signal {signal} has no answer yet: {because}"))
        });
        no_answer.or_else(|| match self.engine.source_standing() {
            SourceStanding::Answering | SourceStanding::Failing { .. } => None,
            SourceStanding::Lost { since } => {
                Some(format!("the source is lost: it has answered nothing since {since}"))
            }
        })
    }
}

mod kept;
#[cfg(test)]
mod tests;

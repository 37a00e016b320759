//! Puts the pipeline together and starts it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::asker::{Asker, QUESTIONS_WAITING_MAX};
use super::backend::{Backend, PulseQuery};
use super::clock::Clock;
use super::jumping::Awake;
use super::metrics::{Metrics, tell_config};
use super::pipeline::{Message, PAST_LIMIT, Pipeline, Tagged, not_ahead};
use super::poller::{Assignment, Feed, Poller};
use super::settings::Settings;
use super::status::{Handle, Status};
use super::supervisor::Supervisor;
use crate::detect::SignalPlan;
use crate::engine::{self, Input, SystemEvent};
use crate::llm::{LlmError, Model};
use crate::source::{self, Prometheus, SignalQuery, SourceError};
use crate::store::{Commit, Store, StoreError};
use crate::telemetry::Registry;

/// A baseline is warm after four windows: the window itself, and enough beyond it to know the noise.
const WINDOWS_OF_HISTORY: u32 = 4;
/// How often the engine is told that time has passed.
const TICK: Duration = Duration::from_secs(5);

/// One signal as the pipeline polls it.
#[derive(Debug, Clone)]
pub struct Polled {
    /// What to ask.
    pub query: SignalQuery,
    /// How often.
    pub interval: Duration,
}

/// Everything that a pipeline is made of.
#[derive(Debug)]
pub struct Parts {
    /// How it runs.
    pub settings: Settings,
    /// How the engine decides. Its number of questions is 0 where there is no model.
    pub engine: engine::Settings,
    /// The signals to poll, each also among those of `engine`.
    pub signals: Vec<Polled>,
    /// Where to poll them.
    pub source: source::Settings,
    /// The model to ask, and how long its answers are used again.
    pub model: Option<(Model, Duration)>,
    /// Where it writes.
    pub store: Store,
    /// The time that it goes by.
    pub clock: Clock,
    /// Told in the first event.
    pub version: String,
    /// Told in the first event.
    pub config_hash: String,
}

/// A pipeline that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The source's settings are not usable.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store does not open, or does not give what the engine needs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The model's settings are not usable.
    #[error(transparent)]
    Model(#[from] LlmError),
    /// The operating system gives no thread.
    #[error("no thread for the engine: {0}")]
    Thread(#[from] std::io::Error),
}

/// Starts the pipeline's tasks and its thread. It ends when the supervisor is stopped; what was taken by then is still
/// written.
///
/// # Errors
/// Where the store cannot be read or the source cannot be asked with these settings.
pub async fn start(
    parts: Parts,
    registry: &mut Registry,
    supervisor: &Supervisor,
) -> Result<Handle, StartError> {
    let Parts { settings, engine, signals, source, model, store, clock, version, config_hash } = parts;
    let restored = not_ahead(store.restore(PAST_LIMIT).await?, clock.now());
    tell_config(registry, config_hash.clone());
    write_start(&store, &clock, version, config_hash).await?;
    let metrics = Metrics::new(registry);
    engine.signals.iter().for_each(|(signal, _)| metrics.begun(signal, clock.now()));
    let pulse =
        PulseQuery { promql: source.pulse.clone(), limits: source.limits(), delay: source.query_delay };
    let client = Prometheus::new(&source)?;
    let backend = Backend::new(client, pulse, clock.clone(), metrics.clone());
    let (queue, taken) = mpsc::channel(settings.queue_limit);
    let (generation, generations) = watch::channel(0);
    let (status, statuses) = watch::channel(Arc::new(Status {
        started_at: clock.now(),
        not_ready_because: Some("it has just started".to_owned()),
        ..Status::default()
    }));

    for Polled { query, interval } in signals {
        let plan = engine.signals.iter().find(|(name, _)| *name == query.signal);
        let wanted = plan.map_or(Duration::ZERO, |(_, plan)| history_of(plan));
        let assignment = Assignment {
            history: settings.history.max(wanted),
            judged_through: restored.judged_through.get(&query.signal).copied(),
            delay: source.query_delay,
            limits: source.limits(),
            interval,
            query,
        };
        let feed = Feed {
            backend: backend.clone(),
            clock: clock.clone(),
            engine: queue.clone(),
            generation: generations.clone(),
            metrics: metrics.clone(),
        };
        let poller = Poller::new(assignment, feed);
        let cancelled = supervisor.cancelled();
        supervisor.spawn("poller", async move {
            tokio::select! {
                () = poller.run() => {}
                () = cancelled.cancelled() => {}
            }
        });
    }
    supervisor.spawn("ticks", ticks(clock.clone(), queue.clone(), supervisor.clone(), clock.awake()));
    let questions = model.map(|(model, cache_for)| {
        let (questions, asked) = mpsc::channel(QUESTIONS_WAITING_MAX);
        let (store, clock, supervisor) = (store.clone(), clock.clone(), supervisor.clone());
        let asker = Asker {
            model,
            cache_for,
            store,
            clock,
            engine: queue.downgrade(),
            supervisor: supervisor.clone(),
        };
        supervisor.spawn("asker", asker.run(asked));
        questions
    });

    let answers = queue.downgrade();
    let pipeline = Pipeline {
        settings: engine,
        first_look: settings.first_look,
        store,
        clock,
        backend,
        queue: taken,
        questions,
        answers: answers.clone(),
        generation,
        status,
        metrics,
        runtime: tokio::runtime::Handle::current(),
    };
    run_on_a_thread(pipeline, restored, supervisor)?;
    Ok(Handle { status: statuses, requests: answers })
}

/// How much history a signal's detectors want: enough windows to know the noise; and the whole of what may be in trouble
/// before it counts as a new level, with windows before it, or the trouble itself would be taken for the baseline.
fn history_of(plan: &SignalPlan) -> Duration {
    let window = plan.step.saturating_mul(plan.settings.baseline_points as u32);
    let trouble = plan.settings.adopt_after.saturating_add(window.saturating_mul(2));
    window.saturating_mul(WINDOWS_OF_HISTORY).max(trouble)
}

/// The engine's thread ends when its queue does; a task waits for that, so that a stop waits for the last commit.
fn run_on_a_thread(
    pipeline: Pipeline,
    restored: engine::Restored,
    supervisor: &Supervisor,
) -> Result<(), std::io::Error> {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        pipeline.run(restored);
        // Not sent where the thread ends by a panic: the receiver sees the difference.
        let _ = ended.send(());
    })?;
    let failing = supervisor.clone();
    supervisor.spawn("engine", async move {
        if end.await.is_err() {
            warn!("the engine ended by a defect; the agent stops");
            failing.fail();
        }
    });
    Ok(())
}

async fn write_start(
    store: &Store,
    clock: &Clock,
    version: String,
    config_hash: String,
) -> Result<(), StoreError> {
    let started = engine::Happening {
        stream: engine::Stream::System,
        at: clock.now(),
        event: engine::Event::System(SystemEvent::Started { version, config_hash }),
    };
    super::announce::announce(&started);
    store.commit(&Commit { happenings: vec![started], ..Commit::default() }).await?;
    Ok(())
}

async fn ticks(clock: Clock, queue: mpsc::Sender<Tagged>, supervisor: Supervisor, awake: Awake) {
    // However fast the clock, real time bounds how often.
    let span = TICK.max(Duration::from_millis(200).mul_f64(clock.speed()));
    let cancelled = supervisor.cancelled();
    let _awake = awake;
    loop {
        tokio::select! {
            () = clock.sleep(span) => {}
            () = cancelled.cancelled() => return,
        }
        // A full queue brings time forward by itself: each input has its own.
        let _ = queue.try_send(Tagged {
            generation: None,
            message: Message::Input(Input::Tick),
            awake: clock.awake(),
        });
    }
}

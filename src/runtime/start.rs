//! Puts the pipeline together and starts it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::warn;

use super::asker::Asker;
use super::backend::{Backend, PulseQuery};
use super::clock::Clock;
use super::crew::Crew;
use super::engine_time::{EngineTime, not_ahead};
use super::explain::Watched;
use super::jumping::Awake;
use super::metrics::Metrics;
use super::pipeline::{Message, PAST_LIMIT, Pipeline, Tagged};
use super::poller::{Assignment, Orders};
use super::reconfigure::{Reconfigurer, assignment, start_asker};
use super::settings::Settings;
use super::snapshot::{Begin, Keeper, asked, path_of, resume};
use super::status::{Handle, REQUESTS_WAITING_MAX, Status};
use super::supervisor::Supervisor;
use crate::engine::{self, Input, SystemEvent};
use crate::llm::{LlmError, Model};
use crate::source::{self, Prometheus, SignalQuery, SourceError};
use crate::store::{Commit, Store, StoreError};
use crate::telemetry::Registry;

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

/// A pipeline that runs.
#[derive(Debug)]
pub struct Started {
    /// What can be asked of it.
    pub handle: Handle,
    /// What can change it. It is kept while the pipeline is to run: pollers end with it.
    pub reconfigurer: Reconfigurer,
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
) -> Result<Started, StartError> {
    let Parts { settings, engine, signals, source, model, store, clock, version, config_hash } = parts;
    let restored = not_ahead(store.restore(PAST_LIMIT).await?, clock.now());
    write_start(&store, &clock, version.clone(), config_hash).await?;
    let metrics = Metrics::new(registry);
    let keeper = keeper(&settings, &signals, &store, (&clock, version), &metrics);
    let resumed = resumed(&keeper, (&settings, &engine), &store, &restored).await;
    let reached = resumed.as_ref().map(|resumed| resumed.reached(&restored)).unwrap_or_default();
    engine.signals.iter().for_each(|(signal, _)| metrics.begun(signal, clock.now()));
    let client = Prometheus::new(&source)?;
    let backend = Backend::new(client, PulseQuery::of(&source), clock.clone(), metrics.clone());
    let (queue, taken) = mpsc::channel(settings.queue_limit);
    let (generation, generations) = watch::channel(0);
    let feed = queue.downgrade();
    let (requests, requested) = mpsc::channel(REQUESTS_WAITING_MAX);
    let (status, statuses) = watch::channel(Arc::new(Status {
        started_at: clock.now(),
        not_ready_because: Some("it has just started".to_owned()),
        ..Status::default()
    }));

    let mut crew = Crew {
        clock: clock.clone(),
        engine: feed.clone(),
        generation: generations,
        metrics: metrics.clone(),
        supervisor: supervisor.clone(),
        posts: BTreeMap::new(),
    };
    crew.follow(signals.iter().map(|polled| {
        let judged_through = restored.judged_through.get(&polled.query.signal).copied();
        let assignment = assignment(polled, &settings, &engine, &source);
        let resumed_through = reached.get(&polled.query.signal).copied();
        let assignment = Assignment { judged_through, resumed_through, ..assignment };
        Orders { assignment, backend: backend.clone() }
    }));
    supervisor.spawn("ticks", ticks(clock.clone(), queue.clone(), supervisor.clone(), clock.awake()));
    let questions = model.map(|(model, cache_for)| {
        let (store, clock, engine) = (store.clone(), clock.clone(), feed.clone());
        start_asker(Asker { model, cache_for, store, clock, engine, supervisor: supervisor.clone() })
    });

    let (backend, asked) = watch::channel(backend);
    let (watched, are_watched) = watch::channel(Watched::all(&signals, &engine));
    let source = Some(asked.clone());
    let handle = Handle { status: statuses, source, watched: are_watched, feed: feed.clone(), requests };
    let reconfigurer = Reconfigurer {
        crew,
        handle: handle.clone(),
        store: store.clone(),
        backend,
        engine: engine.clone(),
        watched,
    };
    let pipeline = Pipeline {
        settings: engine,
        first_look: settings.first_look,
        bands: settings.bands,
        store,
        time: EngineTime::new(clock.now()),
        clock,
        backend: asked,
        queue: taken,
        requests: requested,
        later: Vec::new(),
        questions,
        answers: feed,
        generation,
        status,
        metrics,
        keeper,
        runtime: tokio::runtime::Handle::current(),
    };
    run_on_a_thread(pipeline, (restored, resumed), supervisor)?;
    Ok(Started { handle, reconfigurer })
}

/// What writes the state of detection down.
fn keeper(
    settings: &Settings,
    signals: &[Polled],
    store: &Store,
    (clock, version): (&Clock, String),
    metrics: &Metrics,
) -> Keeper {
    Keeper {
        settings: settings.snapshots,
        asked: asked(signals),
        path: path_of(store),
        version,
        metrics: metrics.snapshot.clone(),
        clock: clock.clone(),
        begun_at: clock.now(),
        writing: None,
    }
}

/// What was written down of detection's state, where that is wanted and there is any.
async fn resumed(
    keeper: &Keeper,
    (settings, engine): (&Settings, &engine::Settings),
    store: &Store,
    restored: &engine::Restored,
) -> Option<engine::Resumed> {
    let now = keeper.clock.now();
    let first_muted_until = now.minus(settings.first_look);
    let begin = Begin { settings: engine, restored, asked: &keeper.asked, now, first_muted_until };
    match settings.snapshots.is_on {
        true => resume(&keeper.path, store, begin, &keeper.metrics).await,
        false => None,
    }
}

/// The engine's thread ends when its queue does; a task waits for that, so that a stop waits for the last commit.
fn run_on_a_thread(
    pipeline: Pipeline,
    (restored, resumed): (engine::Restored, Option<engine::Resumed>),
    supervisor: &Supervisor,
) -> Result<(), std::io::Error> {
    let (ended, end) = tokio::sync::oneshot::channel::<()>();
    std::thread::Builder::new().name("engine".to_owned()).spawn(move || {
        pipeline.run(restored, resumed);
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

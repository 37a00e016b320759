//! Brings another config into a running pipeline: whole, or not at all.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::asker::{Asker, QUESTIONS_WAITING_MAX, Question};
use super::backend::{Backend, PulseQuery};
use super::crew::Crew;
use super::explain::Watched;
use super::pipeline::{Message, Tagged};
use super::poller::{Assignment, Orders, history_of};
use super::settings::{BandSettings, Settings};
use super::snapshot::{Asked, SnapshotSettings, asked};
use super::start::Polled;
use super::status::{Handle, Unavailable};
use crate::detect::SignalPlan;
use crate::engine::{self, ConfigChange, Input, Reconfiguration};
use crate::llm::Model;
use crate::series::SignalName;
use crate::source::{self, Prometheus};
use crate::store::Store;
use crate::time::Timestamp;

/// What a pipeline is to go by from now on.
#[derive(Debug)]
pub struct Change {
    /// How it runs. Its `queue_limit` stays as it was at the start.
    pub settings: Settings,
    /// How the engine decides.
    pub engine: engine::Settings,
    /// The signals to poll, each also among those of `engine`.
    pub signals: Vec<Polled>,
    /// Where to poll them.
    pub source: source::Settings,
    /// The client for these settings, where they are others than before.
    pub client: Option<Prometheus>,
    /// Who is asked about incidents.
    pub model: ModelChange,
    /// What differs, for the log of events.
    pub told: ConfigChange,
}

/// Who is asked about incidents from now on. A question that is out is answered by whom it was put to.
#[derive(Debug)]
pub enum ModelChange {
    /// The same as before.
    Keep,
    /// Nobody.
    Off,
    /// This model; its answers are used again for so long.
    Ask(Box<Model>, Duration),
}

/// What the engine's thread is told in one message.
#[derive(Debug)]
pub(super) struct Reconfigure {
    pub(super) input: Reconfiguration,
    /// The way to the model, where that changes.
    pub(super) questions: Option<Option<mpsc::Sender<Question>>>,
    /// What is shown of single series from now on.
    pub(super) bands: BandSettings,
    /// What is kept over a restart, and what each signal asks.
    pub(super) snapshots: (SnapshotSettings, Asked),
}

/// The one who may change a running pipeline.
#[derive(Debug)]
pub struct Reconfigurer {
    pub(super) crew: Crew,
    pub(super) handle: Handle,
    pub(super) store: Store,
    pub(super) backend: watch::Sender<Backend>,
    pub(super) engine: engine::Settings,
    pub(super) watched: watch::Sender<Arc<[Watched]>>,
}

impl Reconfigurer {
    /// Brings a change into the pipeline and returns once it is written down. Pollers whose signal asks the same go on;
    /// those that ask something else begin anew.
    ///
    /// # Errors
    /// Where the store does not take it or the agent stops; then everything is as it was.
    pub async fn apply(&mut self, change: Change) -> Result<(), Unavailable> {
        let backend = self.backend_for(&change);
        let wanted: Vec<Orders> = self.orders(&change, &backend);
        let asks_anew = self.asks_anew(&wanted);
        let mut ended = Vec::new();
        for signal in self.to_end(&change, &asks_anew) {
            // What they have handed on stands before the change in the queue.
            ended.extend(self.crew.end(&signal).await);
        }
        let input = Reconfiguration {
            settings: change.engine.clone(),
            asks_anew,
            first_look: change.settings.first_look,
            change: change.told,
        };
        let questions = self.questions(change.model);
        let bands = change.settings.bands;
        let snapshots = (change.settings.snapshots, asked(&change.signals));
        if self.tell(Reconfigure { input, questions, bands, snapshots }).await.is_err() {
            self.crew.follow(ended);
            return Err(Unavailable);
        }
        self.watched.send_replace(Watched::all(&change.signals, &change.engine));
        self.engine = change.engine;
        self.backend.send_if_modified(|held| {
            let is_other = !held.is(&backend);
            *held = backend;
            is_other
        });
        self.crew.follow(wanted);
        Ok(())
    }

    /// Why the series of a signal would begin without state under a change; `None` where they would keep it, or where the
    /// signal is new.
    pub fn begins_anew(&self, change: &Change, signal: &SignalName) -> Option<&'static str> {
        let find = |signals: &[(SignalName, SignalPlan)]| {
            signals.iter().find(|(name, _)| name == signal).map(|(_, plan)| plan.clone())
        };
        let (before, after) = (find(&self.engine.signals)?, find(&change.engine.signals)?);
        if self.asks_anew(&self.orders(change, &self.backend.borrow())).contains(signal) {
            return Some("it asks something else, or its series are named in another way");
        }
        let because = "its step, or what its series remember, is another one";
        (!after.keeps_state_of(&before)).then_some(because)
    }

    /// Has it written down that a config was refused.
    pub async fn note_refusal(&self, config_hash: String, because: String) {
        let message = Message::Input(Input::ReloadFailed { config_hash, because });
        if let Some(queue) = self.handle.feed.upgrade() {
            // Where nobody takes it, the agent stops.
            let _ = queue.send(self.tagged(message)).await;
        }
    }

    /// Waits without a limit: a change that is given up half-way would be neither in force nor refused.
    async fn tell(&self, change: Reconfigure) -> Result<(), Unavailable> {
        let (reply, done) = oneshot::channel();
        let queue = self.handle.feed.upgrade().ok_or(Unavailable)?;
        let message = Message::Reconfigure(Box::new(change), reply);
        queue.send(self.tagged(message)).await.map_err(|_| Unavailable)?;
        drop(queue);
        done.await.map_err(|_| Unavailable)
    }

    fn tagged(&self, message: Message) -> Tagged {
        Tagged { generation: None, message, awake: self.crew.clock.awake() }
    }

    fn backend_for(&self, change: &Change) -> Backend {
        match &change.client {
            Some(client) => Backend::new(
                client.clone(),
                PulseQuery::of(&change.source),
                self.crew.clock.clone(),
                self.crew.metrics.clone(),
            ),
            None => self.backend.borrow().clone(),
        }
    }

    fn orders(&self, change: &Change, backend: &Backend) -> Vec<Orders> {
        let status = self.handle.status();
        let judged = |signal: &SignalName| -> Option<Timestamp> {
            status.signals.iter().find(|status| status.name == *signal)?.judged_through
        };
        let order = |polled: &Polled| {
            let assignment = assignment(polled, &change.settings, &change.engine, &change.source);
            let judged_through = judged(&polled.query.signal);
            Orders { assignment: Assignment { judged_through, ..assignment }, backend: backend.clone() }
        };
        change.signals.iter().map(order).collect()
    }

    /// Signals that ask something else under the same name, or whose series are named in another way.
    fn asks_anew(&self, wanted: &[Orders]) -> BTreeSet<SignalName> {
        let is_other = |orders: &&Orders| {
            let query = &orders.assignment.query;
            let before = self.crew.orders_of(&query.signal).map(|orders| orders.assignment.query);
            before.is_some_and(|before| {
                (&before.promql, &before.service_label) != (&query.promql, &query.service_label)
            })
        };
        wanted.iter().filter(is_other).map(|orders| orders.assignment.query.signal.clone()).collect()
    }

    /// Signals whose poller ends: nobody watches them any more, or what they have taught is forgotten.
    fn to_end(&self, change: &Change, asks_anew: &BTreeSet<SignalName>) -> Vec<SignalName> {
        let plan = |name: &SignalName| change.engine.signals.iter().find(|(signal, _)| signal == name);
        let ends = |(signal, before): &&(SignalName, SignalPlan)| {
            asks_anew.contains(signal) || plan(signal).is_none_or(|(_, plan)| !plan.keeps_state_of(before))
        };
        self.engine.signals.iter().filter(ends).map(|(signal, _)| signal.clone()).collect()
    }

    fn questions(&self, model: ModelChange) -> Option<Option<mpsc::Sender<Question>>> {
        match model {
            ModelChange::Keep => None,
            ModelChange::Off => Some(None),
            ModelChange::Ask(model, cache_for) => Some(Some(start_asker(Asker {
                model: *model,
                cache_for,
                store: self.store.clone(),
                clock: self.crew.clock.clone(),
                engine: self.handle.feed.clone(),
                supervisor: self.crew.supervisor.clone(),
            }))),
        }
    }
}

/// Starts the task that asks a model; it ends when nobody asks any more.
pub(super) fn start_asker(asker: Asker) -> mpsc::Sender<Question> {
    let (questions, asked) = mpsc::channel(QUESTIONS_WAITING_MAX);
    asker.supervisor.clone().spawn("asker", asker.run(asked));
    questions
}

/// What the poller of a signal needs to know, but how far the signal is judged.
pub(super) fn assignment(
    polled: &Polled,
    settings: &Settings,
    engine: &engine::Settings,
    source: &source::Settings,
) -> Assignment {
    let plan = engine.signals.iter().find(|(name, _)| *name == polled.query.signal);
    let wanted = plan.map_or(Duration::ZERO, |(_, plan)| history_of(plan));
    Assignment {
        history: settings.history.max(wanted),
        judged_through: None,
        resumed_through: None,
        delay: source.query_delay,
        limits: source.limits(),
        interval: polled.interval,
        query: polled.query.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::super::clock::Clock;
    use super::super::metrics::Metrics;
    use super::super::status::Status;
    use super::super::supervisor::Supervisor;
    use super::*;
    use crate::detect::{self, Kind};
    use crate::source::SignalQuery;
    use crate::telemetry::Registry;
    use crate::{correlate, incident};

    /// Nothing listens there: polls fail, and what they say is read by nobody.
    fn source() -> source::Settings {
        source::Settings::for_test("http://127.0.0.1:9")
    }

    fn plan() -> SignalPlan {
        let step = Duration::from_secs(15);
        SignalPlan {
            settings: detect::Settings::classic(),
            kind: Kind::Other,
            step,
            window: Duration::ZERO,
            series_limit: 10,
            overrides: Vec::new(),
        }
    }

    /// A config with signals of these names and queries.
    fn change(signals: &[(&str, &str)]) -> Change {
        let query = |(name, promql): &(&str, &str)| SignalQuery {
            signal: SignalName::new(name),
            promql: (*promql).to_owned(),
            step: plan().step,
            service_label: "service".parse().unwrap(),
        };
        let minute = Duration::from_secs(60);
        Change {
            settings: Settings {
                history: minute,
                first_look: minute,
                queue_limit: 1024,
                bands: BandSettings { export: true, series_limit: 10 },
                snapshots: SnapshotSettings { is_on: false, interval: Duration::from_secs(600) },
            },
            engine: engine::Settings {
                signals: signals.iter().map(|(name, _)| (SignalName::new(name), plan())).collect(),
                correlate: correlate::Settings::default(),
                incident: incident::Settings::default(),
                questions_per_incident: 0,
                source_lost_after: minute,
            },
            signals: signals.iter().map(|of| Polled { query: query(of), interval: minute }).collect(),
            source: source(),
            client: None,
            model: ModelChange::Keep,
            told: ConfigChange::default(),
        }
    }

    /// A reconfigurer, and a pipeline that takes a change or drops it.
    struct Bench {
        reconfigurer: Reconfigurer,
        queue: mpsc::Receiver<Tagged>,
        _feed: mpsc::Sender<Tagged>,
        _status: watch::Sender<Arc<Status>>,
        _generation: watch::Sender<u64>,
        _folder: tempfile::TempDir,
    }

    impl Bench {
        async fn start(signals: &[(&str, &str)]) -> Self {
            let (feed, queue) = mpsc::channel(1024);
            let (status, statuses) = watch::channel(Arc::default());
            let (generation, generations) = watch::channel(0);
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("portent.db");
            let crew = Crew {
                clock: Clock::real(),
                engine: feed.downgrade(),
                generation: generations,
                metrics: Metrics::new(&mut Registry::new()),
                supervisor: Supervisor::new(),
                posts: BTreeMap::new(),
            };
            let client = Prometheus::new(&source()).unwrap();
            let pulse = PulseQuery::of(&source());
            let backend = Backend::new(client, pulse, Clock::real(), crew.metrics.clone());
            let watched = watch::Sender::new(Watched::all(&[], &change(signals).engine));
            let mut reconfigurer = Reconfigurer {
                crew,
                handle: Handle {
                    status: statuses,
                    source: None,
                    watched: watched.subscribe(),
                    feed: feed.downgrade(),
                    requests: mpsc::channel(1).0,
                },
                watched,
                store: Store::open(&crate::store::Settings { path }).await.unwrap(),
                backend: watch::Sender::new(backend.clone()),
                engine: change(signals).engine,
            };
            let orders = reconfigurer.orders(&change(signals), &backend);
            reconfigurer.crew.follow(orders);
            let (_feed, _status, _generation, _folder) = (feed, status, generation, folder);
            Self { reconfigurer, queue, _feed, _status, _generation, _folder }
        }

        /// Applies a config at a pipeline that takes it, or does not; gives what the engine was told.
        async fn apply(
            &mut self,
            signals: &[(&str, &str)],
            is_taken: bool,
        ) -> (Result<(), Unavailable>, Reconfiguration) {
            let queue = &mut self.queue;
            let pipeline = async {
                loop {
                    let message = queue.recv().await.unwrap().message;
                    if let Message::Reconfigure(change, reply) = message {
                        if is_taken {
                            reply.send(()).unwrap();
                        }
                        return change.input;
                    }
                }
            };
            tokio::join!(self.reconfigurer.apply(change(signals)), pipeline)
        }

        /// The pollers that run, with what they ask.
        fn polled(&self) -> Vec<(String, String)> {
            let posts = self.reconfigurer.crew.posts.keys();
            let asks = |signal| self.reconfigurer.crew.orders_of(signal).map(|o| o.assignment.query.promql);
            posts.map(|signal| (signal.to_string(), asks(signal).unwrap())).collect()
        }
    }

    #[tokio::test]
    async fn a_change_that_is_not_written_down_leaves_every_poller_as_it_was() {
        let mut bench = Bench::start(&[("cpu", "cpu"), ("errors", "errors"), ("queue", "queue")]).await;
        let polled = bench.polled();
        let after = [("cpu", "cpu"), ("errors", "other"), ("disk", "disk")];
        let (outcome, told) = bench.apply(&after, false).await;
        assert_eq!((outcome, bench.polled()), (Err(Unavailable), polled));
        assert_eq!(told.asks_anew, BTreeSet::from([SignalName::new("errors")]));

        // The same change again, now taken.
        let (outcome, told) = bench.apply(&after, true).await;
        let expected = [("cpu", "cpu"), ("disk", "disk"), ("errors", "other")];
        assert_eq!(outcome, Ok(()));
        assert_eq!(bench.polled(), expected.map(|(name, query)| (name.to_owned(), query.to_owned())));
        assert_eq!(told.asks_anew, BTreeSet::from([SignalName::new("errors")]));
        let (outcome, told) = bench.apply(&after, true).await;
        assert_eq!((outcome, told.asks_anew.len()), (Ok(()), 0), "nothing is new any more");
    }

    #[tokio::test]
    async fn only_what_asks_otherwise_gets_another_poller() {
        let signals = [("cpu", "cpu"), ("errors", "errors")];
        let bench = Bench::start(&signals).await;
        let mut after = change(&signals);
        after.engine.signals[0].1.settings.sigma = 5.0;
        assert_eq!(bench.reconfigurer.to_end(&after, &BTreeSet::new()), []);
        after.engine.signals[1].1.settings.baseline_points = 40;
        let ends = bench.reconfigurer.to_end(&after, &BTreeSet::new());
        assert_eq!(ends, [SignalName::new("errors")]);
        let held = bench.reconfigurer.crew.orders_of(&SignalName::new("cpu")).unwrap();
        let backend = bench.reconfigurer.backend.borrow().clone();
        let wanted = bench.reconfigurer.orders(&after, &backend);
        assert!(held.are(&wanted[0]), "a threshold is no matter of the poller");
    }
}

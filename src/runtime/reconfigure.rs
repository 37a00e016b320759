//! Brings another config into a running pipeline: whole, or not at all.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::asker::{Asker, QUESTIONS_WAITING_MAX, Question};
use super::crew::Crew;
use super::pipeline::{Message, Tagged};
use super::poller::{Assignment, Orders, history_of};
use super::settings::Settings;
use super::start::Polled;
use super::status::{Handle, Request, Unavailable};
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
}

/// The one who may change a running pipeline.
#[derive(Debug)]
pub struct Reconfigurer {
    pub(super) crew: Crew,
    pub(super) handle: Handle,
    pub(super) store: Store,
    pub(super) client: watch::Sender<Prometheus>,
    pub(super) engine: engine::Settings,
}

impl Reconfigurer {
    /// Brings a change into the pipeline and returns once it is written down. Pollers whose signal asks the same go on;
    /// those that ask something else begin anew.
    ///
    /// # Errors
    /// Where the store does not take it or the agent stops; then everything is as it was.
    pub async fn apply(&mut self, change: Change) -> Result<(), Unavailable> {
        let wanted: Vec<Orders> = self.orders(&change);
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
        if self.tell(Reconfigure { input, questions }).await.is_err() {
            self.crew.follow(ended);
            return Err(Unavailable);
        }
        self.engine = change.engine;
        if let Some(client) = change.client {
            self.client.send_replace(client);
        }
        self.crew.follow(wanted);
        Ok(())
    }

    /// Has it written down that a config was refused.
    pub async fn note_refusal(&self, config_hash: String, because: String) {
        let message = Message::Input(Input::ReloadFailed { config_hash, because });
        if let Some(queue) = self.handle.requests.upgrade() {
            // Where nobody takes it, the agent stops.
            let _ = queue.send(Tagged { generation: None, message }).await;
        }
    }

    /// Waits without a limit: a change that is given up half-way would be neither in force nor refused.
    async fn tell(&self, change: Reconfigure) -> Result<(), Unavailable> {
        let (reply, done) = oneshot::channel();
        let queue = self.handle.requests.upgrade().ok_or(Unavailable)?;
        let message = Message::Request(Request::Reconfigure(Box::new(change), reply));
        queue.send(Tagged { generation: None, message }).await.map_err(|_| Unavailable)?;
        drop(queue);
        done.await.map_err(|_| Unavailable)
    }

    fn orders(&self, change: &Change) -> Vec<Orders> {
        let status = self.handle.status();
        let judged = |signal: &SignalName| -> Option<Timestamp> {
            status.signals.iter().find(|status| status.name == *signal)?.judged_through
        };
        let source = change.client.clone().unwrap_or_else(|| self.client.borrow().clone());
        let order = |polled: &Polled| {
            let assignment = assignment(polled, &change.settings, &change.engine, &change.source);
            let judged_through = judged(&polled.query.signal);
            Orders { assignment: Assignment { judged_through, ..assignment }, source: source.clone() }
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
        let ends = |(signal, before): &&(SignalName, crate::detect::SignalPlan)| {
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
                engine: self.handle.requests.clone(),
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
        delay: source.query_delay,
        limits: source.limits(),
        interval: polled.interval,
        query: polled.query.clone(),
    }
}

//! How the pipeline stands: written by it after each commit, read by everybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::backend::Backend;
use super::explain::Watched;
use super::pipeline::Tagged;
use crate::detect::{Overridden, SeriesPage, SeriesQuery, Tally};
use crate::engine::{Command, Reply};
use crate::series::SignalName;
use crate::time::Timestamp;

/// How the pipeline stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Status {
    /// When it started.
    pub started_at: Timestamp,
    /// When this was written.
    pub at: Timestamp,
    /// Whether every signal has read its history and the store takes what is written.
    pub is_ready: bool,
    /// Why not, where it is not.
    pub not_ready_because: Option<String>,
    /// A row a signal, in the order of the config.
    pub signals: Vec<SignalStatus>,
    /// Incidents that are not resolved, by severity (`P0` to `P3`).
    pub open_incidents: BTreeMap<&'static str, usize>,
    /// The model, as far as it was asked.
    pub model: ModelStatus,
}

/// How one signal stands.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalStatus {
    /// Its name.
    pub name: SignalName,
    /// What holds for some of its series only.
    pub overridden: Vec<Overridden>,
    /// What detection has counted.
    pub tally: Tally,
    /// The last step that was judged.
    pub judged_through: Option<Timestamp>,
    /// Whether most of its series have stopped at once, which looks like the source and not like the services.
    pub is_source_degraded: bool,
    /// How its polls go.
    pub polls: PollStatus,
}

/// How the polls of one signal go.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PollStatus {
    /// Polls that were answered.
    pub answered_total: u64,
    /// Polls that failed, all their retries included.
    pub failed_total: u64,
    /// Of these, those since the last answer.
    pub failures_in_a_row: u64,
    /// Slots at which the backend was not asked, since it was known to be silent.
    pub held_total: u64,
    /// Slots that passed while an earlier one was still being worked on.
    pub missed_total: u64,
    /// When the last answer came.
    pub last_answer_at: Option<Timestamp>,
    /// The last failure, until an answer comes.
    pub last_error: Option<String>,
    /// What the backend warned about in its last answer.
    pub warnings: Vec<String>,
    /// Real seconds that the last query took.
    pub last_seconds: f64,
    /// Samples of the last answer that were no values.
    pub not_values: usize,
    /// Series of the last answer that were left out since they have no service label.
    pub without_service: usize,
}

/// Where samples come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceStatus {
    /// The base of its API, without a user and a password.
    pub url: String,
    /// Which program answers, where that is known.
    pub kind: Option<&'static str>,
    /// Its version, where it tells.
    pub version: Option<String>,
    /// How far behind the clock the newest step lies that it is asked for.
    pub query_delay: Duration,
    /// Why the newest certificates or keys are not used, where they cannot be.
    pub transport_trouble: Option<String>,
    /// Since when it answers nobody; `None` while it answers.
    pub silent_since: Option<Timestamp>,
    /// Milliseconds by which its clock is ahead of the agent's; 0 where they agree or nothing is known.
    pub clock_skew_ms: i64,
}

/// How the model was asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModelStatus {
    /// Questions that were asked, answered from the cache or not.
    pub questions_total: u64,
    /// Of these, answers that the cache gave.
    pub cached_total: u64,
    /// Requests to the endpoint.
    pub requests_total: u64,
    /// Tokens of prompts.
    pub prompt_tokens_total: u64,
    /// Tokens of answers.
    pub completion_tokens_total: u64,
    /// Questions that heuristics had to answer instead, by reason.
    pub fallbacks_total: BTreeMap<&'static str, u64>,
}

/// What can be asked of the running pipeline. Clones ask the same one.
#[derive(Debug, Clone)]
pub struct Handle {
    pub(super) status: watch::Receiver<Arc<Status>>,
    pub(super) source: Option<watch::Receiver<Backend>>,
    /// What is asked and how it is judged.
    pub(super) watched: watch::Receiver<Arc<[Watched]>>,
    /// Weak: the engine ends when those who feed it do, not when the last reader goes.
    pub(super) feed: mpsc::WeakSender<Tagged>,
    /// What is asked here is answered before what waits in the queue.
    pub(super) requests: mpsc::Sender<Request>,
}

/// While it is there, the pipeline takes commands: a stop waits for whoever may still give one.
#[derive(Debug)]
pub struct Hold(#[expect(dead_code, reason = "it is held, and dropped")] mpsc::Sender<Tagged>);

/// So many requests may wait for the engine; further ones are refused.
pub(super) const REQUESTS_WAITING_MAX: usize = 256;

/// A question to the pipeline, with the way back.
#[derive(Debug)]
pub(super) enum Request {
    /// To the engine, through the log.
    Command(Command, oneshot::Sender<Reply>),
    /// The series of a signal as they stand.
    Series(SeriesQuery, oneshot::Sender<SeriesPage>),
}

/// The pipeline does not answer: it stops, or it is overloaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline is stopping or has too much to do; try again")]
pub struct Unavailable;

impl Handle {
    /// How the pipeline stands.
    pub fn status(&self) -> Arc<Status> {
        self.status.borrow().clone()
    }

    /// Where samples come from, as far as it is known; `None` where a recording is replayed.
    pub fn source(&self) -> Option<SourceStatus> {
        let backend = self.source.as_ref()?.borrow();
        let source = backend.client();
        let (silent_since, clock_skew_ms) = (backend.silent_since(), backend.skew_ms());
        let backend = source.backend();
        Some(SourceStatus {
            url: source.name().to_owned(),
            kind: backend.as_ref().map(|backend| backend.kind.as_str()),
            query_delay: source.delay(),
            version: backend.and_then(|backend| backend.version),
            transport_trouble: source.transport_trouble(),
            silent_since,
            clock_skew_ms,
        })
    }

    /// Keeps the pipeline taking commands until what this gives is dropped; `None` where it has ended.
    pub fn hold(&self) -> Option<Hold> {
        self.feed.upgrade().map(Hold)
    }

    /// Waits for the next status.
    ///
    /// # Errors
    /// Where the pipeline has ended.
    pub async fn changed(&mut self) -> Result<(), Unavailable> {
        self.status.changed().await.map_err(|_| Unavailable)
    }

    /// Gives a command and waits until what it changes is written down.
    ///
    /// # Errors
    /// Where the pipeline does not take it.
    pub async fn command(&self, command: Command) -> Result<Reply, Unavailable> {
        self.request(|reply| Request::Command(command, reply)).await
    }

    /// The first of the series of a signal that are wanted, as they stand; none of a signal that does not exist.
    ///
    /// # Errors
    /// Where the pipeline does not take the question.
    pub async fn series(&self, wanted: SeriesQuery) -> Result<SeriesPage, Unavailable> {
        self.request(|reply| Request::Series(wanted, reply)).await
    }

    async fn request<T>(
        &self,
        request: impl FnOnce(oneshot::Sender<T>) -> Request,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        // While it is handed over, the pipeline goes on: what was taken is also answered.
        let feed = self.feed.upgrade().ok_or(Unavailable)?;
        self.requests.try_send(request(reply)).map_err(|_| Unavailable)?;
        drop(feed);
        answer.await.map_err(|_| Unavailable)
    }
}

//! A handle without a pipeline, for tests of whatever holds one: the test speaks for the pipeline through the same
//! channels.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::pipeline::Tagged;
use super::status::{Handle, Request, Status};
use crate::detect::{SeriesPage, SeriesQuery};
use crate::engine::{Command, Reply};

/// The pipeline's end of a handle.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    status: watch::Sender<Arc<Status>>,
    requests: mpsc::Receiver<Request>,
    _queue: mpsc::Receiver<Tagged>,
    /// A handle alone does not keep the queue.
    _feed: mpsc::Sender<Tagged>,
    _watched: watch::Sender<Arc<[super::explain::Watched]>>,
}

/// What a handle asked, with the way back.
#[derive(Debug)]
pub(crate) enum Asked {
    Command(Command, oneshot::Sender<Reply>),
    Series(SeriesQuery, oneshot::Sender<SeriesPage>),
}

/// Makes a handle and its other end. At most `limit` requests wait.
pub(crate) fn rehearse(limit: usize) -> (Handle, Rehearsal) {
    let (status, shown) = watch::channel(Arc::default());
    let (feed, queue) = mpsc::channel(1);
    let (requests, requested) = mpsc::channel(limit);
    let (watched, shown_watched) = watch::channel(Arc::default());
    let feeds = feed.downgrade();
    let handle = Handle { status: shown, source: None, watched: shown_watched, feed: feeds, requests };
    (handle, Rehearsal { status, requests: requested, _queue: queue, _feed: feed, _watched: watched })
}

impl Rehearsal {
    /// Changes how the pipeline stands.
    pub(crate) fn publish(&self, status: Status) {
        self.status.send_replace(Arc::new(status));
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Option<Asked> {
        match self.requests.recv().await? {
            Request::Command(command, reply) => Some(Asked::Command(command, reply)),
            Request::Series(wanted, reply) => Some(Asked::Series(wanted, reply)),
        }
    }
}

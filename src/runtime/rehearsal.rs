//! A handle without a pipeline, for tests of whatever holds one: the test speaks for the pipeline through the same
//! channels.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::pipeline::{Message, Tagged};
use super::status::{Handle, Request, Status};
use crate::detect::SeriesView;
use crate::engine::{Command, Reply};
use crate::series::SignalName;

/// The pipeline's end of a handle.
#[derive(Debug)]
pub(crate) struct Rehearsal {
    status: watch::Sender<Arc<Status>>,
    queue: mpsc::Receiver<Tagged>,
    /// A handle alone does not keep the queue.
    _feed: mpsc::Sender<Tagged>,
    _watched: watch::Sender<Arc<[super::explain::Watched]>>,
}

/// What a handle asked, with the way back.
#[derive(Debug)]
pub(crate) enum Asked {
    Command(Command, oneshot::Sender<Reply>),
    Series(SignalName, oneshot::Sender<Vec<SeriesView>>),
}

/// Makes a handle and its other end. At most `limit` requests wait.
pub(crate) fn rehearse(limit: usize) -> (Handle, Rehearsal) {
    let (status, shown) = watch::channel(Arc::default());
    let (feed, queue) = mpsc::channel(limit);
    let (watched, shown_watched) = watch::channel(Arc::default());
    let handle = Handle { status: shown, source: None, watched: shown_watched, requests: feed.downgrade() };
    (handle, Rehearsal { status, queue, _feed: feed, _watched: watched })
}

impl Rehearsal {
    /// Changes how the pipeline stands.
    pub(crate) fn publish(&self, status: Status) {
        self.status.send_replace(Arc::new(status));
    }

    /// The next request; what is no request is passed over.
    pub(crate) async fn next(&mut self) -> Option<Asked> {
        loop {
            match self.queue.recv().await?.message {
                Message::Request(Request::Command(command, reply)) => {
                    return Some(Asked::Command(command, reply));
                }
                Message::Request(Request::Series(signal, reply)) => {
                    return Some(Asked::Series(signal, reply));
                }
                Message::Request(Request::Reconfigure(..))
                | Message::Input(_)
                | Message::Polled(..)
                | Message::Asked(_) => {}
            }
        }
    }
}

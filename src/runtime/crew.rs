//! The pollers, one a signal: who they are, what each was told, and how one is ended, started or told something else
//! while the others go on.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use super::metrics::Metrics;
use super::pipeline::Tagged;
use super::poller::{Feed, Orders, Poller};
use super::supervisor::Supervisor;
use crate::series::SignalName;

/// The pollers of all signals.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) clock: Clock,
    /// Weak: the engine ends when the pollers do.
    pub(super) engine: mpsc::WeakSender<Tagged>,
    pub(super) generation: watch::Receiver<u64>,
    pub(super) metrics: Metrics,
    pub(super) supervisor: Supervisor,
    pub(super) posts: BTreeMap<SignalName, Post>,
}

/// One poller that runs.
#[derive(Debug)]
pub(super) struct Post {
    orders: watch::Sender<Orders>,
    stop: CancellationToken,
    ended: CancellationToken,
}

impl Crew {
    /// Brings the pollers in line: one whose orders are the same is left alone, another one gets its new orders and
    /// goes on from where it stands, and one that is missing starts. Those that nobody wants are ended before, by
    /// [`Crew::end`].
    pub(super) fn follow(&mut self, wanted: impl IntoIterator<Item = Orders>) {
        for orders in wanted {
            match self.posts.get(&orders.assignment.query.signal) {
                Some(post) => {
                    post.orders.send_if_modified(|held| {
                        let is_other = !held.are(&orders);
                        if is_other {
                            *held = orders;
                        }
                        is_other
                    });
                }
                None => self.start(orders),
            }
        }
    }

    /// Ends the poller of a signal and waits for that: all that it handed on stands in the queue by then, and no more
    /// follows. Gives what it was told.
    pub(super) async fn end(&mut self, signal: &SignalName) -> Option<Orders> {
        let post = self.posts.remove(signal)?;
        post.stop.cancel();
        post.ended.cancelled().await;
        Some(post.orders.borrow().clone())
    }

    /// What the poller of a signal was told.
    pub(super) fn orders_of(&self, signal: &SignalName) -> Option<Orders> {
        self.posts.get(signal).map(|post| post.orders.borrow().clone())
    }

    fn start(&mut self, orders: Orders) {
        // Where there is no engine any more, the agent stops.
        let Some(engine) = self.engine.upgrade() else { return };
        let signal = orders.assignment.query.signal.clone();
        let (told, told_to) = watch::channel(orders.clone());
        let (stop, ended) = (CancellationToken::new(), CancellationToken::new());
        let feed = Feed {
            backend: orders.backend,
            clock: self.clock.clone(),
            engine,
            generation: self.generation.clone(),
            metrics: self.metrics.clone(),
        };
        let poller = Poller::new(orders.assignment, feed, told_to);
        let (cancelled, stopped, end) =
            (self.supervisor.cancelled(), stop.clone(), ended.clone().drop_guard());
        self.supervisor.spawn("poller", async move {
            tokio::select! {
                () = poller.run() => {}
                () = cancelled.cancelled() => {}
                () = stopped.cancelled() => {}
            }
            // By now the poller is dropped, and with it a message that found no place in the queue.
            drop(end);
        });
        self.posts.insert(signal, Post { orders: told, stop, ended });
    }
}

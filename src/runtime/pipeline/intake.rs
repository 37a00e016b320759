//! What the engine's thread takes next: requests before inputs, and no more inputs at once than a request can wait for.

use std::pin::pin;

use tokio::sync::mpsc::error::TryRecvError;

use super::{Message, Pipeline, Tagged};
use crate::engine::{Engine, Input};
use crate::runtime::jumping::Awake;
use crate::runtime::status::Request;
use crate::store::{Commit, StoreError};

/// So many inputs are stepped and committed together at most.
pub(super) const INPUTS_PER_COMMIT: usize = 256;
/// And no further ones once they hold so many samples, or end slots of so many series: a few milliseconds.
pub(super) const WORK_PER_TURN: usize = 8192;
/// After so many requests in a row an input that waits has its turn.
const REQUESTS_IN_A_ROW: usize = 32;

/// What came first.
enum Next {
    Request(Request),
    Input(Tagged),
    /// Nobody feeds the engine any more.
    End,
}

impl Pipeline {
    /// Waits for the inputs of the next turn, and answers meanwhile what is asked of the engine as it stands, which is
    /// written down by now. Says whether there is a turn.
    pub(super) fn take(&mut self, engine: &Engine, waiting: &mut Vec<Tagged>) -> bool {
        waiting.append(&mut self.later);
        if !waiting.is_empty() {
            return true;
        }
        let mut in_a_row = 0;
        loop {
            let next = match in_a_row < REQUESTS_IN_A_ROW {
                true => self.next(),
                false => self.queue.try_recv().map_or_else(|_| self.next(), Next::Input),
            };
            match next {
                Next::Request(request) => {
                    in_a_row += 1;
                    if let Some(command) = answer(engine, request) {
                        waiting.push(command);
                        return true;
                    }
                }
                Next::Input(first) => {
                    self.fill(engine, first, waiting);
                    return true;
                }
                Next::End => return self.take_last(engine, waiting),
            }
        }
    }

    fn next(&mut self) -> Next {
        let (requests, queue) = (&mut self.requests, &mut self.queue);
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                Some(request) = requests.recv() => Next::Request(request),
                input = queue.recv() => input.map_or(Next::End, Next::Input),
            }
        })
    }

    /// Adds what waits behind an input, as far as one turn goes.
    fn fill(&mut self, engine: &Engine, first: Tagged, waiting: &mut Vec<Tagged>) {
        let mut work = work(engine, &first);
        waiting.push(first);
        while work < WORK_PER_TURN
            && waiting.len() < INPUTS_PER_COMMIT
            && let Ok(next) = self.queue.try_recv()
        {
            work += self::work(engine, &next);
            waiting.push(next);
        }
    }

    /// Writes down what was decided. Where that is only how far samples were judged, readers need not wait for the disk:
    /// the samples would be judged alike once more.
    pub(super) fn write(&mut self, engine: &Engine, commit: &Commit) -> Result<(), StoreError> {
        let (store, requests, later) = (&self.store, &mut self.requests, &mut self.later);
        let decides_nothing = commit.happenings.is_empty();
        self.runtime.block_on(async {
            let mut writing = pin!(store.commit(commit));
            loop {
                tokio::select! {
                    biased;
                    written = &mut writing => return written.map(drop),
                    Some(request) = requests.recv(), if decides_nothing => later.extend(answer(engine, request)),
                }
            }
        })
    }

    /// What was asked before the end is also answered.
    fn take_last(&mut self, engine: &Engine, waiting: &mut Vec<Tagged>) -> bool {
        self.requests.close();
        loop {
            match self.requests.try_recv() {
                Ok(request) => waiting.extend(answer(engine, request)),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return !waiting.is_empty(),
            }
        }
    }
}

/// Answers what only looks; a command is an input like others.
fn answer(engine: &Engine, request: Request) -> Option<Tagged> {
    match request {
        // Whoever asked may have gone.
        Request::Series(wanted, reply) => {
            let _ = reply.send(engine.page(&wanted));
            None
        }
        Request::Command(command, reply) => {
            let message = Message::Command(command, reply);
            Some(Tagged { generation: None, message, awake: Awake::default() })
        }
    }
}

/// What an input costs, in samples or in series of a slot that ends.
pub(super) fn work(engine: &Engine, input: &Tagged) -> usize {
    match &input.message {
        Message::Input(Input::Batch(batch)) => batch.sample_count(),
        Message::Input(Input::SlotClosed { signal, .. }) => engine.tracked(signal),
        Message::Input(_)
        | Message::Polled(..)
        | Message::Asked(_)
        | Message::Command(..)
        | Message::Reconfigure(..) => 0,
    }
}

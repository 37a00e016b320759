//! Who waits for whom at the engine's queue.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::*;
use crate::detect::{SeriesPage, SeriesQuery};
use crate::engine::Coverage;
use crate::id::{Fingerprint, IncidentId};
use crate::runtime::pipeline::intake::{INPUTS_PER_COMMIT, WORK_PER_TURN};
use crate::series::{Batch, Labels, SeriesKey, Service};

/// A batch of one series with so many samples.
fn samples(count: usize) -> Message {
    let key = SeriesKey::new(cpu(), Service::new("shop"), Labels::default());
    let mut batch = Batch::new(cpu());
    batch.begin_row(Arc::new(key));
    (0..count).for_each(|nth| assert!(batch.push(after_ms(nth as i64), 1.0)));
    Message::Input(Input::Batch(batch))
}

impl Bench {
    fn feed(&self, messages: impl IntoIterator<Item = Message>) {
        for message in messages {
            let tagged = Tagged { generation: None, message, awake: self.pipeline.clock.awake() };
            self.feed.as_ref().unwrap().try_send(tagged).unwrap();
        }
    }

    fn ask(&self) -> oneshot::Receiver<SeriesPage> {
        let (reply, answer) = oneshot::channel();
        let wanted = SeriesQuery { signal: cpu(), service: None, state: None, limit: 1 };
        self.asks.try_send(Request::Series(wanted, reply)).unwrap();
        answer
    }

    /// How many messages the next turn has; `None` where there is none any more.
    fn take(&mut self) -> Option<usize> {
        let mut waiting = Vec::new();
        self.pipeline.take(&self.working.engine, &mut waiting).then_some(waiting.len())
    }
}

#[test]
fn a_turn_ends_where_its_work_is_enough_for_who_asks_meanwhile() {
    let mut bench = Bench::ahead_by(0);
    bench.feed((0..6).map(|_| samples(WORK_PER_TURN / 4)));
    bench.feed([samples(WORK_PER_TURN * 3), samples(1)]);
    assert_eq!([bench.take(), bench.take(), bench.take()], [Some(4), Some(3), Some(1)]);
    bench.feed((0..50).map(|_| samples(1)));
    assert_eq!(bench.take(), Some(50), "what is little is written down together");
    const { assert!(INPUTS_PER_COMMIT > 50) };
}

#[test]
fn the_end_of_a_slot_of_many_series_is_work_too() {
    let mut bench = Bench::ahead_by(0);
    let closed = || {
        let (from, through) = (HERE, HERE);
        Message::Input(Input::SlotClosed { signal: cpu(), from, through, coverage: Coverage::Whole })
    };
    bench.feed((0..4).map(|_| closed()));
    assert_eq!(bench.take(), Some(4), "of no series");
    bench.turn([samples(1)]);
    let taken = Tagged { generation: None, message: closed(), awake: Awake::default() };
    assert_eq!(super::super::intake::work(&bench.working.engine, &taken), 1);
}

#[test]
fn who_asks_is_answered_before_the_inputs_that_wait() {
    let mut bench = Bench::ahead_by(0);
    bench.feed([samples(1)]);
    let mut answer = bench.ask();
    assert_eq!(bench.take(), Some(1));
    assert_eq!(answer.try_recv(), Ok(SeriesPage::default()), "before that input is judged");
}

#[test]
fn a_flood_of_questions_holds_up_no_input() {
    let mut bench = Bench::ahead_by(0);
    bench.feed([samples(1)]);
    let answers: Vec<_> = (0..60).map(|_| bench.ask()).collect();
    assert_eq!(bench.take(), Some(1));
    let answered = answers.into_iter().filter_map(|mut answer| answer.try_recv().ok()).count();
    assert_eq!(answered, 32);
}

#[test]
fn a_command_that_was_taken_is_done_before_the_end() {
    let mut bench = Bench::ahead_by(0);
    let (reply, _answer) = oneshot::channel();
    let command = Command::Analyze { incident: IncidentId::derive(Fingerprint::of(&[]), 0) };
    bench.feed([samples(1)]);
    let mut last = bench.ask();
    bench.asks.try_send(Request::Command(command, reply)).unwrap();
    drop(bench.feed.take());
    assert_eq!([bench.take(), bench.take(), bench.take()], [Some(1), Some(1), None]);
    assert_eq!(last.try_recv(), Ok(SeriesPage::default()));
    assert!(bench.asks.is_closed(), "nobody waits for an answer that does not come");
}

#[test]
fn only_what_decides_something_keeps_readers_waiting_while_it_is_written() {
    let mut bench = Bench::ahead_by(0);
    let mut write = |commit: &Commit| {
        let mut answer = bench.ask();
        let (reply, _answer) = oneshot::channel();
        let command = Command::Analyze { incident: IncidentId::derive(Fingerprint::of(&[]), 0) };
        bench.asks.try_send(Request::Command(command, reply)).unwrap();
        bench.pipeline.write(&bench.working.engine, commit).unwrap();
        let is_answered = answer.try_recv().is_ok();
        (is_answered, bench.take())
    };
    let advanced = Commit { advanced: vec![(cpu(), HERE)], ..Commit::default() };
    assert_eq!(write(&advanced), (true, Some(1)), "the command has a turn of its own after it");
    let event = Event::System(SystemEvent::ReloadFailed { config_hash: "a".into(), because: "no".into() });
    let happened = engine::Happening { stream: Stream::System, at: HERE, event };
    let decided = Commit { happenings: vec![happened], ..Commit::default() };
    assert_eq!(write(&decided), (false, Some(1)));
}

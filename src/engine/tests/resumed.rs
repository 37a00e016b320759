//! An engine that goes on from a snapshot of another one, with what that one has written down.

use std::collections::BTreeSet;

use super::story::{Story, WARM, World, at, fault, happenings};
use crate::detect::SeriesQuery;
use crate::engine::{
    Command, Effect, Engine, Event, Failure, Input, NotResumed, Rebase, Restored, Resumption, SystemEvent,
};
use crate::series::{Labels, Service, SignalName};
use crate::time::Timestamp;

fn troubled() -> World {
    let faults = [
        fault("shop", "error_rate", 33..45, 900.0),
        fault("cart", "latency_p95", 52..56, 900.0),
        fault("cart/1", "error_rate", 40..64, None),
        fault("shop", "latency_p95", 70..76, 900.0),
    ];
    World { services: &["shop", "cart", "cart/1"], ..World::shop(faults) }
}

type Frames = Vec<Vec<u8>>;

fn snapshot(story: &Story) -> Frames {
    story.engine.snapshot().expect("nothing waits").collect()
}

/// An engine that starts from a snapshot and from what is stored, with an empty log.
fn resumed(story: &Story, frames: &Frames, stored: Restored) -> Result<Story, NotResumed> {
    let mut resumption = Resumption::new(&story.settings, BTreeSet::new());
    frames.iter().try_for_each(|frame| resumption.take(frame))?;
    let resumed = resumption.finish(&stored, at(0))?;
    let engine = Engine::resume(story.settings.clone(), stored, resumed, at(0));
    Ok(Story { engine, effects: Vec::new(), ..story.clone() })
}

/// The log, with when each of it was written down. Of one moment the order is left out: after a start, a diagnosis waits until
/// each signal was judged.
fn dated(stories: &[&Story]) -> Vec<(Timestamp, String)> {
    let of = |story: &&Story| {
        let at: Vec<Timestamp> = happenings(&story.effects).map(|happening| happening.at).collect();
        at.into_iter().zip(story.log()).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = stories.iter().flat_map(of).collect();
    all.sort();
    all
}

#[test]
fn a_restart_from_a_snapshot_decides_what_no_restart_would_have_decided() {
    let mut whole = Story::warm(troubled());
    whole.play(WARM..100);
    assert!(whole.log().len() > 12, "{:?}", whole.log());
    for cut in WARM..100 {
        let mut first = Story::warm(troubled());
        first.play(WARM..cut);
        let mut second = resumed(&first, &snapshot(&first), first.stored()).unwrap();
        for signal in ["error_rate", "latency_p95"].map(SignalName::new) {
            assert_eq!(second.engine.tracked(&signal), 3);
        }
        second.play(cut..100);
        assert_eq!(dated(&[&first, &second]), dated(&[&whole]), "cut at slot {cut}");
        // Nothing is left that could come out otherwise later.
        let state = |story: &Story| story.engine.detect.snapshot(|_| true).collect::<Frames>();
        assert!(state(&second) == state(&whole), "cut at slot {cut}");
    }
}

#[test]
fn a_crash_after_an_older_snapshot_judges_what_came_since_in_silence() {
    let mut whole = Story::warm(troubled());
    whole.play(WARM..100);
    for early in (WARM..80).step_by(7) {
        for cut in early..(early + 20).min(100) {
            let mut first = Story::warm(troubled());
            first.play(WARM..early);
            let frames = snapshot(&first);
            first.play(early..cut);
            let mut second = resumed(&first, &frames, first.stored()).unwrap();
            if early < cut {
                second.poll(early..cut);
            }
            second.play(cut..100);
            let log: Vec<String> = first.log().into_iter().chain(second.log()).collect();
            assert_eq!(log, whole.log(), "snapshot at slot {early}, cut at slot {cut}");
        }
    }
}

#[test]
fn a_snapshot_that_is_ahead_of_the_log_is_refused() {
    let mut story = Story::warm(troubled());
    story.play(WARM..50);
    let stored = story.stored();
    story.play(50..60);
    let refusal = resumed(&story, &snapshot(&story), stored).unwrap_err();
    let signal = SignalName::new("error_rate");
    assert_eq!(refusal, NotResumed::Ahead { signal, held: at(59), logged: at(49) });
    let refusal = resumed(&story, &snapshot(&story), Restored::default()).unwrap_err();
    assert!(matches!(refusal, NotResumed::Ahead { .. }), "{refusal}");
}

#[test]
fn there_is_no_snapshot_while_what_was_found_waits_for_other_signals() {
    let mut story = Story::warm(troubled());
    story.play(WARM..40);
    story.fail(40..60, Failure::Backend);
    assert!(story.engine.snapshot().is_some(), "nothing waits while nothing is answered");
    let signal = SignalName::new("error_rate");
    story.step(60, Input::Batch(story.world.batch("error_rate", 40..60)));
    story.step(
        60,
        Input::SlotClosed { signal, from: at(40), through: at(59), coverage: crate::engine::Coverage::Whole },
    );
    assert!(story.engine.snapshot().is_none(), "the other signal is still to be caught up");
    story.poll(40..61);
    assert!(story.engine.snapshot().is_some());
}

#[test]
fn a_restart_amid_steps_without_samples_tells_of_each_of_them_once() {
    let gone = ["shop", "cart"].map(|service| fault(service, "error_rate", 40..60, None));
    for cut in 38..63 {
        let world = World { signals: &["error_rate"], ..World::shop(gone.clone()) };
        let mut first = Story::warm(world);
        first.play(WARM..cut);
        let stored = first.stored();
        let mut second = resumed(&first, &snapshot(&first), stored.clone()).unwrap();
        // What is not told yet is asked for again.
        let through = stored.judged_through.values().next().copied().unwrap();
        let again = (0..cut).find(|slot| at(*slot) > through).unwrap_or(cut);
        if again < cut {
            second.poll(again..cut);
        }
        second.play(cut..80);
        let mut told: Vec<i64> = Vec::new();
        for happening in happenings(&first.effects).chain(happenings(&second.effects)) {
            if let Event::System(SystemEvent::StepsNotJudged { from, to, .. }) = &happening.event {
                told.extend((0..200).filter(|slot| (*from..=*to).contains(&at(*slot))));
            }
        }
        assert_eq!(told, (40..60).collect::<Vec<i64>>(), "cut at slot {cut}");
    }
}

/// A series that somebody has declared normal: before the snapshot that is in it, after it the log tells of it.
#[test]
fn what_detection_was_told_is_told_once() {
    let shifted = || World::shop([fault("shop", "error_rate", 40..400, 180.0)]);
    let rebase = || {
        Input::Command(Command::Rebase(Rebase {
            signal: SignalName::new("error_rate"),
            service: Service::new("shop"),
            labels: Labels::default(),
            by: "ada".to_owned(),
            comment: "moved".to_owned(),
        }))
    };
    let mut whole = Story::warm(shifted());
    whole.play(WARM..50);
    whole.step(49, rebase());
    whole.play(50..120);
    for (early, cut) in [(45, 50), (45, 60), (50, 50), (50, 70), (60, 60)] {
        let mut first = Story::warm(shifted());
        let (mut frames, mut is_told) = (None, false);
        for slot in WARM..=cut {
            if slot == 50 {
                is_told = true;
                first.step(49, rebase());
            }
            if slot == early {
                frames = Some(snapshot(&first));
            }
            if slot < cut {
                first.play(slot..slot + 1);
            }
        }
        assert!(is_told);
        let mut second = resumed(&first, &frames.unwrap(), first.stored()).unwrap();
        if early < cut {
            second.poll(early..cut);
        }
        second.play(cut..120);
        let log: Vec<String> = first.log().into_iter().chain(second.log()).collect();
        assert_eq!(log, whole.log(), "snapshot at slot {early}, cut at slot {cut}");
        let all =
            SeriesQuery { signal: SignalName::new("error_rate"), service: None, state: None, limit: 100 };
        let state = |story: &Story| format!("{:?}", story.engine.page(&all));
        assert_eq!(state(&second), state(&whole), "snapshot at slot {early}, cut at slot {cut}");
    }
    let is_reply = |effect: &&Effect| matches!(effect, Effect::Reply(_));
    assert_eq!(whole.effects.iter().filter(is_reply).count(), 1);
}

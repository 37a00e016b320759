//! An engine that starts from what another one has written down.

use std::collections::BTreeMap;

use super::story::{Story, WARM, World, answered_at, at, fault, happenings};
use crate::engine::{Coverage, Event, Failure, Input, Restored, SystemEvent};
use crate::incident::Phase;

const DAY: i64 = 86_400 / super::story::STEP_S;

fn broken(until: i64) -> World {
    World::shop([fault("shop", "error_rate", 30..until, 900.0)])
}

#[test]
fn the_same_history_and_the_next_slots_double_nothing_and_end_the_incident() {
    let mut first = Story::warm(broken(45));
    first.play(WARM..40);
    let mut second = first.restart();
    second.poll(0..40);
    second.check(&[]);
    second.play(40..44);
    second.check(&[]);
    second.play(44..70);
    second.check(&["ended recovered", "resolved recovered"]);
}

#[test]
fn a_restart_decides_what_no_restart_would_have_decided() {
    let mut story = Story::warm(broken(45));
    story.play(WARM..70);
    for cut in WARM..70 {
        let mut first = Story::warm(broken(45));
        first.play(WARM..cut);
        let mut second = first.restart();
        second.poll(0..cut);
        second.play(cut..70);
        let log: Vec<String> = first.log().into_iter().chain(second.log()).collect();
        assert_eq!(log, story.log(), "cut at slot {cut}");
    }
}

#[test]
fn a_resolved_incident_is_not_opened_again_by_its_own_history() {
    let mut first = Story::warm(broken(34));
    first.play(WARM..60);
    // The watermark was lost, the incident was not.
    let stored = Restored { judged_through: BTreeMap::new(), ..first.stored() };
    let mut second = first.restart_from(stored);
    second.play(1..60);
    second.check(&[]);
}

#[test]
fn trouble_that_history_does_not_show_is_ended_as_such() {
    let mut first = Story::warm(broken(200));
    first.play(WARM..40);
    let mut second = first.restart();
    second.world.faults.clear();
    second.poll(0..40);
    second.check(&[]);
    second.play(40..60);
    second.check(&["ended not_in_history", "resolved nothing_left"]);
}

#[test]
fn trouble_that_history_shows_too_late_joins_again() {
    let mut first = Story::warm(broken(200));
    first.play(WARM..32);
    let mut second = first.restart();
    // The backend's history lacks samples that were seen before, so that the same onset shows up a little later.
    second.world.faults = vec![
        fault("shop", "error_rate", 30..31, 900.0),
        fault("shop", "error_rate", 31..33, None),
        fault("shop", "error_rate", 33..200, 900.0),
    ];
    second.poll(0..32);
    second.play(32..36);
    second.check(&[
        "ended not_in_history",
        "not judged error_rate 32..=32 no_samples",
        "joined error_rate",
        "requested 2",
        "diagnosed 2",
    ]);
}

#[test]
fn a_series_that_is_not_there_any_more_stays_open_for_a_day_and_is_never_recovered() {
    let mut first = Story::warm(broken(200));
    first.play(WARM..40);
    let mut second = first.restart();
    second.world.services = &["cart"];
    second.poll(0..40);
    for slot in (40..DAY).step_by(100) {
        second.poll(slot..slot + 1);
    }
    assert_eq!(second.told(), [] as [&str; 0]);
    second.poll(DAY + 100..DAY + 101);
    assert_eq!(second.told(), ["ended forgotten", "resolved nothing_left"]);
}

#[test]
fn a_long_incident_is_not_forgotten_because_its_series_comes_late_after_a_restart() {
    let faults = [fault("shop", "error_rate", 30..10 * DAY, 900.0)];
    let mut first = Story::new(World::shop(faults), 0);
    first.play(0..40);
    // The log says nothing of an anomaly that just goes on; two days later the agent starts again.
    let mut stored = first.stored();
    stored.judged_through.values_mut().for_each(|through| *through = at(2 * DAY));
    let mut second = first.restart_from(stored);
    second.world.services = &["cart"];
    second.poll(2 * DAY - 40..2 * DAY + 1);
    second.play(2 * DAY + 1..2 * DAY + 20);
    second.check(&[]);
}

#[test]
fn a_lost_series_with_too_little_history_for_a_baseline_is_still_lost() {
    let gone = World::shop([fault("shop", "error_rate", 40..10_000, None)]);
    let mut first = Story::warm(World { services: &["shop", "cart"], ..gone });
    first.play(WARM..70);
    assert_eq!(first.log()[0], "opened shop error_rate P2");
    let mut second = first.restart();
    second.poll(30..70);
    second.play(70..100);
    second.check(&[]);
}

#[test]
fn a_diagnosis_that_was_due_is_made_after_the_restart() {
    let mut first = Story::warm(broken(200));
    first.play(WARM..33);
    let mut restored = first.stored();
    restored.open[0].phase = Phase::Detected;
    restored.open[0].revisions = 0;
    let mut second = first.restart_from(restored);
    second.poll(0..33);
    second.check(&["requested 1", "diagnosed 1"]);
}

#[test]
fn after_a_start_a_diagnosis_waits_for_every_signal_but_not_for_long() {
    let mut story = Story::new(broken(200), 0);
    let signal = crate::series::SignalName::new("error_rate");
    let mut one = |slots: std::ops::Range<i64>| {
        let through = at(slots.end - 1);
        let batch = story.world.batch("error_rate", slots.clone());
        story.step(slots.end - 1, Input::Batch(batch));
        story.step(
            slots.end - 1,
            Input::SlotClosed {
                signal: signal.clone(),
                from: at(slots.start),
                through,
                coverage: Coverage::Whole,
            },
        );
        story.log().last().cloned().unwrap_or_default()
    };
    assert_eq!(one(0..34), "captured 1");
    assert_eq!(one(34..35), "captured 1");
    assert_eq!(one(35..36), "diagnosed 1");
    assert!(answered_at(35).since(answered_at(33)).as_secs() >= 30);
}

#[test]
fn a_restart_while_the_backend_is_lost_opens_no_second_incident_and_ends_the_first() {
    for cut in 31..70 {
        let mut first = Story::warm(World::shop([]));
        first.fail(30..cut, Failure::Backend);
        let mut second = first.restart();
        second.fail(cut..100, Failure::Backend);
        second.poll(0..100);
        second.play(100..120);
        let told: Vec<String> = first.told().into_iter().chain(second.told()).collect();
        let expected = [
            "opened source error_rate unanswered P1",
            "joined source latency_p95 unanswered",
            "ended source error_rate returned",
            "ended source latency_p95 returned",
            "resolved recovered",
        ];
        assert_eq!(told, expected, "cut at slot {cut}");
    }
}

#[test]
fn a_restart_amid_steps_without_samples_tells_of_each_of_them_once() {
    let gone = ["shop", "cart"].map(|service| fault(service, "error_rate", 40..60, None));
    for cut in 38..63 {
        let world = World { signals: &["error_rate"], ..World::shop(gone.clone()) };
        let mut first = Story::warm(world);
        first.play(WARM..cut);
        let mut second = first.restart();
        second.poll(0..cut);
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

//! How a loss of the source ends, what belongs to one, and what waits for the rest of it.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use super::reload::reload;
use super::story::{Fault, Story, WARM, World, at, fault, rebuilt};
use crate::engine::{Coverage, Failure, Input};
use crate::id::Fingerprint;
use crate::series::SignalName;
use crate::time::Timestamp;

const SERVICES: &[&str] = &["a", "b", "c", "d", "e", "f", "g"];
const SIGNALS: &[&str] = &["error_rate", "latency_p95", "request_rate", "cpu_usage", "memory_usage"];
/// More slots than a day has.
const DAY: i64 = 5760 + 300;

fn gone(services: &[&'static str], slots: Range<i64>) -> Vec<Fault> {
    services.iter().map(|service| fault(service, "error_rate", slots.clone(), None)).collect()
}

fn warm(services: &'static [&'static str], faults: Vec<Fault>) -> Story {
    Story::warm(World { services, signals: &SIGNALS[..1], faults })
}

/// One part of a signal's answer, taken at a slot.
fn part(story: &mut Story, signal: &str, slots: Range<i64>, now: i64, coverage: Coverage) {
    story.step(now, Input::Batch(story.world.batch(signal, slots.clone())));
    let (from, through) = (at(slots.start), at(slots.end - 1));
    story.step(now, Input::SlotClosed { signal: SignalName::new(signal), from, through, coverage });
}

fn fail(story: &mut Story, signal: &str, slot: i64, failure: Failure) {
    let (signal, because) = (SignalName::new(signal), "query got no answer".to_owned());
    story.step(slot, Input::PollFailed { signal, slot: at(slot), failure, because });
}

/// Every series in trouble of a service, since when, and in which company.
fn troubles(story: &Story) -> BTreeSet<BTreeSet<(Fingerprint, Timestamp)>> {
    let incidents = rebuilt(&story.effects).into_iter().filter(|i| i.subject.service().is_some());
    let members = |incident: crate::incident::Incident| {
        incident.members.iter().map(|member| (member.key.hash, member.trouble.onset())).collect()
    };
    incidents.map(members).collect()
}

fn in_chunks(story: &mut Story, slots: Range<i64>) {
    let mut from = slots.start;
    while from < slots.end {
        story.poll(from..(from + 4).min(slots.end));
        from += 4;
    }
}

// ---- What ends ----------------------------------------------------------------------------------------------

#[test]
fn series_that_are_gone_for_good_end_their_outage_after_a_day() {
    let mut story = warm(SERVICES, gone(SERVICES, 30..10_000));
    story.play(WARM..60);
    in_chunks(&mut story, 60..5700);
    let opened = "opened source error_rate stopped P2";
    assert_eq!(story.told(), [opened]);
    let mut restarted = story.restart();
    for story in [&mut story, &mut restarted] {
        in_chunks(story, 5700..DAY);
    }
    let ended = ["ended source error_rate forgotten", "resolved nothing_left"];
    assert_eq!(story.told()[1..], ended);
    assert_eq!(restarted.told(), ended);
}

#[test]
fn one_signal_that_is_refused_after_it_keeps_no_lost_backend_open() {
    let mut story = Story::warm(World::shop([]));
    story.fail(30..50, Failure::Backend);
    for slot in 50..90 {
        part(&mut story, "error_rate", slot - 20 * i64::from(slot == 50)..slot + 1, slot, Coverage::Whole);
        fail(&mut story, "latency_p95", slot, Failure::Query);
    }
    let expected = [
        "opened source error_rate unanswered P1",
        "joined source latency_p95 unanswered",
        "unanswered latency_p95",
        "ended source error_rate returned",
        "ended source latency_p95 returned",
        "resolved recovered",
    ];
    let told = story.told();
    assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), BTreeSet::from(expected));
    assert_eq!(told.last().unwrap(), "resolved recovered");
}

#[test]
fn another_query_ends_the_outage_of_the_old_one_and_the_same_config_does_not() {
    let mut story = warm(SERVICES, gone(SERVICES, 30..10_000));
    story.play(WARM..60);
    let settings = story.settings.clone();
    story.step(59, reload(&settings, &[]));
    story.play(60..70);
    assert_eq!(story.told(), ["opened source error_rate stopped P2", "reloaded"]);
    story.step(69, reload(&settings, &["error_rate"]));
    story.play(70..100);
    let ended = ["reloaded", "ended source error_rate unwatched", "resolved nothing_left"];
    assert_eq!(story.told()[2..], ended);
}

// ---- What belongs to it -------------------------------------------------------------------------------------

#[test]
fn pods_that_are_replaced_are_no_outage_although_one_is_late() {
    let pods: &[&str] = &["a/1", "a/2", "b/1", "b/2", "a/3", "a/4", "b/3", "b/4"];
    let late = |pod, until| fault(pod, "error_rate", 0..until, None);
    let new = vec![late("a/3", 42), late("a/4", 42), late("b/3", 43), late("b/4", 75)];
    let faults = [gone(&pods[..4], 40..10_000), new].concat();
    let mut story = warm(pods, faults.clone());
    story.play(WARM..100);
    let told = story.told();
    assert!(told.iter().all(|line| !line.contains("source")), "{told:?}");
    assert_eq!(told.iter().filter(|line| line.starts_with("opened")).count(), 2, "{told:?}");
    let mut at_once = warm(pods, faults);
    at_once.poll(WARM..100);
    assert_eq!(troubles(&at_once), troubles(&story));
}

#[test]
fn what_stops_long_after_most_of_the_rest_is_told() {
    let faults = [gone(&["a", "b", "c", "d"], 30..10_000), gone(&["g"], 200..10_000)].concat();
    let mut story = warm(SERVICES, faults);
    story.play(WARM..240);
    let expected = ["opened source error_rate stopped P2", "opened g error_rate P2"];
    assert_eq!(story.told(), expected);
    let mut restarted = story.restart();
    restarted.poll(0..240);
    restarted.play(240..260);
    assert_eq!(restarted.told(), [] as [&str; 0]);
}

// ---- What waits ---------------------------------------------------------------------------------------------

#[test]
fn what_is_caught_up_in_parts_is_judged_as_if_in_time() {
    let faults = vec![
        // Gone and back within the outage.
        fault("c", "error_rate", 36..66, None),
        fault("a", "latency_p95", 40..50, 900.0),
        fault("a", "error_rate", 80..88, 900.0),
    ];
    let world = World { services: &SERVICES[..3], signals: &SIGNALS[..2], faults };
    let mut in_time = Story::warm(world.clone());
    in_time.play(WARM..120);
    for parts in [1, 2, 3, 5] {
        let mut late = Story::warm(world.clone());
        late.fail(30..90, Failure::Backend);
        for signal in &SIGNALS[..2] {
            for nth in 0..parts {
                let slots = 30 + 60 * nth / parts..30 + 60 * (nth + 1) / parts;
                part(&mut late, signal, slots, 90, Coverage::Whole);
            }
        }
        late.play(90..120);
        assert_eq!(troubles(&late), troubles(&in_time), "in {parts} parts");
    }
    assert_eq!(troubles(&in_time).len(), 3);
}

#[test]
fn a_backend_that_flaps_does_not_put_off_what_waits() {
    let faults = vec![fault("a", "error_rate", 30..100, 900.0)];
    let mut story = Story::warm(World { services: &SERVICES[..3], signals: SIGNALS, faults });
    story.fail(30..36, Failure::Backend);
    part(&mut story, "error_rate", 30..37, 36, Coverage::Whole);
    assert_eq!(story.told(), [] as [&str; 0], "it waits for the others");
    for slot in 37..44 {
        // Never all of them, and never the same twice in a row: there is always one that is still to come.
        let others = if slot % 2 == 0 { &SIGNALS[1..3] } else { &SIGNALS[3..] };
        fail(&mut story, "error_rate", slot, Failure::Backend);
        others.iter().for_each(|signal| fail(&mut story, signal, slot, Failure::Backend));
        part(&mut story, "error_rate", slot..slot + 1, slot, Coverage::Whole);
    }
    assert!(story.told().contains(&"opened a error_rate P2".to_owned()), "{:?}", story.told());
}

// ---- What is forgotten and how often it is told -------------------------------------------------------------

#[test]
fn what_is_missing_in_partial_answers_for_a_day_is_forgotten() {
    let mut story = warm(&SERVICES[..3], gone(&["c"], 30..10_000));
    for slot in (30..DAY).step_by(60) {
        let coverage = Coverage::Partial { because: "a node is down".to_owned() };
        part(&mut story, "error_rate", slot..slot + 60, slot + 59, coverage);
    }
    let (_, tally) = story.engine.tallies().remove(0);
    assert_eq!(tally.series, 2);
    assert!(tally.evicted_total > 0);
}

#[test]
fn a_signal_that_is_empty_by_nature_is_told_seldom() {
    let faults = vec![fault("shop", "latency_p95", 1..100_000, None)];
    let mut story = Story::new(World::shop(faults), 0);
    let day = Duration::from_secs(86_400);
    in_chunks(&mut story, 0..3 * DAY);
    let log = story.log();
    let told = log.iter().filter(|line| line.starts_with("not judged latency_p95")).count();
    assert!(told <= 16, "{told} events in three times {day:?}");
}

//! A backend that is lost for a while, over the signals of the demo service.

use std::ops::Range;

use portent::id::Fingerprint;
use portent::incident::Subject;
use portent::replay::{Replay, Replayed};
use portent::time::Timestamp;
use portent_demo_service::{Schedule, World};

use super::world::{Run, Sampling, replay, replay_with};

const START_MS: i64 = 1_800_000_000_000;
const MINUTE_MS: i64 = 60_000;

/// The incidents of services, by what was in trouble and since when. Which series was judged first, and so gives the id,
/// depends on the order of the polls.
fn of_services(replay: &Replay) -> Vec<Vec<(Fingerprint, Timestamp)>> {
    let services = replay.incidents().filter(|replayed| replayed.incident.subject.service().is_some());
    let members = |replayed: &Replayed| {
        let members = replayed.incident.members.iter();
        let mut members: Vec<_> = members.map(|m| (m.key.hash, m.trouble.onset())).collect();
        members.sort();
        members
    };
    let mut incidents: Vec<_> = services.map(members).collect();
    incidents.sort();
    incidents
}

#[track_caller]
fn check(lost_ms: i64, about_the_source: usize) {
    let world = World::new(11, Schedule::On);
    let until_ms = START_MS + 240 * MINUTE_MS;
    let run = Run { from_ms: START_MS - 60 * MINUTE_MS, acts_from_ms: START_MS, until_ms };
    // It begins in the middle of a fault.
    let from_ms = START_MS + 70_000;
    let down: Range<i64> = from_ms..from_ms + lost_ms;
    let late = replay_with(&world, run, Sampling::direct(), down);
    let in_time = replay(&world, run, Sampling::direct());
    let source: Vec<_> =
        late.incidents().filter(|replayed| replayed.incident.subject == Subject::Source).collect();
    assert_eq!(source.len(), about_the_source);
    for replayed in source {
        let incident = &replayed.incident;
        assert!(incident.is_resolved(), "{:?}", incident.phase);
        assert_eq!(incident.onset(), Timestamp::from_millis(START_MS + 2 * MINUTE_MS));
        assert_eq!(incident.outages.len(), 5, "every signal");
        assert!(!replayed.diagnoses[0].hypotheses.is_empty());
    }
    assert_eq!(of_services(&late), of_services(&in_time), "what was caught up is judged as if in time");
}

#[test]
fn a_minute_without_the_backend_changes_nothing() {
    check(MINUTE_MS, 0);
}

#[test]
fn ten_minutes_without_the_backend_are_one_incident_about_the_source() {
    check(10 * MINUTE_MS, 1);
}

#[test]
fn three_hours_without_the_backend_are_one_incident_and_every_fault_is_found_after_it() {
    check(180 * MINUTE_MS, 1);
}

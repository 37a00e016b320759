//! The whole pipeline in virtual time, over the signals of the demo service: what it finds, what it leaves alone, and
//! how the naive rule fares on the same samples.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test crate: a failure is the message, and figures are printed"
)]

mod simulation {
    mod churn;
    pub(crate) mod naive;
    mod outages;
    pub(crate) mod world;
}

use portent::time::Timestamp;
use portent_demo_service::{SERVICES, Schedule, World};
use simulation::world::{Run, Sampling, caught_and_false, fault_free, replay};

const HOUR_MS: i64 = 3_600_000;
/// A cycle's start: a multiple of 600 s.
const START_MS: i64 = 1_800_000_000_000;

#[test]
fn ten_of_ten_faults_are_caught_and_nothing_else_for_twenty_seeds() {
    for seed in 0..20 {
        let world = World::new(seed, Schedule::On);
        let run = Run { from_ms: START_MS - HOUR_MS, acts_from_ms: START_MS, until_ms: START_MS + 1_320_000 };
        let replay = replay(&world, run, Sampling::direct());
        let (caught, missed, wrong) = caught_and_false(&world, &replay, START_MS, START_MS + 1_200_000);
        assert_eq!((caught, missed, &wrong), (10, 0, &Vec::new()), "seed {seed}");
    }
}

/// 45 s faults, 15 s scrape, 60 s poll: whatever the phases, each fault is seen; the naive rule sees a quarter.
#[test]
fn every_phase_of_scrape_and_poll_catches_every_fault() {
    let (mut seen, mut naive_seen, mut all) = (0, 0, 0);
    for scrape_s in 0..15 {
        for poll_s in 0..60 {
            let world = World::new(1000 + scrape_s as u64, Schedule::On);
            let run =
                Run { from_ms: START_MS - 600_000, acts_from_ms: START_MS, until_ms: START_MS + 720_000 };
            let sampling = Sampling { scrape_offset_ms: scrape_s * 1000, poll_offset_ms: poll_s * 1000 };
            let replay = replay(&world, run, sampling);
            let (caught, missed, wrong) = caught_and_false(&world, &replay, START_MS, START_MS + 600_000);
            assert_eq!((caught, missed, &wrong), (5, 0, &Vec::new()), "scrape {scrape_s}, poll {poll_s}");
            seen += caught;
            all += SERVICES.len();
            naive_seen += simulation::naive::naive_caught(&world, run, sampling);
        }
    }
    println!("caught {seen} of {all} faults over all phases; the naive rule {naive_seen}");
    assert!(naive_seen * 3 < all, "the naive rule misses most of them: {naive_seen} of {all}");
}

#[test]
fn a_day_without_faults_opens_at_most_one_incident_in_the_mean() {
    let (mut ours, mut naive) = (0, 0);
    for seed in 0..20 {
        let (incidents, openings) = fault_free(seed, 24 * HOUR_MS, START_MS);
        ours += incidents;
        naive += openings;
    }
    println!("20 days x 25 series without faults: {ours} incidents, the naive rule {naive} flags");
    assert!(ours <= 20, "{ours} incidents in 20 days");
    assert!(naive > 100 * ours.max(1), "the naive rule flags far more: {naive}");
}

#[test]
fn the_same_samples_in_other_parts_give_the_same_incidents() {
    let world = World::new(7, Schedule::On);
    let run = Run { from_ms: START_MS - HOUR_MS, acts_from_ms: START_MS, until_ms: START_MS + 1_200_000 };
    let onsets = |poll_s: i64| {
        let sampling = Sampling { scrape_offset_ms: 0, poll_offset_ms: poll_s * 1000 };
        let replay = replay(&world, run, sampling);
        let mut ids: Vec<_> = replay.incidents().map(|r| (r.incident.id, r.incident.onset())).collect();
        ids.sort();
        ids
    };
    assert_eq!(onsets(0), onsets(37));
}

#[test]
fn a_service_that_vanishes_is_a_lost_signal_and_not_a_recovery() {
    let world = World::new(3, Schedule::Off);
    let body = br#"{"service":"order-service","signal":"request_rate","shape":"vanish","duration":"20m"}"#;
    let request = portent_demo_service::FaultRequest::from_json(body).unwrap();
    world.post(request, START_MS + 600_000).unwrap();
    let run = Run { from_ms: START_MS - HOUR_MS, acts_from_ms: START_MS, until_ms: START_MS + 1_700_000 };
    let replay = replay(&world, run, Sampling::direct());
    let incidents: Vec<_> = replay.incidents().collect();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].incident.subject.to_string(), "order-service");
    assert!(!incidents[0].incident.is_resolved(), "it is still gone");
    let first = &incidents[0].diagnoses.last().unwrap().hypotheses[0];
    assert_eq!(first.cause, portent::diagnose::Cause::Gone);
}

#[test]
fn a_new_level_is_adopted_after_the_documented_time() {
    let world = World::new(4, Schedule::Off);
    let body = br#"{"service":"inventory-service","signal":"request_rate","shape":"level_shift","factor":2}"#;
    world.post(portent_demo_service::FaultRequest::from_json(body).unwrap(), START_MS).unwrap();
    let run =
        Run { from_ms: START_MS - HOUR_MS, acts_from_ms: START_MS - 1, until_ms: START_MS + 5 * HOUR_MS };
    let replay = replay(&world, run, Sampling::direct());
    let incidents: Vec<_> = replay.incidents().collect();
    assert_eq!(incidents.len(), 1, "one incident, not one a slot");
    let portent::incident::Phase::Resolved { at, .. } = incidents[0].incident.phase else {
        panic!("it never ends: {:?}", incidents[0].incident.phase)
    };
    let took = at.since(Timestamp::from_millis(START_MS)).as_secs();
    assert!((1800..1800 + 300).contains(&took), "adopted after {took} s");
    let member = &incidents[0].incident.members[0];
    assert!(
        matches!(
            member.state,
            portent::incident::MemberState::Ended {
                because: portent::incident::Ended::Restarted(portent::detect::Restart::Adopted { .. }),
                ..
            }
        ),
        "{:?}",
        member.state
    );
}

/// However often a fault comes and wherever in it a series is first seen: what a fault leaves under the boundary may not
/// raise it, or the next one would not be seen.
#[test]
fn hours_of_faults_hide_none_of_them() {
    let (mut seen, mut missed) = (0, 0);
    for seed in 1..=6 {
        for offset in 0..40 {
            let world = World::new(seed, Schedule::On);
            let from_ms = START_MS + offset * 15_000;
            let run = Run { from_ms, acts_from_ms: from_ms + HOUR_MS, until_ms: from_ms + 3 * HOUR_MS };
            let replay = replay(&world, run, Sampling::direct());
            let until_ms = run.until_ms - 120_000;
            let (caught, not, wrong) = caught_and_false(&world, &replay, run.acts_from_ms, until_ms);
            assert_eq!(wrong, Vec::<String>::new(), "seed {seed}, history from {offset} steps into a cycle");
            seen += caught;
            missed += not;
        }
    }
    println!("240 runs of two hours: {seen} faults caught, {missed} missed");
    assert_eq!(missed, 0, "of {}", seen + missed);
}

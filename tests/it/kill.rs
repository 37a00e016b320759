//! `kill -9` at any moment: nothing that was acknowledged is lost, nothing is doubled.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use portent_demo_service::{FaultRequest, SERVICES, Schedule, World};

use super::support::{Agent, Demo, now_ms, real_clock};

const KILLS: u64 = 50;

/// A number from a seed: splitmix64, so that a failing run can be had again.
fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_at_any_moment_loses_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(21, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let config = format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\nclear_points = 1\ndetector = \"classic\"\nopen_points = 3\nopen_window = 3\nstrong_points = 2\n\
         [incident]\nresolve_after = \"1s\"\n[runtime]\nhistory = \"2m\"\nfirst_look = \"1s\"\n\
         [signal.error_rate]\nquery = \"demo_error_rate\"\n[signal.latency_p95]\nquery = \"demo_latency_p95\"\n",
        demo.url()
    );
    let clock = portent::runtime::Clock::real();
    let mut acknowledged: BTreeSet<String> = BTreeSet::new();
    for round in 0..KILLS {
        post_fault(&world, round);
        let mut agent = Agent::start(folder.path(), &config);
        // From before it listens to well after its first commits.
        let lives = Duration::from_millis(50 + mix(round) % 1500);
        let begun = Instant::now();
        while begun.elapsed() < lives {
            // A little apart, so that the agent has the processor.
            clock.sleep(Duration::from_millis(5)).await;
            if let Some(incidents) = agent.incidents().await {
                acknowledged.extend(incidents.iter().map(|i| i["id"].as_str().unwrap().to_owned()));
            }
        }
        agent.process.kill();
    }
    let agent = Agent::start(folder.path(), &config);
    agent.ready().await;
    let incidents = agent.incidents().await.unwrap();
    let ids: Vec<&str> = incidents.iter().map(|i| i["id"].as_str().unwrap()).collect();
    let unique: BTreeSet<&str> = ids.iter().copied().collect();
    eprintln!("{} incidents acknowledged over {KILLS} kills, {} in the store", acknowledged.len(), ids.len());
    assert_eq!(unique.len(), ids.len(), "an id stands twice: {ids:?}");
    for id in &acknowledged {
        assert!(unique.contains(id.as_str()), "incident {id} was shown and is lost");
    }
    assert!(acknowledged.len() >= 15, "faults were posted, incidents must have opened");
    assert_no_trouble_stands_twice(&agent, &ids).await;
}

/// A fault for each round: a service and a signal in turn, long enough for a few samples.
fn post_fault(world: &World, round: u64) {
    let service = SERVICES[(round % 5) as usize].name;
    let signal = if round.is_multiple_of(2) { "error_rate" } else { "latency_p95" };
    let body = format!(
        r#"{{"service":"{service}","signal":"{signal}","shape":"step","factor":10,"duration":"3s"}}"#
    );
    world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), now_ms()).unwrap();
}

/// The same series with the same onset belongs to one incident, and each incident's timeline begins with one opening.
async fn assert_no_trouble_stands_twice(agent: &Agent, ids: &[&str]) {
    let mut holders: BTreeMap<String, &str> = BTreeMap::new();
    for id in ids {
        let incident = agent.get(&format!("/api/v1/incidents/{id}")).await.unwrap();
        for member in incident["members"].as_array().unwrap() {
            assert!(member["series"]["name"].is_string(), "{member:#}");
            let trouble = format!("{} {}", member["series"]["name"], member["onset_at"]);
            let other = holders.insert(trouble.clone(), id);
            let Some(other) = other else { continue };
            let timeline = |id: &str| format!("/api/v1/incidents/{id}/events");
            let (this, that) = (agent.get(&timeline(id)).await, agent.get(&timeline(other)).await);
            panic!("{trouble} stands in {id} and in {other}:\n{this:#?}\n{that:#?}");
        }
        let events = agent.get(&format!("/api/v1/incidents/{id}/events")).await.unwrap();
        let openings =
            events["events"].as_array().unwrap().iter().filter(|e| e["type"] == "incident.opened").count();
        assert_eq!(openings, 1, "incident {id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_finishes_and_exits_with_success() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(22, Schedule::On), real_clock()).await;
    let config =
        format!("[source]\nurl = \"{}\"\n[signal.cpu_usage]\nquery = \"demo_cpu_usage\"\n", demo.url());
    let mut agent = Agent::start(folder.path(), &config);
    agent.ready().await;
    let id = agent.process.0.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let status = tokio::task::spawn_blocking(move || agent.process.0.wait()).await.unwrap().unwrap();
    let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
    assert!(status.success(), "{status}\n{log}");
    assert!(log.contains("told to stop"), "{log}");
}

//! What is known of the series outlasts the process: after a stop, after a crash, and not where it is damaged.

use std::path::Path;

use portent::detect::Detector;
use portent_demo_service::{Schedule, World};
use serde_json::Value;

use super::support::{Agent, Demo, eventually, now_ms, real_clock};

/// A step that does not end while the test runs: nothing comes meanwhile, so what was known is what is known.
fn long_step() -> i64 {
    let left = |step: &i64| step - (now_ms() / 1000).rem_euclid(*step);
    [3600, 3000, 2500].into_iter().max_by_key(left).unwrap()
}

/// Signals that are each judged by another detector.
fn config(demo: &Demo, step: &str, history: &str) -> String {
    let mut config = format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"{step}\"\ninterval = \"{step}\"\n\
         [runtime]\nhistory = \"{history}\"\nfirst_look = \"0s\"\nsnapshot_interval = \"1s\"\n",
        demo.url()
    );
    for detector in Detector::ALL {
        let name = detector.as_str();
        config += &format!("[signal.by_{name}]\nquery = \"demo_error_rate\"\ndetector = \"{name}\"\n");
    }
    config
}

/// What is known of the series of each signal.
async fn known(agent: &Agent) -> Vec<Value> {
    let mut signals = Vec::new();
    for detector in Detector::ALL {
        let signal = agent.get(&format!("/api/v1/signals/by_{}", detector.as_str())).await.unwrap();
        assert!(signal["series"].as_array().is_some_and(|series| !series.is_empty()), "{signal:#}");
        signals.push(signal["series"].clone());
    }
    signals
}

/// The sum of a metric over all signals.
async fn figure(agent: &Agent, name: &str) -> u64 {
    let page = reqwest::get(format!("{}/metrics", agent.url)).await.unwrap().text().await.unwrap();
    let lines = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    lines.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap() as u64).sum()
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

async fn stop(mut agent: Agent, folder: &Path) {
    agent.process.signal("TERM");
    let status = agent.process.ended().await;
    assert!(status.success(), "{status}\n{}", log(folder));
}

async fn started(folder: &Path, config: &str) -> Agent {
    let agent = Agent::start(folder, config);
    agent.ready().await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_stop_all_detectors_know_what_they_knew_and_ask_for_no_history() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(61, Schedule::On), real_clock()).await;
    let step = format!("{}s", long_step());
    let agent = started(folder.path(), &config(&demo, &step, "30d")).await;
    let before = known(&agent).await;
    assert_eq!(figure(&agent, "portent_snapshot_resumed_series").await, 0);
    assert!(figure(&agent, "portent_samples_judged_total").await > 1000);
    stop(agent, folder.path()).await;
    let state = folder.path().join("portent.db.snapshot");
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&state).unwrap().permissions().mode() & 0o777, 0o600);
    }

    // An hour of history would make nothing warm at such a step.
    let agent = started(folder.path(), &config(&demo, &step, "1h")).await;
    assert_eq!(known(&agent).await, before, "{}", log(folder.path()));
    assert_eq!(figure(&agent, "portent_series_warming").await, 0);
    assert_eq!(figure(&agent, "portent_samples_judged_total").await, 0, "nothing was judged again");
    assert!(figure(&agent, "portent_snapshot_resumed_series").await > 9);
    assert!(log(folder.path()).contains("goes on with the state of"), "{}", log(folder.path()));
    stop(agent, folder.path()).await;

    // Another query has other series, and the others go on.
    let other = config(&demo, &step, "1h").replacen("demo_error_rate", "demo_latency_p95", 1);
    let agent = started(folder.path(), &other).await;
    let after = known(&agent).await;
    assert_eq!(after[1..], before[1..]);
    assert_ne!(after[0], before[0]);
    stop(agent, folder.path()).await;

    // What is damaged is not used, and the log says so.
    let mut bytes = std::fs::read(&state).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&state, &bytes).unwrap();
    let agent = started(folder.path(), &config(&demo, &step, "1h")).await;
    let line = "is not used, and history is read anew: it ";
    assert!(log(folder.path()).contains(line), "{}", log(folder.path()));
    assert_eq!(figure(&agent, "portent_snapshot_resumed_series").await, 0);
    assert!(figure(&agent, "portent_samples_judged_total").await > 0);
    stop(agent, folder.path()).await;

    // Nor is what belongs to another log.
    std::fs::rename(&state, folder.path().join("kept")).unwrap();
    for file in ["portent.db", "portent.db-wal", "portent.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(file));
    }
    std::fs::rename(folder.path().join("kept"), &state).unwrap();
    let agent = started(folder.path(), &config(&demo, &step, "1h")).await;
    assert!(log(folder.path()).contains("it belongs to another log"), "{}", log(folder.path()));
    stop(agent, folder.path()).await;

    // Switched off, it is neither read nor written.
    std::fs::remove_file(&state).unwrap();
    let off = config(&demo, &step, "1h").replace("snapshot_interval", "snapshot = false\nsnapshot_interval");
    stop(started(folder.path(), &off).await, folder.path()).await;
    assert!(!state.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_what_came_since_the_last_snapshot_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(62, Schedule::Off), real_clock()).await;
    let mut agent = started(folder.path(), &config(&demo, "1s", "30m")).await;
    // One that was begun when all history was read.
    let ready_at = now_ms() as u64 / 1000;
    eventually("a snapshot", || async {
        (figure(&agent, "portent_snapshot_last_success_timestamp_seconds").await > ready_at).then_some(())
    })
    .await;
    let state = folder.path().join("portent.db.snapshot");
    let old = std::fs::read(&state).unwrap();
    // Some seconds later it is an old one.
    let judged = figure(&agent, "portent_samples_judged_total").await;
    eventually("more samples", || async {
        (figure(&agent, "portent_samples_judged_total").await > judged + 100).then_some(())
    })
    .await;
    agent.process.kill();
    std::fs::write(&state, &old).unwrap();
    let agent = started(folder.path(), &config(&demo, "1s", "1m")).await;
    assert!(figure(&agent, "portent_snapshot_resumed_series").await > 9, "{}", log(folder.path()));
    // Half an hour of history would be fifty times as much.
    let again = figure(&agent, "portent_samples_judged_total").await;
    assert!(2 * again < judged, "{again} of {judged}");
    stop(agent, folder.path()).await;
}

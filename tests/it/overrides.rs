//! What is different for some series, on a real Prometheus: what opens, what a reload would change, and budgets of their own.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use portent_demo_service::{SERVICES, Schedule, World};
use serde_json::Value;

use super::history::{GAUGES, Past, STEP_MS};
use super::prometheus::Prometheus;
use super::support::{Agent, eventually, has, now_ms};

/// The service that is left alone, and the signal in which its fault shows.
fn left_alone() -> (&'static str, &'static str) {
    let service = &SERVICES[0];
    (service.name, service.fault_signal.name())
}

/// The services whose own fault has opened an incident.
fn found(incidents: &[Value]) -> BTreeSet<&'static str> {
    let has_opened = |name: &str, signal: &str| {
        incidents.iter().any(|incident| {
            let signals = incident["signals"].as_array().expect("an incident has signals");
            incident["service"] == name && signals.iter().any(|other| *other == signal)
        })
    };
    let found = SERVICES.iter().filter(|service| has_opened(service.name, service.fault_signal.name()));
    found.map(|service| service.name).collect()
}

fn folder_in(folder: &Path, name: &str) -> std::path::PathBuf {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

async fn post(agent: &Agent, path: &str) -> reqwest::Response {
    let reply = reqwest::Client::new().post(format!("{}{path}", agent.url)).send().await.unwrap();
    assert_eq!(reply.status(), 200, "{path}");
    reply
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_on_one_service_changes_what_opens_there_and_nowhere_else() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(11, Schedule::On);
    let now = now_ms();
    let past = Past::start(&world, now - now.rem_euclid(STEP_MS) - 5_400_000).await;
    let history = past.scrapes(STEP_MS).await;
    let target = past.demo.address.to_string();
    let prometheus = Prometheus::start(folder.path(), Some(&history), &target, 15).await;
    let (service, signal) = left_alone();
    let plain = format!(
        "[source]\nurl = \"{}\"\nrequests_per_second = 100\n[runtime]\nfirst_look = \"15m\"\n{GAUGES}",
        prometheus.url
    );
    let over = |least: &str| {
        format!("{plain}[[override]]\nmatchers = 'service=\"{service}\"'\nmin_deviation_relative = {least}\n")
    };
    let all: BTreeSet<&str> = SERVICES.iter().map(|service| service.name).collect();
    let others: BTreeSet<&str> = all.iter().copied().filter(|name| *name != service).collect();

    // The same history with and without it: the one is judged as always, the other but for that service.
    let own = folder_in(folder.path(), "overridden");
    for (folder, text, expected) in
        [(&own, over("100"), &others), (&folder_in(folder.path(), "plain"), plain.clone(), &all)]
    {
        let agent = Agent::start(folder, &text);
        agent.ready().await;
        eventually("an incident for each fault that is looked for", || async {
            let incidents = agent.incidents().await?;
            (found(&incidents).is_superset(expected)).then_some(())
        })
        .await;
    }
    // What was found then is in the store.
    let agent = Agent::start(&own, &over("100"));
    agent.ready().await;
    let incidents = agent.incidents().await.unwrap();
    assert!(incidents.iter().all(|incident| incident["service"] != service), "{incidents:#?}");

    let told = agent.get(&format!("/api/v1/signals/{signal}")).await.unwrap();
    let overrides = told["signal"]["overrides"].as_array().unwrap_or_else(|| panic!("{told:#}"));
    let name = format!("{{service=\"{service}\"}}");
    assert_eq!((&overrides[0]["name"], &overrides[0]["series"]), (&name.clone().into(), &1.into()));
    assert_eq!(overrides[0]["detection"]["min_deviation_relative"], 100.0);
    let series = told["series"].as_array().unwrap().iter();
    let held: Vec<&Value> = series.filter(|series| series["overrides"] != serde_json::json!([])).collect();
    assert!(held.len() == 1 && held[0]["series"]["service"] == service, "{told:#}");

    std::fs::write(own.join("portent.toml"), over("0.05")).unwrap();
    let foreseen: Value = post(&agent, "/-/reload?dry_run=true").await.json().await.unwrap();
    let row = foreseen["signals"].as_array().unwrap().iter().find(|row| row["signal"] == signal).unwrap();
    let key = format!("override {name}: min_deviation_relative");
    assert_eq!((&row["state"], &row["settings"][0]["key"]), (&"kept".into(), &key.into()), "{foreseen:#}");
    post(&agent, "/-/reload").await;
    let told = agent.get(&format!("/api/v1/signals/{signal}")).await.unwrap();
    assert_eq!(told["signal"]["overrides"][0]["detection"]["min_deviation_relative"], 0.05);
    assert_eq!(told["signal"]["series"]["warming"], 0, "nothing that was learnt is lost: {told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_on_a_matcher_is_calibrated_for_the_series_that_match() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let world = World::new(11, Schedule::On);
    let now = now_ms();
    let past = Past::start(&world, now - now.rem_euclid(STEP_MS) - 2 * 3_600_000).await;
    let history = past.scrapes(STEP_MS).await;
    let prometheus = Prometheus::start(folder, Some(&history), &past.demo.address.to_string(), 15).await;
    let text = format!(
        "[source]\nurl = \"{}\"\nrequests_per_second = 100\n[signal_defaults]\nbudget = \"4/hour\"\n{GAUGES}\
         [[override]]\nmatchers = 'service=\"payment-service\"'\nbudget = \"1/day\"\n\
         [[override]]\nmatchers = 'service=\"nobody\"'\nbudget = \"1/week\"\n",
        prometheus.url
    );
    std::fs::write(folder.join("new.toml"), &text).unwrap();
    let budget = |output: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portent"));
        let span = format!("--until={}", (now - 300_000) as f64 / 1e3);
        let args = ["budget", "--config.file=new.toml", "--since=100m", &span, output];
        let output = command.current_dir(folder).args(args).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told: Value = serde_json::from_str(&budget("--output=json")).unwrap();
    let names: Vec<&str> =
        told["budgets"].as_array().unwrap().iter().filter_map(|row| row["name"].as_str()).collect();
    assert_eq!(names, ["*", "{service=\"payment-service\"}"], "{told:#}");
    assert_eq!(told["unmatched"], serde_json::json!(["{service=\"nobody\"}"]));
    // One a day is stricter than four an hour, and each pool is over all signals.
    let openings = |nth: usize| {
        let boundaries = told["budgets"][nth]["boundaries"].as_array().unwrap().iter();
        let boundaries = boundaries.filter_map(|row| row["value"].as_f64());
        boundaries.collect::<Vec<f64>>()
    };
    assert_eq!((openings(0).len(), openings(1).len()), (5, 5));
    assert!(openings(1)[0] < openings(0)[0], "{told:#}");
    let levels = |nth: usize| -> u64 {
        let levels = told["budgets"][nth]["levels"].as_array().unwrap().iter();
        levels.filter_map(|level| level["incidents"].as_u64()).max().unwrap()
    };
    assert!(levels(1) > 0 && levels(1) < levels(0), "of one service, and of the others: {told:#}");
    let text = budget("--output=text");
    assert!(text.contains("{service=\"nobody\"} is not calibrated"), "{text}");
}

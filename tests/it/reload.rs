//! Another config for a running agent: by signal and by request, with the real binary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use portent::engine::Stream;
use portent::store::{self, Store};
use portent_demo_service::{FaultRequest, Schedule, World};
use serde_json::Value;

use super::support::{Agent, Demo, eventually, now_ms, real_clock};

/// The settings of every agent here: a sample and a poll each second, and incidents that end soon.
fn base(demo: &Demo) -> String {
    format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\nclear_points = 2\ndetector = \"classic\"\nopen_points = 3\nopen_window = 3\nstrong_points = 2\n\
         [incident]\nresolve_after = \"2s\"\n[runtime]\nhistory = \"2m\"\nfirst_look = \"1s\"\n",
        demo.url()
    )
}

fn signal(name: &str, keys: &str) -> String {
    format!("[signal.{name}]\nquery = \"demo_{name}\"\n{keys}\n")
}

fn write(folder: &Path, config: &str) {
    std::fs::write(folder.join("portent.toml"), config).unwrap();
}

/// Has the config read again over HTTP: the status and the text of the reply.
async fn post(agent: &Agent) -> (u16, String) {
    let reply = reqwest::Client::new().post(format!("{}/-/reload", agent.url)).send().await.unwrap();
    (reply.status().as_u16(), reply.text().await.unwrap())
}

async fn metrics(agent: &Agent) -> String {
    reqwest::get(format!("{}/metrics", agent.url)).await.unwrap().text().await.unwrap()
}

/// The hash that the status and the one series of the metric tell, and whether the last reload succeeded.
async fn in_force(agent: &Agent) -> (String, bool) {
    let metrics = metrics(agent).await;
    let hash = agent.get("/api/v1/status").await.unwrap()["config_hash"].as_str().unwrap().to_owned();
    let infos: Vec<&str> = metrics.lines().filter(|line| line.starts_with("portent_config_info{")).collect();
    assert_eq!(infos, [format!("portent_config_info{{hash=\"{hash}\"}} 1")]);
    let successful = "portent_config_last_reload_successful ";
    let line = metrics.lines().find_map(|line| line.strip_prefix(successful)).unwrap();
    (hash, line == "1")
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

async fn judged(agent: &Agent, signal: &str) -> Option<u64> {
    let status = agent.get("/api/v1/status").await?;
    let rows = status["signals"].as_array()?;
    rows.iter().find(|row| row["name"] == signal)?["judged_total"].as_u64()
}

fn fault(world: &World, service: &str, seconds: u32) {
    let body = format!(
        r#"{{"service":"{service}","signal":"error_rate","shape":"step","factor":20,"duration":"{seconds}s"}}"#
    );
    world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), now_ms()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_config_is_refused_whole_and_a_good_one_is_in_force_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(41, Schedule::Off), real_clock()).await;
    let base = base(&demo);
    let mut agent = Agent::start(folder.path(), &(base.clone() + &signal("error_rate", "")));
    agent.ready().await;
    let (first, is_fine) = in_force(&agent).await;
    assert!(is_fine);

    // Every mistake is in the reply, and nothing has changed.
    write(folder.path(), &(base.clone() + &signal("error_rate", "sigma = 42\nintervall = \"1s\"")));
    let (status, text) = post(&agent).await;
    assert_eq!(status, 500, "{text}");
    for part in ["portent.toml:", "signal.error_rate.sigma", "42", "intervall", "did you mean"] {
        assert!(text.contains(part), "{part} is missing in:\n{text}");
    }
    assert_eq!(in_force(&agent).await, (first.clone(), false));
    let shown = agent.get("/api/v1/status").await.unwrap();
    assert!(shown["config_refusal"]["because"].as_str().unwrap().contains("intervall"), "{shown:#}");

    // What is read at the start only is refused by name; and a file that is gone.
    write(folder.path(), &(base.clone() + "[api]\nroute_prefix = \"/x\"\n" + &signal("error_rate", "")));
    let (status, text) = post(&agent).await;
    assert!(
        status == 500 && text.contains("api.route_prefix") && text.contains("restart"),
        "{status} {text}"
    );
    std::fs::remove_file(folder.path().join("portent.toml")).unwrap();
    agent.process.signal("HUP");
    eventually("the log of the refusal", || async {
        (log(folder.path()).matches("the config is not reloaded").count() == 3).then_some(())
    })
    .await;
    assert_eq!(in_force(&agent).await, (first.clone(), false));

    // A signal more, by signal; then one less, by request.
    write(folder.path(), &(base.clone() + &signal("error_rate", "") + &signal("cpu_usage", "")));
    agent.process.signal("HUP");
    let second = eventually("the config with one more signal", || async {
        let (hash, is_fine) = in_force(&agent).await;
        (hash != first && is_fine).then_some(hash)
    })
    .await;
    eventually("samples of the new signal are judged", || async {
        judged(&agent, "cpu_usage").await.filter(|judged| *judged > 100)
    })
    .await;
    assert!(metrics(&agent).await.contains("portent_series_tracked{signal=\"error_rate\"}"));
    write(folder.path(), &(base + &signal("cpu_usage", "")));
    let (status, text) = post(&agent).await;
    assert!(status == 200 && text.contains("signals removed: error_rate\n"), "{status} {text}");
    let (third, is_fine) = in_force(&agent).await;
    assert!(is_fine && third != second && text.contains(&third), "{text}");
    let signals = agent.get("/api/v1/signals").await.unwrap();
    assert_eq!(signals["signals"].as_array().unwrap().len(), 1, "{signals:#}");
    assert!(!metrics(&agent).await.contains("portent_series_tracked{signal=\"error_rate\"}"));

    agent.process.signal("TERM");
    assert!(agent.process.ended().await.success(), "{}", log(folder.path()));
    check_events(folder.path(), &[&first, &second, &third]).await;
}

/// The log of events tells each hash that came into force, and each refusal.
async fn check_events(folder: &Path, hashes: &[&str]) {
    let store = Store::open(&store::Settings { path: folder.join("portent.db") }).await.unwrap();
    let stored = store.events(Stream::System, 0, 1000).await.unwrap();
    store.close().await;
    let bodies = |kind: &str| -> Vec<Value> {
        let events = stored.iter().filter(|event| event.kind == kind);
        events.map(|event| serde_json::from_str(&event.body).unwrap()).collect()
    };
    let reloads = bodies("system.config_reloaded");
    let steps: Vec<_> =
        reloads.iter().map(|body| [&body["config_hash_before"], &body["config_hash"]]).collect();
    assert_eq!(steps, [[hashes[0], hashes[1]], [hashes[1], hashes[2]]]);
    assert_eq!(reloads[0]["signals_added"], serde_json::json!(["cpu_usage"]));
    assert_eq!(reloads[1]["signals_removed"], serde_json::json!(["error_rate"]));
    let refusals = bodies("system.reload_failed");
    assert_eq!(refusals.len(), 3, "{refusals:?}");
    assert!(refusals.iter().all(|body| body["config_hash"] == hashes[0]), "{refusals:?}");
    for (body, part) in refusals.iter().zip(["intervall", "api.route_prefix", "portent.toml"]) {
        assert!(body["because"].as_str().unwrap().contains(part), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_threshold_acts_without_a_new_history() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(42, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let blind = signal("error_rate", "min_deviation_absolute = 1e6");
    let agent = Agent::start(folder.path(), &(base(&demo) + &blind));
    agent.ready().await;
    fault(&world, "inventory-service", 4);
    let begun = judged(&agent, "error_rate").await.unwrap();
    eventually("the fault is judged and over", || async {
        judged(&agent, "error_rate").await.filter(|judged| *judged > begun + 5 * 8)
    })
    .await;
    assert_eq!(agent.incidents().await.unwrap().len(), 0, "no deviation is large enough");

    write(folder.path(), &(base(&demo) + &signal("error_rate", "")));
    let before = judged(&agent, "error_rate").await.unwrap();
    let (status, text) = post(&agent).await;
    assert!(status == 200 && text.contains("signals changed: error_rate\n"), "{status} {text}");
    // What was counted goes on: nothing began anew.
    assert!(judged(&agent, "error_rate").await.unwrap() >= before);
    fault(&world, "user-service", 5);
    let incident = eventually("the incident of the fault after the reload", || async {
        agent.incidents().await?.into_iter().next()
    })
    .await;
    assert_eq!(incident["service"], "user-service", "{incident:#}");
}

/// What an agent has found: by incident, its series with their onsets.
async fn found(agent: &Agent) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    for incident in agent.incidents().await.unwrap() {
        let id = incident["id"].as_str().unwrap().to_owned();
        let whole = agent.get(&format!("/api/v1/incidents/{id}")).await.unwrap();
        let member = |member: &Value| format!("{} {}", member["series"]["name"], member["onset_at"]);
        let members: Vec<String> = whole["members"].as_array().unwrap().iter().map(member).collect();
        let unique: BTreeSet<String> = members.iter().cloned().collect();
        assert_eq!(unique.len(), members.len(), "a trouble stands twice in {id}: {members:?}");
        found.insert(id, unique);
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_reloads_while_faults_run_lose_and_double_nothing() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let world = World::new(43, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let config = base(&demo) + &signal("error_rate", "") + &signal("latency_p95", "");
    // The other config polls through a client of its own, and more history would be read.
    let other = config
        .replace("query_delay", "timeout = \"9s\"\nquery_delay")
        .replace("history = \"2m\"", "history = \"3m\"");
    let [left, reloaded] = folders.each_ref().map(|folder| Agent::start(folder.path(), &config));
    for agent in [&left, &reloaded] {
        agent.ready().await;
    }
    let clock = portent::runtime::Clock::real();
    for nth in 0..20 {
        if nth % 5 == 0 {
            let service = ["inventory-service", "user-service", "payment-service", "order-service"][nth / 5];
            fault(&world, service, 6);
        }
        write(folders[1].path(), if nth % 2 == 0 { &other } else { &config });
        if nth % 3 == 0 {
            reloaded.process.signal("HUP");
        } else {
            let (status, text) = post(&reloaded).await;
            assert_eq!(status, 200, "{text}");
        }
        // At all sorts of moments between two polls.
        clock.sleep(Duration::from_millis(370 + 130 * (nth as u64 % 4))).await;
    }
    let expected = eventually("every fault is found and over where nothing was reloaded", || async {
        let incidents = left.incidents().await?;
        let is_over = incidents.iter().all(|incident| incident["status"] == "resolved");
        (incidents.len() >= 4 && is_over).then_some(())?;
        Some(found(&left).await)
    })
    .await;
    eventually("the same where the config was read again and again", || async {
        let incidents = reloaded.incidents().await?;
        (incidents.iter().all(|incident| incident["status"] == "resolved")
            && incidents.len() >= expected.len())
        .then_some(())
    })
    .await;
    assert_eq!(found(&reloaded).await, expected);
    let reloads = log(folders[1].path()).matches("another config is in force").count();
    assert!((15..=20).contains(&reloads), "signals that come together are one: {reloads}");
    let missed = metrics(&reloaded).await;
    assert!(!missed.contains("portent_store_commit_failures_total 1"), "{missed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_is_switched_on_is_asked_about_what_opens_next_and_one_that_is_off_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(44, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let complete = axum::routing::post(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { axum::http::StatusCode::BAD_REQUEST }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/v1/chat/completions", complete);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let off = base(&demo) + &signal("error_rate", "");
    let on = format!(
        "{}[llm]\nenabled = true\nmodel = \"m\"\nbase_url = \"{url}\"\n{}",
        base(&demo),
        signal("error_rate", "")
    );
    let agent = Agent::start(folder.path(), &off);
    agent.ready().await;
    let opened = async |number: usize| {
        eventually("an incident with a diagnosis", || async {
            let incidents = agent.incidents().await?;
            let is_explained = incidents.iter().all(|incident| incident["top_hypothesis"].is_object());
            (incidents.len() >= number && is_explained).then_some(())
        })
        .await;
    };
    fault(&world, "order-service", 4);
    opened(1).await;
    assert_eq!(asked.load(Ordering::SeqCst), 0);

    write(folder.path(), &on);
    let (status, text) = post(&agent).await;
    assert!(status == 200 && text.contains("llm.enabled"), "{status} {text}");
    fault(&world, "user-service", 4);
    opened(2).await;
    let answered = eventually("the model's answer, which is none", || async {
        let status = agent.get("/api/v1/status").await?;
        status["model"]["questions_total"].as_u64().filter(|questions| *questions > 0)
    })
    .await;
    assert!(asked.load(Ordering::SeqCst) > 0, "{answered}");

    write(folder.path(), &off);
    assert_eq!(post(&agent).await.0, 200);
    let before = asked.load(Ordering::SeqCst);
    fault(&world, "inventory-service", 4);
    opened(3).await;
    assert_eq!(asked.load(Ordering::SeqCst), before, "nobody is asked any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_foretells_a_reload_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(43, Schedule::Off), real_clock()).await;
    let base = base(&demo);
    let signals = |sigma: &str, cpu: &str| {
        signal("error_rate", sigma)
            + &signal("cpu_usage", "")
            + &format!("[signal.memory]\nquery = \"{cpu}\"\n")
    };
    let agent = Agent::start(folder.path(), &(base.clone() + &signals("sigma = 3", "demo_memory_bytes")));
    agent.ready().await;
    let before = in_force(&agent).await;
    let foresee = async || {
        let url = format!("{}/-/reload?dry_run=true", agent.url);
        let reply = reqwest::Client::new().post(url).send().await.unwrap();
        assert_eq!(reply.status(), 200);
        reply.json::<Value>().await.unwrap()
    };
    let nothing = foresee().await;
    assert_eq!(
        (&nothing["applies"], &nothing["signals"], &nothing["config_hash"]),
        (&true.into(), &Value::Array(vec![]), &before.0.clone().into())
    );

    write(
        folder.path(),
        &(base.clone() + &signals("sigma = 4", "demo_memory_bytes * 2") + &signal("latency_p95", "")),
    );
    let told = foresee().await;
    let rows = told["signals"].as_array().unwrap().iter().map(|row| {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let settings = row["settings"].as_array().unwrap().iter();
        let settings: Vec<String> =
            settings.map(|one| format!("{} {} {}", one["key"], one["before"], one["after"])).collect();
        (text("signal"), text("change"), text("state"), settings.join("; "))
    });
    let rows: Vec<_> = rows.collect();
    let row = |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());
    assert_eq!(
        rows,
        [
            row("latency_p95", "added", "anew", ""),
            row("error_rate", "changed", "kept", "\"sigma\" \"3\" \"4\""),
            row("memory", "changed", "anew", "\"query\" \"demo_memory_bytes\" \"demo_memory_bytes * 2\""),
        ]
    );
    assert_eq!((told["unchanged_signals"].as_u64(), in_force(&agent).await), (Some(1), before.clone()));

    // The reload does what was foretold.
    assert_eq!(post(&agent).await.0, 200);
    assert_eq!(in_force(&agent).await.0, told["config_hash"].as_str().unwrap());

    write(folder.path(), &(base.clone() + &signals("sigma = 400", "demo_memory_bytes")));
    let refused = foresee().await;
    assert_eq!((&refused["applies"], &refused["config_hash"]), (&false.into(), &Value::Null));
    assert!(refused["refused"].to_string().contains("sigma"), "{refused}");
    write(folder.path(), &(base + &signals("", "demo_memory_bytes") + "[store]\npath = \"other.db\"\n"));
    // A flag stands over that key, so it is no change; this one is.
    write(
        folder.path(),
        &(std::fs::read_to_string(folder.path().join("portent.toml")).unwrap()
            + "[log]\nformat = \"json\"\n"),
    );
    let refused = foresee().await;
    assert!(refused["refused"].to_string().contains("log.format"), "{refused}");
    assert!(in_force(&agent).await.1, "a dry run is no failed reload");
}

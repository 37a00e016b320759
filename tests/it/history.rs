//! On a real Prometheus: the same incidents by gauges and by `rate()` and `histogram_quantile()`, from back-filled history
//! and live.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use portent_demo_service::{FaultRequest, Schedule, World};

use super::prometheus::{Prometheus, stamp};
use super::support::{Agent, Demo, eventually, has, now_ms, real_clock};

pub(crate) const STEP_MS: i64 = 15_000;

pub(crate) const GAUGES: &str = r#"
[signal.request_rate]
query = "demo_request_rate"
[signal.error_rate]
query = "demo_error_rate"
[signal.latency_p95]
query = "demo_latency_p95"
[signal.cpu_usage]
query = "demo_cpu_usage"
[signal.memory_bytes]
query = "demo_memory_bytes"
"#;

/// What a real service exposes, asked as a real dashboard asks it.
fn counters(window: &str) -> String {
    format!(
        r#"
[signal.request_rate]
query = 'sum by (service) (rate(http_requests_total[{window}]))'
[signal.error_rate]
query = 'sum by (service) (rate(http_requests_total{{code=~"5.."}}[{window}]))'
direction = "up"
[signal.latency_p95]
query = 'histogram_quantile(0.95, sum by (service, le) (rate(http_request_duration_seconds_bucket[{window}])))'
[signal.cpu_usage]
query = 'sum by (service) (rate(process_cpu_seconds_total[{window}]))'
[signal.memory_bytes]
query = 'sum by (service) (process_resident_memory_bytes)'
"#
    )
}

/// A demo-service whose clock is set by hand until it is let go: its counters run on from history into the present, as
/// those of a service do that did not restart.
pub(crate) struct Past {
    pub(crate) demo: Demo,
    time_ms: Arc<AtomicI64>,
}

impl Past {
    pub(crate) async fn start(world: &World, from_ms: i64) -> Self {
        let time_ms = Arc::new(AtomicI64::new(from_ms));
        let shown = Arc::clone(&time_ms);
        let clock = move || match shown.load(Ordering::SeqCst) {
            0 => now_ms(),
            set => set,
        };
        Self { demo: Demo::start(world.clone(), Arc::new(clock)).await, time_ms }
    }

    /// Scrapes it at every step up to now, by its own exposition, and lets its clock go.
    pub(crate) async fn scrapes(&self, step_ms: i64) -> String {
        let client = reqwest::Client::new();
        let target = self.demo.address.to_string();
        let mut text = String::new();
        let mut at_ms = self.time_ms.load(Ordering::SeqCst);
        while at_ms <= now_ms() {
            self.time_ms.store(at_ms, Ordering::SeqCst);
            let reply = client.get(format!("{}/metrics", self.demo.url())).send().await.unwrap();
            stamp(&reply.text().await.unwrap(), &target, at_ms, &mut text);
            at_ms += step_ms;
        }
        self.time_ms.store(0, Ordering::SeqCst);
        text.push_str("# EOF\n");
        text
    }
}

/// The service and the signal of every anomaly of every incident.
fn anomalies(incidents: &[serde_json::Value]) -> BTreeSet<(String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    incidents
        .iter()
        .flat_map(|incident| {
            let service = text(&incident["service"]);
            incident["signals"].as_array().unwrap().iter().map(move |signal| (service.clone(), text(signal)))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_incidents_open_from_history_by_gauges_and_by_rates() {
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

    let mut found = Vec::new();
    for (name, signals) in [("gauges", GAUGES.to_owned()), ("rates", counters("45s"))] {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let config = format!(
            "[source]\nurl = \"{}\"\nrequests_per_second = 100\n[runtime]\nfirst_look = \"15m\"\n{signals}",
            prometheus.url
        );
        let agent = Agent::start(&folder, &config);
        agent.ready().await;
        // Fifteen minutes hold a whole cycle: each of the five faults at least once.
        let seen = eventually("an incident for each of the five faults", || async {
            let seen = anomalies(&agent.incidents().await?);
            let all = portent_demo_service::SERVICES
                .iter()
                .all(|s| seen.contains(&(s.name.to_owned(), s.fault_signal.name().to_owned())));
            all.then_some(seen)
        })
        .await;
        found.push(seen);
    }
    let faults: BTreeSet<_> = portent_demo_service::SERVICES
        .iter()
        .map(|service| (service.name.to_owned(), service.fault_signal.name().to_owned()))
        .collect();
    assert_eq!(found, [faults.clone(), faults], "by gauges, by rates");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_posted_opens_an_incident_live() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(12, Schedule::Off);
    let now = now_ms();
    // One sample a second, so that a minute of real time holds many.
    let past = Past::start(&world, now - now.rem_euclid(1000) - 300_000).await;
    let history = past.scrapes(1000).await;
    let target = past.demo.address.to_string();
    let prometheus = Prometheus::start(folder.path(), Some(&history), &target, 1).await;
    // Between history and the first scrape a few seconds are missing, over which `rate()` dips. They are to lie behind:
    // `up` has no history.
    let scraped = format!("{}/api/v1/query?query=count_over_time(up[12s])", prometheus.url);
    eventually("twelve scrapes without a gap", || async {
        let reply: serde_json::Value = reqwest::get(&scraped).await.ok()?.json().await.ok()?;
        let count: u32 = reply["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
        (count >= 12).then_some(())
    })
    .await;
    let mut agents = Vec::new();
    for (name, signals) in [("gauges", GAUGES.to_owned()), ("rates", counters("5s"))] {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        let config = format!(
            "[source]\nurl = \"{}\"\nquery_delay = \"1s\"\nrequests_per_second = 100\n\
             [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\n[runtime]\nhistory = \"4m\"\nfirst_look = \"0s\"\n{signals}",
            prometheus.url
        );
        let agent = Agent::start(&folder, &config);
        agent.ready().await;
        agents.push((name, agent));
    }
    let body =
        r#"{"service":"order-service","signal":"latency_p95","shape":"step","factor":15,"duration":"30s"}"#;
    world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), now_ms()).unwrap();
    for (name, agent) in agents {
        let incident = eventually("an incident about the posted fault", || async {
            let incidents = agent.incidents().await?;
            let is_it = |incident: &serde_json::Value| {
                let signals = incident["signals"].as_array().unwrap();
                incident["service"] == "order-service" && signals.iter().any(|signal| signal == "latency_p95")
            };
            incidents.into_iter().find(is_it)
        })
        .await;
        let id = incident["id"].as_str().unwrap();
        if name == "gauges" {
            // Of rates only the fault is claimed: a scrape that comes late makes every `rate()` of the service dip.
            assert_eq!(incident["signals"], serde_json::json!(["latency_p95"]), "{incident:#}");
        }
        let diagnosis = eventually("a diagnosis that names the posted fault", || async {
            let diagnosis = agent.get(&format!("/api/v1/incidents/{id}/diagnosis")).await?;
            let first = diagnosis["hypotheses"].as_array()?.first()?.clone();
            (first["signal"] == "latency_p95").then_some(first)
        })
        .await;
        assert_eq!(diagnosis["cause"], "dependency", "{diagnosis:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_scrapes_the_agents_own_metrics() {
    if !has("prometheus") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(13, Schedule::On), real_clock()).await;
    let agent = Agent::start(folder.path(), &format!("[source]\nurl = \"{}\"\n{GAUGES}", demo.url()));
    agent.ready().await;
    let target = agent.url.trim_start_matches("http://").to_owned();
    let prometheus = Prometheus::start(folder.path(), None, &target, 1).await;
    let query = format!("{}/api/v1/query?query=portent_series_tracked", prometheus.url);
    let tracked = eventually("the agent's series in Prometheus", || async {
        let reply: serde_json::Value = reqwest::get(&query).await.ok()?.json().await.ok()?;
        let result = reply["data"]["result"].as_array()?.clone();
        (result.len() == 5).then_some(result)
    })
    .await;
    assert!(tracked.iter().all(|series| series["value"][1] == "5"), "{tracked:#?}");
}

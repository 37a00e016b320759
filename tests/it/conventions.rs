//! Every convention on real backends that hold samples of its exporter: each query returns series, by the service that
//! was meant, and `portent init` finds them all.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use portent::discover::{Found, Pace, Proposal, Sighting, candidates, interval_of, measure_query, recognise};
use portent::source::{Prometheus as Client, SignalQuery, TimeRange};
use portent::time::Timestamp;

use super::init::portent;
use super::prometheus::Prometheus;
use super::support::{Process, eventually, free_port, has, log_of, now_ms};

const FIXTURE: &str = include_str!("../fixtures/conventions.txt");

/// Samples are so far apart, over ten minutes.
const STEP_MS: i64 = 15_000;
const STEPS: i64 = 40;

/// One convention's part of the fixture.
struct Example {
    id: &'static str,
    signals: Vec<&'static str>,
    service: &'static str,
    services: BTreeSet<String>,
    /// Series with their values as the fixture writes them.
    lines: Vec<(&'static str, &'static str)>,
}

fn examples() -> Vec<Example> {
    let read = |text: &'static str| {
        let (head, body) = text.split_once('\n').unwrap();
        let (id, rest) = head.split_once(": ").unwrap();
        let parts: Vec<&str> = rest.split(" | ").collect();
        let lines = body.lines().filter(|line| !line.is_empty());
        Example {
            id,
            signals: parts[0].split(' ').collect(),
            service: parts[1],
            services: parts[2].split(' ').map(str::to_owned).collect(),
            lines: lines.map(|line| line.rsplit_once(' ').unwrap()).collect(),
        }
    };
    FIXTURE.split("\n== ").skip(1).map(read).collect()
}

impl Example {
    fn metric(line: &str) -> &str {
        line.split_once('{').unwrap().0
    }

    /// The convention that names and labels of this part alone show.
    fn found(&self) -> (Found, BTreeSet<String>) {
        let names = self.lines.iter().map(|(series, _)| Self::metric(series).to_owned()).collect();
        let labels = |found: &Found| -> BTreeSet<String> {
            let own = self.lines.iter().filter(|(series, _)| Self::metric(series) == found.anchor());
            let inner = own.flat_map(|(series, _)| series.split_once('{').unwrap().1.split("\","));
            inner.map(|pair| pair.split_once('=').unwrap().0.to_owned()).collect()
        };
        let fitting = recognise(&names).into_iter().find(|found| found.fits(&labels(found))).unwrap();
        let labels = labels(&fitting);
        (fitting, labels)
    }
}

/// Every sample: the series, its value, its time.
fn samples(until_ms: i64) -> Vec<(&'static str, f64, i64)> {
    let mut samples = Vec::new();
    for step in 0..=STEPS {
        let at_ms = until_ms - (STEPS - step) * STEP_MS;
        for example in examples() {
            for (series, value) in example.lines {
                let value = match value.strip_prefix('+') {
                    Some(growth) => growth.parse::<f64>().unwrap() * step as f64,
                    None => value.parse().unwrap(),
                };
                samples.push((series, value, at_ms));
            }
        }
    }
    samples
}

/// Asks a backend for every signal of every convention.
async fn check_conventions(url: &str) {
    let config = format!("[source]\nurl = \"{url}\"\nrequests_per_second = 1000\nburst = 1000\n");
    let config = portent::config::load_text("t", &config, [], &[]).unwrap();
    let client = Client::new(&config.source).unwrap();
    let now = Timestamp::from_millis(now_ms());
    for example in examples() {
        let (found, labels) = example.found();
        let id = example.id;
        assert_eq!(found.convention().id, id);
        let asked: BTreeSet<String> = {
            let within = TimeRange::new(now.minus(Duration::from_secs(3600)), now).unwrap();
            client.label_names(&found.selector(""), within).await.unwrap().value.into_iter().collect()
        };
        assert!(labels.is_subset(&asked), "{id}: {labels:?} of {asked:?}");
        let candidates = candidates(found.convention().services, &labels);
        let points = client.instant(&measure_query(&found.selector(""), &candidates), now).await.unwrap();
        let seen = Sighting::of(&found, &labels, &candidates, &points.value).unwrap();
        assert_eq!(seen.service.chosen.candidate, example.service, "{id}: {:?}", seen.service);
        assert_eq!(seen.service.chosen.values, example.services.len() as u64, "{id}");
        let times = client.sample_times(&format!("{}[5m]", found.selector("")), now).await.unwrap().value;
        let pace = interval_of(&times).map(Pace::of);
        assert_eq!(pace, Some(Pace::of(Duration::from_millis(15_000))), "{id}");
        let proposals = Proposal::all(&found, &Sighting { pace, ..seen });
        let names: Vec<&str> = proposals.iter().map(|proposal| proposal.name.as_str()).collect();
        assert_eq!(names, example.signals, "{id}");
        for proposal in proposals {
            let query = SignalQuery {
                signal: portent::series::SignalName::new(&proposal.name),
                promql: proposal.promql.clone(),
                step: proposal.pace.step,
                service_label: proposal.service.parse().unwrap(),
            };
            let range = TimeRange::last_points(now, Duration::from_secs(15), query.step, 4);
            let answer = client.range(&query, range).await.unwrap();
            let with_values = answer.batch.rows().filter(|row| !row.values.is_empty());
            let services: BTreeSet<String> = with_values.map(|row| row.key.service.to_string()).collect();
            assert_eq!(services, example.services, "{id}: {}", proposal.promql);
            assert_eq!(answer.without_service, 0, "{id}: {}", proposal.promql);
        }
    }
}

/// Has the program write a config for the backend and try it.
async fn check_init(folder: &std::path::Path, url: &str) {
    let file = folder.join("written.toml").display().to_string();
    let wrote = portent(&["init", url, "--output", &file]).await;
    assert!(wrote.status.success(), "{wrote:?}");
    let text = std::fs::read_to_string(&file).unwrap();
    for signal in
        ["request_rate", "grpc_request_rate", "istio_error_rate", "node_cpu_usage", "container_memory"]
    {
        assert!(text.contains(&format!("[signal.{signal}]")), "{signal} is not in:\n{text}");
    }
    assert!(!text.contains("could not be looked at"), "{text}");
    let checked = portent(&["check", "config", &file, "--live", "--output", "json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert!(checked.status.success() && report["live"]["passes"] == true, "{report:#}");
    assert!(report["live"]["pulse"]["promql"] == "sum(up)", "{report:#}");
    for signal in report["live"]["signals"].as_array().unwrap() {
        let is_sound = signal["series"].as_u64() > Some(0) && signal["series_without_service"] == 0;
        assert!(is_sound && signal["bytes"].as_u64() > Some(0), "{signal:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_convention_returns_series_on_a_real_prometheus() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for (series, value, at_ms) in samples(now_ms()) {
        writeln!(text, "{series} {value} {}.{:03}", at_ms / 1000, at_ms % 1000).unwrap();
    }
    text.push_str("# EOF\n");
    let prometheus = Prometheus::scraping(folder.path(), Some(&text), &[], 15).await;
    check_conventions(&prometheus.url).await;
    check_init(folder.path(), &prometheus.url).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_convention_returns_series_on_a_real_victoria_metrics() {
    if !has("victoria-metrics") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let url = format!("http://127.0.0.1:{port}");
    let _process = Process::start(
        Command::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", folder.path().join("vm").display()))
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .args(["-retentionPeriod=1", "-memory.allowedBytes=128MB"])
            .stdout(log_of(folder.path(), "vm.out"))
            .stderr(log_of(folder.path(), "vm.err")),
    );
    let ready = format!("{url}/health");
    eventually("VictoriaMetrics is ready", || async {
        reqwest::get(&ready).await.ok()?.status().is_success().then_some(())
    })
    .await;
    let mut text = String::new();
    for (series, value, at_ms) in samples(now_ms()) {
        writeln!(text, "{series} {value} {at_ms}").unwrap();
    }
    let import = reqwest::Client::new().post(format!("{url}/api/v1/import/prometheus")).body(text);
    assert!(import.send().await.unwrap().status().is_success());
    let count = format!("{url}/api/v1/query?query=count(process_cpu_seconds_total)");
    eventually("the samples are there", || async {
        reqwest::get(format!("{url}/internal/force_flush")).await.ok()?;
        let reply: serde_json::Value = reqwest::get(&count).await.ok()?.json().await.ok()?;
        (reply["data"]["result"][0]["value"][1] == "2").then_some(())
    })
    .await;
    check_conventions(&url).await;
    check_init(folder.path(), &url).await;
}

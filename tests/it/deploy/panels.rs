//! The shipped files at work together: a real Prometheus with the shipped scrape config and rules, the agent with the
//! shipped config, demo-service; only addresses differ, and time, which is finer. Each panel's query is asked of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use portent_demo_service::{Schedule, World};
use serde_json::{Value, json};

use super::dashboards::{dashboards, panels};
use super::promql::{catalogue, metrics_of};
use super::shipped::{path, portent, texts, yaml};
use crate::it::support::{Demo, Process, eventually, free_port, has, log_of, real_clock};

/// Panels that show nothing as long as nothing of the kind has happened, with what would have to happen.
const MAY_BE_EMPTY: &[(&str, &str)] = &[
    ("Failed polls", "a poll fails; its kinds are not known before"),
    ("Requests refused by the API", "a request is refused; its reasons are not known before"),
    ("Tokens", "a model is asked"),
    ("Fallbacks to heuristics", "a model does not answer; its reasons are not known before"),
];

/// A panel's query with every variable replaced by what Grafana would put there.
fn interpolated(expression: &str) -> String {
    let text = [
        ("$__rate_interval", "30s"),
        ("$__range", "5m"),
        ("$service_label", "service"),
        ("$service", ".+"),
        ("$signal", ".+"),
        ("$job", ".+"),
        ("$instance", ".+"),
    ]
    .into_iter()
    .fold(expression.to_owned(), |text, (variable, value)| text.replace(variable, value));
    assert!(!text.contains('$'), "{expression} has a variable that nobody sets");
    text
}

/// The whole of it, each part on its own free port.
struct Stack {
    _folder: tempfile::TempDir,
    _demo: Demo,
    _agent: Process,
    _prometheus: Process,
    agent: String,
    demo: String,
    prometheus: String,
}

impl Stack {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let demo = Demo::start(World::new(7, Schedule::On), real_clock()).await;
        let [agent, prometheus] = [free_port(), free_port()].map(|port| format!("127.0.0.1:{port}"));
        let running = start_prometheus(
            folder.path(),
            &prometheus,
            &[("portent", &agent), ("demo", &demo.address.to_string())],
        );
        let process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_portent"))
                .arg("run")
                .arg(format!("--config.file={}", path("config/compose.toml").display()))
                .arg(format!("--storage.path={}", folder.path().join("portent.db").display()))
                .arg(format!("--web.listen-address={agent}"))
                .env("PORTENT__SOURCE__URL", format!("http://{prometheus}"))
                .env("PORTENT__SOURCE__QUERY_DELAY", "0s")
                .env("PORTENT__SIGNAL_DEFAULTS__STEP", "1s")
                .env("PORTENT__SIGNAL_DEFAULTS__INTERVAL", "1s")
                .stderr(log_of(folder.path(), "portent.err")),
        );
        let demo_url = demo.url();
        Self {
            _folder: folder,
            _demo: demo,
            _agent: process,
            _prometheus: running,
            agent: format!("http://{agent}"),
            demo: demo_url,
            prometheus: format!("http://{prometheus}"),
        }
    }

    /// Asks Prometheus now; the series that answer.
    async fn ask(&self, expression: &str) -> Result<Vec<Value>, String> {
        let client = reqwest::Client::new();
        let form = [("query", expression)];
        let reply = client.post(format!("{}/api/v1/query", self.prometheus)).form(&form).send().await;
        let body: Value = reply.map_err(|e| e.to_string())?.json().await.map_err(|e| e.to_string())?;
        match body["status"].as_str() {
            Some("success") => Ok(body["data"]["result"].as_array().cloned().unwrap_or_default()),
            _ => Err(body.to_string()),
        }
    }
}

/// The shipped scrape config with these jobs alone, each at its address here, and a second for what is a quarter of a
/// minute; the shipped rules.
fn start_prometheus(folder: &Path, listen: &str, jobs: &[(&str, &str)]) -> Process {
    let mut config = yaml("config/prometheus/prometheus.yml");
    config["global"] = json!({"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"});
    config.as_object_mut().unwrap().remove("alerting");
    let rules = texts(&config["rule_files"]).into_iter().map(|file| path("config/prometheus").join(file));
    config["rule_files"] = rules.map(|file| file.display().to_string()).collect();
    let scraped = config["scrape_configs"].as_array_mut().unwrap();
    scraped.retain(|job| jobs.iter().any(|(name, _)| job["job_name"] == *name));
    assert_eq!(scraped.len(), jobs.len(), "{scraped:?}");
    for job in scraped {
        let (_, address) = jobs.iter().find(|(name, _)| job["job_name"] == *name).unwrap();
        job["static_configs"] = json!([{"targets": [address]}]);
    }
    let file = folder.join("prometheus.yml");
    // JSON is YAML.
    std::fs::write(&file, config.to_string()).unwrap();
    Process::start(
        Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("prometheus").display()))
            .arg(format!("--web.listen-address={listen}"))
            .stdout(log_of(folder, "prometheus.out"))
            .stderr(log_of(folder, "prometheus.err")),
    )
}

fn probe(what: &str, url: &str) -> bool {
    let output = portent(&["check".to_owned(), what.to_owned(), format!("--url={url}")]);
    assert!([Some(0), Some(1)].contains(&output.status.code()), "{output:?}");
    output.status.success()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_panel_shows_something_and_no_alert_fires_while_all_is_well() {
    if !has("prometheus") {
        return;
    }
    let stack = Stack::start().await;
    eventually("the agent is ready, by its own probe", || async {
        probe("ready", &stack.agent).then_some(())
    })
    .await;
    assert!(probe("healthy", &stack.agent));
    assert!(
        probe("ready", &stack.demo) && probe("healthy", &stack.demo),
        "demo-service answers the same probe"
    );
    assert!(!probe("ready", &format!("http://127.0.0.1:{}", free_port())), "a probe that can't fail");

    let mut asked = 0;
    for (file, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            for target in panel["targets"].as_array().unwrap() {
                let expression = interpolated(target["expr"].as_str().unwrap());
                asked += 1;
                if MAY_BE_EMPTY.iter().any(|(panel, _)| *panel == title) {
                    stack.ask(&expression).await.unwrap_or_else(|error| panic!("{file}: {title}: {error}"));
                    continue;
                }
                let what = format!("{file}: {title}: a series for {expression}");
                eventually(&what, || async {
                    let series =
                        stack.ask(&expression).await.unwrap_or_else(|error| panic!("{what}: {error}"));
                    (!series.is_empty()).then_some(())
                })
                .await;
            }
        }
    }
    assert!(asked > 40, "{asked} queries");

    eventually("every rule was evaluated", || async {
        let reply = reqwest::get(format!("{}/api/v1/rules", stack.prometheus)).await.ok()?;
        let body: Value = reply.json().await.ok()?;
        let rules = body["data"]["groups"][0]["rules"].as_array()?.clone();
        assert!(rules.iter().all(|rule| rule["health"] != "err"), "{rules:#?}");
        (rules.len() == 9 && rules.iter().all(|rule| rule["health"] == "ok")).then_some(())
    })
    .await;
    assert_eq!(stack.ask("ALERTS{alertstate=\"firing\"}").await, Ok(Vec::new()));
}

#[tokio::test]
async fn every_metric_of_a_panel_is_one_that_the_agent_or_demo_service_exports() {
    let demo = Demo::start(World::new(7, Schedule::On), real_clock()).await;
    let page = reqwest::get(format!("{}/metrics", demo.url())).await.unwrap().text().await.unwrap();
    let samples = page.lines().filter(|line| !line.starts_with('#'));
    let of_demo: BTreeSet<&str> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    let catalogue = catalogue();
    for (file, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            for target in panel["targets"].as_array().unwrap() {
                for metric in metrics_of(&interpolated(target["expr"].as_str().unwrap())) {
                    let is_known = catalogue.contains(&metric) || of_demo.contains(metric.as_str());
                    assert!(is_known, "{file}: {}: {metric} is exported by nobody", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn what_may_be_empty_is_a_panel_and_no_more_than_a_few() {
    let dashboards = dashboards();
    let titles: BTreeSet<String> = dashboards
        .iter()
        .flat_map(|(_, dashboard)| panels(dashboard))
        .map(|panel| panel["title"].as_str().unwrap().to_owned())
        .collect();
    for (title, _) in MAY_BE_EMPTY {
        assert!(titles.contains(*title), "{title} is no panel");
    }
}

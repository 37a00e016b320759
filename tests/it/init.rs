//! `portent init` and `portent check config --live`, from a real backend to a caught fault.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use portent_demo_service::{FaultRequest, SERVICES, Schedule, World};
use wiremock::matchers::{header, path, query_param_contains};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::history::Past;
use super::prometheus::Prometheus;
use super::support::{
    Agent, Demo, Process, eventually, free_port, has, log_of, now_ms, real_clock, write_private,
};

/// Runs the program to its end, beside the servers of the test.
pub(crate) async fn portent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portent"));
    command.args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_init_wrote_passes_the_check_and_catches_a_fault_unedited() {
    if !has("prometheus") || !has("promtool") || !has("prometheus-node-exporter") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(31, Schedule::Off);
    let now = now_ms();
    let past = Past::start(&world, now - now.rem_euclid(1000) - 300_000).await;
    let history = past.scrapes(1000).await;
    let demo = past.demo.address.to_string();
    let node = format!("127.0.0.1:{}", free_port());
    let _exporter = Process::start(
        Command::new("prometheus-node-exporter")
            .arg(format!("--web.listen-address={node}"))
            .stdout(log_of(folder.path(), "node.out"))
            .stderr(log_of(folder.path(), "node.err")),
    );
    let jobs = [("demo", demo.as_str()), ("node", node.as_str()), ("prometheus", "self")];
    let prometheus = Prometheus::scraping(folder.path(), Some(&history), &jobs, 1).await;
    // What has no history is to have rates: a window of them, behind the delay of queries.
    let scraped = format!("{}/api/v1/query?query=min(count_over_time(up[60s]))", prometheus.url);
    eventually("half a minute of scrapes of all three", || async {
        let reply: serde_json::Value = reqwest::get(&scraped).await.ok()?.json().await.ok()?;
        let count: u32 = reply["data"]["result"][0]["value"][1].as_str()?.parse().ok()?;
        (count >= 30).then_some(())
    })
    .await;

    let file = folder.path().join("written.toml").display().to_string();
    let wrote = portent(&["init", &prometheus.url, "--output", &file]).await;
    assert!(wrote.status.success(), "{}", text(&wrote.stderr));
    let config = std::fs::read_to_string(&file).unwrap();
    let wanted = [
        "request_rate",
        "error_rate",
        "latency_p95",
        "cpu_usage",
        "memory_bytes",
        "node_cpu_usage",
        "node_memory_used",
        "prometheus_errors",
        "process_cpu_usage",
    ];
    for signal in wanted {
        assert!(config.contains(&format!("\n[signal.{signal}]\n")), "{signal} is not in:\n{config}");
    }
    assert!(config.contains("\nstep = \"5s\"\n") && config.contains("[20s]"), "{config}");
    let checked = portent(&["check", "config", &file, "--live"]).await;
    let report = text(&checked.stdout);
    assert!(checked.status.success() && !report.contains("FAIL"), "{report}{}", text(&checked.stderr));

    let agent_folder = folder.path().join("agent");
    std::fs::create_dir(&agent_folder).unwrap();
    let agent = Agent::start(&agent_folder, &config);
    agent.ready().await;
    let body =
        r#"{"service":"payment-service","signal":"error_rate","shape":"step","factor":18,"duration":"1m"}"#;
    world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), now_ms()).unwrap();
    let incident = eventually("an incident about the posted fault", || async {
        let incidents = agent.incidents().await?;
        incidents.into_iter().find(|incident| incident["service"] == "payment-service")
    })
    .await;
    assert_eq!(incident["signals"], serde_json::json!(["error_rate"]), "{incident:#}");
    let services: BTreeSet<String> = agent
        .incidents()
        .await
        .unwrap()
        .iter()
        .map(|incident| incident["service"].as_str().unwrap().to_owned())
        .filter(|service| SERVICES.iter().any(|known| known.name == service))
        .collect();
    assert_eq!(
        services,
        BTreeSet::from(["payment-service".to_owned()]),
        "no service without a fault has one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_check_refuses_what_is_above_the_limits_and_warns_of_what_gives_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(32, Schedule::Off), real_clock()).await;
    let file = folder.path().join("portent.toml").display().to_string();
    let check = async |limits: &str, signals: &str| {
        let config = format!("[source]\nurl = \"{}\"\nretries = 0\n{limits}\n{signals}", demo.url());
        std::fs::write(&file, config).unwrap();
        let output = portent(&["check", "config", &file, "--live", "--output", "json"]).await;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let tried = report["live"]["signals"][0].clone();
        (output.status.code(), tried["refusals"].to_string(), tried["warnings"].to_string(), tried)
    };
    let errors = "[signal.errors]\nquery = \"demo_error_rate\"";
    let (code, refusals, warnings, tried) = check("", errors).await;
    assert_eq!((code, refusals.as_str(), warnings.as_str()), (Some(0), "[]", "[]"));
    assert_eq!((tried["series"].as_u64(), tried["samples"].as_u64()), (Some(5), Some(20)), "{tried:#}");

    let (code, refusals, ..) = check("series_limit = 4", errors).await;
    assert!(code == Some(1) && refusals.contains("errors") && refusals.contains('4'), "{refusals}");
    let tracked = format!("{errors}\ntracked_series = 3");
    let (code, refusals, ..) = check("", &tracked).await;
    assert!(code == Some(1) && refusals.contains("5 series are more than tracked_series of 3"), "{refusals}");
    let (code, refusals, ..) = check("", "[signal.errors]\nquery = \"avg(demo_error_rate)\"").await;
    assert!(code == Some(1) && refusals.contains("plain selectors only"), "{refusals}");

    let (code, _, warnings, _) = check("", "[signal.errors]\nquery = \"nothing_here\"").await;
    assert!(code == Some(0) && warnings.contains("gives no series"), "{warnings}");
    let lacking = format!("{errors}\nservice_label = \"app\"");
    let (code, _, warnings, tried) = check("", &lacking).await;
    assert!(code == Some(0) && warnings.contains("lack the label app"), "{warnings}");
    assert_eq!(tried["series_without_service"], 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_check_names_the_signal_that_fails_and_the_backend_that_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portent.toml").display().to_string();
    let port = free_port();
    let config = format!(
        "[source]\nurl = \"http://127.0.0.1:{port}\"\nretries = 0\n[signal.errors]\nquery = \"up\"\n"
    );
    std::fs::write(&file, config).unwrap();
    let output = portent(&["check", "config", &file, "--live"]).await;
    let report = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1));
    assert!(report.contains("FAIL errors") && report.contains("refused"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_shows_who_it_is_and_carries_over_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let server = MockServer::start().await;
    let is_me = header("authorization", "Basic bWU6aHVudGVyMg==");
    Mock::given(path("/prom/api/v1/label/__name__/values"))
        .and(is_me)
        .and(query_param_contains("start", "."))
        .respond_with(ResponseTemplate::new(200).set_body_raw(r#"{"data":["up"]}"#, "application/json"))
        .mount(&server)
        .await;
    let (given, written) = (folder.path().join("given.toml"), folder.path().join("written.toml"));
    write_private(&folder.path().join("password"), "hunter2\n");
    let source = "[source]\nurl = 'http://elsewhere'\n[source.http]\nheaders = { X-Key = 'team-a' }\n\
                  basic_auth = { user = 'me', password_file = 'password' }\n";
    std::fs::write(&given, source).unwrap();
    let url = format!("{}/prom", server.uri());
    let (given, output) = (given.display().to_string(), written.display().to_string());
    let arguments = ["init", &url, "--config.file", &given, "--output", &output];
    let first = portent(&arguments).await;
    assert_eq!(first.status.code(), Some(1), "nothing is recognised: {}", text(&first.stderr));
    assert!(text(&first.stderr).contains("none of the 1 metrics"), "{}", text(&first.stderr));
    let config = std::fs::read_to_string(&written).unwrap();
    assert!(
        config.contains(&format!("url = \"{url}\"")) && config.contains("http.basic_auth.password_file ="),
        "{config}"
    );
    assert!(config.contains("headers.X-Key is left out"), "{config}");
    assert!(!config.contains("hunter2") && !config.contains("team-a"), "{config}");

    let again = portent(&arguments).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("is there already"), "{}", text(&again.stderr));
    assert_eq!(std::fs::read_to_string(&written).unwrap(), config, "nothing is overwritten");
}

#[tokio::test(flavor = "multi_thread")]
async fn init_names_a_backend_that_does_not_answer() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let output = portent(&["init", &url]).await;
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains(&url) && output.stdout.is_empty(), "{error}");
    assert_eq!(portent(&["init"]).await.status.code(), Some(2), "neither a URL nor a config");
}

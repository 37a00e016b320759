//! A config tried on history: by the library beside a live agent, and by the command over a real Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use portent::app::{App, candidate};
use portent::config::{self, Config, Override};
use portent::incident::{Incident, Phase};
use portent::replay::Found;
use portent::runtime::{Clock, Lived, Span, live_through};
use portent::store::{IncidentFilter, Page};
use portent::time::Timestamp;
use portent_demo_service::{FaultRequest, Schedule, World};
use serde_json::Value;

use super::history::{GAUGES, Past, STEP_MS};
use super::prometheus::Prometheus;
use super::support::{Demo, Process, has, now_ms};

const START_MS: i64 = 1_800_000_000_000;
const HOURS: i64 = 3;
/// What is opened later may be known to one of the two only.
const MARGIN: Duration = Duration::from_secs(600);

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

fn set(path: &str, value: &str) -> Override {
    Override { path: path.to_owned(), value: format!("{value:?}"), flag: "test".to_owned() }
}

/// All five signals, each at another pace, and nothing from before the start opens an incident.
fn config(folder: &Path, demo: &Demo, more: &str) -> Config {
    let text = format!(
        "[source]\nretries = 0\nrequests_per_second = 10000\nburst = 10000\n{more}\n[runtime]\nfirst_look = \"0s\"\n{}",
        GAUGES.replacen("query", "interval = \"90s\"\nquery", 1)
    );
    let overrides = [
        set("source.url", &demo.url()),
        set("store.path", &folder.join("portent.db").to_string_lossy()),
        set("api.listen_address", "127.0.0.1:0"),
    ];
    config::load_text("backtest.toml", &text, [], &overrides).unwrap()
}

async fn incidents(app: &App) -> Vec<Incident> {
    let page = Page { limit: 200, after: None };
    let (rows, next) = app.store.incidents(&IncidentFilter::default(), page).await.unwrap();
    assert!(next.is_none(), "one page holds them all");
    let mut all = Vec::new();
    for row in rows {
        all.extend(app.store.incident(row.id).await.unwrap());
    }
    all
}

/// What is told of an incident: its id, when it opened, when it was resolved, and its series.
type Told = BTreeMap<String, (Timestamp, Option<Timestamp>, usize)>;

fn told_live(incidents: &[Incident], until: Timestamp) -> Told {
    let row = |incident: &Incident| {
        let resolved = match incident.phase {
            Phase::Resolved { at, .. } => Some(at),
            Phase::Detected | Phase::Analyzing { .. } | Phase::Diagnosed { .. } => None,
        };
        (incident.id.to_string(), (incident.opened_at, resolved, incident.members.len()))
    };
    incidents.iter().filter(|incident| incident.opened_at < until).map(row).collect()
}

fn told(found: &[Found], until: Timestamp) -> Told {
    let row = |found: &Found| (found.id.to_string(), (found.opened_at, found.resolved_at, found.series));
    found.iter().filter(|found| found.opened_at < until).map(row).collect()
}

/// Faults on schedule, and one that spreads over several services.
fn world() -> World {
    let world = World::new(5, Schedule::On);
    let body =
        r#"{"service":"payment-service","signal":"latency_p95","shape":"step","factor":6,"duration":"20m"}"#;
    world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), START_MS + 3_600_000).unwrap();
    world
}

async fn lived(configs: &[&Config], span: Span) -> Lived {
    let candidates: Vec<_> = configs.iter().map(|config| candidate(config)).collect();
    let mut shares = Vec::new();
    let source = &configs[0].source;
    let lived = live_through(source, &Clock::real(), &candidates, span, |told| shares.push(told.share)).await;
    assert!(shares.is_sorted() && shares.last().is_some_and(|share| *share >= 1.0), "{shares:?}");
    lived.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_finds_the_incidents_of_an_agent_that_lived_then() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::jumping(at(0));
    let awake = clock.awake();
    let time = clock.clone();
    let demo = Demo::start(world(), Arc::new(move || time.now().as_millis())).await;
    let config = config(folder.path(), &demo, "");
    let app = App::start(&config, clock.clone()).await.unwrap();
    let end = at(HOURS * 3_600_000);
    clock.sleep_until(end).await;
    let live = told_live(&incidents(&app).await, end.minus(MARGIN));
    assert!(live.len() > 50, "{}", live.len());

    let small = self::config(folder.path(), &demo, "points_per_series = 37\nsamples_per_request = 700");
    let mut other = config.clone();
    other.signals.iter_mut().for_each(|signal| signal.plan.settings.min_deviation_relative = 5.0);
    let span = Span { since: at(0), until: end };
    let Lived { outcomes, reading, .. } = lived(&[&config, &other], span).await;
    assert_eq!(
        told(&outcomes[0].found, end.minus(MARGIN)).keys().collect::<Vec<_>>(),
        live.keys().collect::<Vec<_>>()
    );
    for (id, (opened_at, resolved_at, series)) in told(&outcomes[0].found, end.minus(MARGIN)) {
        let (live_opened, live_resolved, live_series) = live[&id];
        assert_eq!((opened_at, series), (live_opened, live_series), "{id}");
        // A tick decides when an incident is over, and each agent has its own phase.
        let apart = resolved_at.zip(live_resolved).map(|(a, b)| a.max(b).since(a.min(b)));
        assert!(
            apart.is_some_and(|apart| apart <= Duration::from_secs(5)),
            "{id}: {resolved_at:?} {live_resolved:?}"
        );
    }
    // Each query was asked once for both, and how it is cut changes nothing.
    assert_eq!(reading.series, 25);
    let again = lived(&[&small], span).await;
    assert!(again.reading.requests > reading.requests * 4, "{} {}", again.reading.requests, reading.requests);
    assert_eq!(again.outcomes[0].found, outcomes[0].found);
    assert_eq!(again.reading.samples, reading.samples);
    assert!(outcomes[1].found.len() < outcomes[0].found.len() - 10, "{}", outcomes[1].found.len());
    drop(awake);
    app.stop().await.unwrap();
}

fn backtest(folder: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portent"));
    command.current_dir(folder).arg("backtest").args(args).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).unwrap();
}

/// The faults of a world as labels; those before `until_ms` and after `from_ms` in whole.
fn labels(world: &World, from_ms: i64, until_ms: i64) -> String {
    let faults = world.truth(from_ms, until_ms);
    let whole = faults.iter().filter(|fault| fault.start_ms >= from_ms);
    let row = |fault: &portent_demo_service::Fault| {
        let end = fault.end_ms.unwrap().min(until_ms);
        let signal = fault.signals.first().unwrap().name();
        format!("{},{},{},{signal}\n", fault.start_ms as f64 / 1e3, end as f64 / 1e3, fault.service)
    };
    format!("start,end,service,signal\n{}", whole.map(row).collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_scored_and_compared_on_the_history_of_a_real_prometheus() {
    if !has("prometheus") || !has("promtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let world = World::new(11, Schedule::On);
    let now = now_ms();
    let past = Past::start(&world, now - now.rem_euclid(STEP_MS) - 3 * 3_600_000).await;
    let history = past.scrapes(STEP_MS).await;
    let prometheus = Prometheus::start(folder, Some(&history), &past.demo.address.to_string(), 15).await;
    // By the rule whose recall of these faults does not depend on where in their cycle the history begins.
    let rule = "detector = \"classic\"\nopen_points = 3\nopen_window = 3\nstrong_points = 2\nclear_points = 4\n\
                scale_floor_relative = 0.02\nmin_deviation_relative = 0.1\nadopt_after = \"1h\"\nexit_score = 1.0\n";
    let source = format!("[source]\nurl = \"{}\"\nrequests_per_second = 100\n", prometheus.url);
    let new = format!("{source}[signal_defaults]\n{rule}{GAUGES}");
    write(folder, "new.toml", &new);
    // Blind for the fault that multiplies memory by 3.5.
    write(
        folder,
        "old.toml",
        &new.replace("[signal.memory_bytes]", "[signal.memory_bytes]\nmin_deviation_relative = 50"),
    );
    let (since, until) = (now - 5_400_000, now - 300_000);
    write(folder, "labels.csv", &labels(&world, since + 60_000, until - 300_000));
    let span = [format!("--since={}", since as f64 / 1e3), format!("--until={}", until as f64 / 1e3)];
    let mut args =
        vec!["--config.file=new.toml", "--against=old.toml", "--labels=labels.csv", &span[0], &span[1]];

    let fine = [
        "--output=json",
        "--html=page.html",
        "--fail-on=recall<1,precision<0.8,gone>0,P0>100,incidents>1000/day",
    ];
    let output = backtest(folder, &[&args[..], &fine].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let score = &report["new"]["score"];
    assert!(score["labels"].as_u64().unwrap() > 30, "{score}");
    assert_eq!((score["recall"].as_f64(), score["missed"].as_array().map(Vec::len)), (Some(1.0), Some(0)));
    assert!(report["old"]["score"]["recall"].as_f64().unwrap() < 0.85, "{}", report["old"]["score"]);
    let incidents = report["new"]["incidents"].as_array().unwrap();
    let only_new: BTreeSet<&str> =
        report["difference"]["only_new"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let of_memory = incidents.iter().filter(|found| found["opened_by"] == "memory_bytes");
    let of_memory: BTreeSet<&str> = of_memory.filter_map(|found| found["id"].as_str()).collect();
    assert!(of_memory.len() > 5 && only_new == of_memory, "{only_new:?} {of_memory:?}");
    let sum = |rows: &Value| {
        rows.as_array().unwrap().iter().filter_map(|row| row["incidents"].as_u64()).sum::<u64>()
    };
    for rows in ["by_signal", "by_service"] {
        assert_eq!(sum(&report["new"][rows]), incidents.len() as u64, "{rows} add up");
    }
    the_page_stands_alone(&std::fs::read_to_string(folder.join("page.html")).unwrap(), &of_memory);

    args.push("--fail-on=incidents>10/day,new>0,recall<0.9");
    let output = backtest(folder, &args);
    assert_eq!(output.status.code(), Some(1));
    let (told, text) = (stderr(&output), String::from_utf8(output.stdout).unwrap());
    assert!(
        told.contains("failed: incidents>10/day: it is ") && told.contains("failed: new>0: it is "),
        "{told}"
    );
    assert!(!told.contains("recall<0.9: "), "{told}");
    for words in ["incidents", "recall 1.000", "against old.toml: ", "memory_bytes"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

/// One page, nothing else: no other address, no script, a plot for what differs.
fn the_page_stands_alone(page: &str, new: &BTreeSet<&str>) {
    assert!(!page.contains("<script") && !page.contains("src=") && !page.contains("href="));
    assert!(page.contains("prefers-color-scheme: dark"));
    for id in new.iter().take(60) {
        assert!(page.contains(id), "{id}");
    }
    assert!(page.matches("<path class=\"path\" d=\"M").count() >= new.len().min(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_done_is_said_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write(
        folder,
        "new.toml",
        "[source]\nurl = \"http://127.0.0.1:9\"\nretries = 0\n[signal.up]\nquery = \"up\"\n",
    );
    write(folder, "labels.csv", "start,end\n1,2\n9,soon\n");
    for (args, words) in [
        (vec!["--fail-on=recall<0.8"], "needs --labels"),
        (vec!["--fail-on=new>0"], "needs --against"),
        (vec!["--fail-on=noise>2"], "give one of incidents"),
        (vec!["--since=yesterday"], "give a duration from 1m to 400d"),
        (vec!["--until=4000000000"], "lies in the future"),
        (vec!["--labels=labels.csv"], "labels.csv:3: end: "),
        (vec!["--labels=nowhere.csv"], "nowhere.csv cannot be opened"),
        (vec!["--html=nowhere/page.html"], "in a folder that is there"),
        (vec!["--against=nowhere.toml"], "nowhere.toml"),
        (vec![], "cannot be read"),
    ] {
        let output = backtest(folder, &[&["--config.file=new.toml"][..], &args].concat());
        assert!(!output.status.success() && stderr(&output).contains(words), "{args:?}: {}", stderr(&output));
        assert!(output.stdout.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_it_and_reports_nothing() {
    use wiremock::{Mock, MockServer, ResponseTemplate, matchers::any};

    let folder = tempfile::tempdir().unwrap();
    let server = MockServer::start().await;
    // Longer than any deadline here: only the interrupt ends it.
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(600));
    Mock::given(any()).respond_with(slow).mount(&server).await;
    let text =
        format!("[source]\nurl = \"{}\"\ntimeout = \"10m\"\n[signal.up]\nquery = \"up\"\n", server.uri());
    write(folder.path(), "new.toml", &text);
    let mut process = Process::start(
        Command::new(env!("CARGO_BIN_EXE_portent"))
            .current_dir(folder.path())
            .args(["backtest", "--config.file=new.toml"])
            .stdout(Stdio::null())
            .stderr(super::support::log_of(folder.path(), "err")),
    );
    super::support::eventually("it asks", || async {
        let asked = server.received_requests().await?;
        (!asked.is_empty()).then_some(())
    })
    .await;
    process.signal("INT");
    assert_eq!(process.ended().await.code(), Some(1));
    let told = std::fs::read_to_string(folder.path().join("err")).unwrap();
    assert!(told.contains("told to stop") && told.contains("nothing is reported"), "{told}");
}

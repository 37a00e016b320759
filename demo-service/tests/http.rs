//! The service over real HTTP: axum on a free port of the loopback, reqwest, and a clock that the test moves.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and has no supervisor"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use portent_demo_service::{Clock, SERVICES, Schedule, Signal, World, serve};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The first second of a fault cycle, and so of the fault of payment-service.
const START: i64 = 1_700_000_400;

struct Demo {
    url: String,
    world: World,
    now_ms: Arc<AtomicI64>,
    client: Client,
    cancel: DropGuard,
    server: JoinHandle<std::io::Result<()>>,
}

impl Demo {
    async fn start(schedule: Schedule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let world = World::new(3, schedule);
        let now_ms = Arc::new(AtomicI64::new(START * 1000));
        let shown = Arc::clone(&now_ms);
        let clock: Clock = Arc::new(move || shown.load(Ordering::SeqCst));
        let cancel = CancellationToken::new();
        let server = tokio::spawn(serve(listener, world.clone(), clock, cancel.clone()));
        Self { url, world, now_ms, client: Client::new(), cancel: cancel.drop_guard(), server }
    }

    fn advance(&self, seconds: i64) {
        self.now_ms.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.url))
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.url))
    }

    async fn json(&self, path: &str) -> Value {
        self.get(path).send().await.unwrap().json().await.unwrap()
    }

    async fn metrics(&self) -> String {
        self.get("/metrics").send().await.unwrap().text().await.unwrap()
    }

    async fn post_fault(&self, body: &Value) -> Value {
        let reply = self.post("/faults").json(body).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::CREATED);
        let location = reply.headers()["location"].to_str().unwrap().to_owned();
        let fault: Value = reply.json().await.unwrap();
        assert_eq!(location, format!("/faults/{}", fault["id"].as_str().unwrap()));
        fault
    }
}

/// The value of one line of the text format.
fn sample(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[track_caller]
fn near(seen: f64, expected: f64, tolerance: f64) {
    assert!((seen / expected - 1.0).abs() < tolerance, "{seen} instead of {expected}");
}

async fn problem(reply: Response, status: StatusCode, words: &[&str]) {
    assert_eq!(reply.status(), status);
    assert_eq!(
        reply.headers().get_all("content-type").iter().collect::<Vec<_>>(),
        ["application/problem+json"]
    );
    let body: Value = reply.json().await.unwrap();
    assert_eq!(body["status"], status.as_u16());
    assert!(body["type"].as_str().unwrap().starts_with("urn:portent:problem:"));
    assert!(!body["title"].as_str().unwrap().is_empty());
    for word in words {
        assert!(body["detail"].as_str().unwrap().contains(word), "{body} lacks {word}");
    }
}

async fn bad_data(request: RequestBuilder, text: &str) {
    let reply = request.send().await.unwrap();
    assert_eq!(reply.status(), StatusCode::BAD_REQUEST);
    let body: Value = reply.json().await.unwrap();
    assert_eq!((&body["status"], &body["errorType"]), (&json!("error"), &json!("bad_data")));
    assert!(body["error"].as_str().unwrap().contains(text), "{body} lacks {text}");
}

#[tokio::test]
async fn a_range_query_returns_every_service_in_one_matrix() {
    let demo = Demo::start(Schedule::On).await;
    let path =
        format!("/api/v1/query_range?query=demo_error_rate&start={}&end={START}&step=15s", START - 285);
    let reply = demo.json(&path).await;
    assert_eq!((&reply["status"], &reply["data"]["resultType"]), (&json!("success"), &json!("matrix")));
    let result = reply["data"]["result"].as_array().unwrap();
    let mut names: Vec<&str> = SERVICES.iter().map(|service| service.name).collect();
    names.sort_unstable();
    assert_eq!(result.len(), 5);
    for (series, name) in result.iter().zip(names) {
        assert_eq!(series["metric"], json!({ "__name__": "demo_error_rate", "service": name }));
        let values = series["values"].as_array().unwrap();
        assert_eq!(values.len(), 20);
        for (index, point) in values.iter().enumerate() {
            let at = START - 285 + 15 * i64::try_from(index).unwrap();
            assert_eq!(point[0], at);
            let value = demo.world.value(name, Signal::ErrorRate, at * 1000).unwrap();
            assert_eq!(point[1].as_str().unwrap().parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }
}

#[tokio::test]
async fn an_instant_query_is_a_vector_as_of_now_or_of_the_time_asked_for() {
    let demo = Demo::start(Schedule::On).await;
    let reply = demo.json("/api/v1/query?query=demo_cpu_usage{service=\"user-service\"}").await;
    let value = demo.world.value("user-service", Signal::CpuUsage, START * 1000).unwrap();
    let metric = json!({ "__name__": "demo_cpu_usage", "service": "user-service" });
    let expected = json!([{ "metric": metric, "value": [START, value.to_string()] }]);
    assert_eq!(reply["data"], json!({ "resultType": "vector", "result": expected }));
    let reply = demo.json("/api/v1/query?query=demo_cpu_usage&time=2015-07-01T20:10:51.781Z").await;
    assert_eq!(reply["data"]["result"][0]["value"][0], json!(1_435_781_451.781));
}

#[tokio::test]
async fn get_and_post_answer_the_same() {
    let demo = Demo::start(Schedule::On).await;
    let query = [
        ("query", "{service=~\"user.*\"}"),
        ("start", "1000"),
        ("end", "1100.5"),
        ("step", "1m"),
        ("time", "9"),
    ];
    for path in ["/api/v1/query", "/api/v1/query_range"] {
        let got = demo.get(path).query(&query).send().await.unwrap();
        let posted = demo.post(path).form(&query).send().await.unwrap();
        assert_eq!(got.status(), StatusCode::OK);
        let got = got.text().await.unwrap();
        assert_eq!(got, posted.text().await.unwrap());
        assert_eq!(
            serde_json::from_str::<Value>(&got).unwrap()["data"]["result"].as_array().unwrap().len(),
            6,
            "five gauges, and whether it is up"
        );
    }
}

#[tokio::test]
async fn each_reply_has_the_date_of_the_services_own_clock() {
    let demo = Demo::start(Schedule::On).await;
    let date =
        async || demo.get("/metrics").send().await.unwrap().headers()["date"].to_str().unwrap().to_owned();
    let first = date().await;
    demo.advance(3600);
    let later = date().await;
    let seconds = |date: &str| {
        let at = httpdate::parse_http_date(date).unwrap();
        at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64
    };
    assert_eq!((seconds(&first), seconds(&later)), (START, START + 3600));
}

#[tokio::test]
async fn an_unknown_name_is_an_empty_result() {
    let demo = Demo::start(Schedule::On).await;
    let reply = demo.json("/api/v1/query_range?query=down&start=1&end=2&step=1").await;
    assert_eq!(reply, json!({ "status": "success", "data": { "resultType": "matrix", "result": [] } }));
    let reply = demo.json("/api/v1/query?query=down").await;
    assert_eq!(reply, json!({ "status": "success", "data": { "resultType": "vector", "result": [] } }));
}

#[tokio::test]
async fn eleven_thousand_steps_are_answered_and_one_more_is_refused() {
    let demo = Demo::start(Schedule::On).await;
    let base = "/api/v1/query_range?query=demo_cpu_usage&step=1&start=0";
    let reply = demo.json(&format!("{base}&end=10999")).await;
    assert_eq!(reply["data"]["result"][0]["values"].as_array().unwrap().len(), 11_000);
    let reply = demo.json(&format!("{base}&end=11000")).await;
    assert_eq!(reply["data"]["result"][0]["values"].as_array().unwrap().len(), 11_001);
    let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
    bad_data(demo.get(&format!("{base}&end=11001")), text).await;
}

#[tokio::test]
async fn bad_queries_are_refused_in_the_shape_of_prometheus() {
    let demo = Demo::start(Schedule::On).await;
    let range = |rest: &str| demo.get(&format!("/api/v1/query_range?{rest}"));
    bad_data(range("query=up&start=2&end=1&step=1"), "end timestamp must not be before start time").await;
    bad_data(range("query=up&start=1&end=2&step=0"), "zero or negative query resolution step widths").await;
    bad_data(range("query=up&start=1&end=2"), "cannot parse \"\" to a valid duration").await;
    bad_data(range("query=up{&start=1&end=2&step=1"), "invalid parameter \"query\": ").await;
    bad_data(range("query=rate(up[5m])&start=1&end=2&step=1"), "plain selectors only").await;
    bad_data(range("query=up&start=1&end=2&step=1&timeout=x"), "invalid parameter \"timeout\"").await;
    bad_data(demo.get("/api/v1/query"), "invalid parameter \"query\": ").await;
    bad_data(demo.get("/api/v1/query?query=up&time=x"), "invalid parameter \"time\": ").await;
    bad_data(demo.get("/api/v1/query?query=%22%5C%C3%A9%22"), "unknown escape sequence").await;
    bad_data(demo.post("/api/v1/query").body("{}").header("content-type", "application/json"), "").await;
    bad_data(demo.post("/api/v1/query").form(&[("query", "x".repeat(100_000))]), "").await;
}

#[tokio::test]
async fn a_client_finds_out_what_it_talks_to() {
    let demo = Demo::start(Schedule::On).await;
    let reply = demo.json("/api/v1/status/buildinfo").await;
    assert_eq!(
        (&reply["status"], &reply["data"]["version"]),
        (&json!("success"), &json!(env!("CARGO_PKG_VERSION")))
    );
    for path in ["/-/healthy", "/-/ready", "/"] {
        assert_eq!(demo.get(path).send().await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn counters_run_at_the_rate_of_the_gauges() {
    let demo = Demo::start(Schedule::Off).await;
    let before = demo.metrics().await;
    demo.advance(300);
    let after = demo.metrics().await;
    let rate = |series: &str| (sample(&after, series).unwrap() - sample(&before, series).unwrap()) / 300.0;
    for service in &SERVICES {
        let name = service.name;
        let failed = rate(&format!("http_requests_total{{service=\"{name}\",code=\"500\"}}"));
        let succeeded = rate(&format!("http_requests_total{{service=\"{name}\",code=\"200\"}}"));
        near(failed, service.base(Signal::ErrorRate), 0.05);
        near(failed + succeeded, service.base(Signal::RequestRate), 0.05);
        let processor = rate(&format!("process_cpu_seconds_total{{service=\"{name}\"}}"));
        near(processor, service.base(Signal::CpuUsage), 0.05);
        let memory = sample(&after, &format!("process_resident_memory_bytes{{service=\"{name}\"}}")).unwrap();
        near(memory, demo.world.value(name, Signal::MemoryBytes, (START + 300) * 1000).unwrap(), 1e-6);
        let counted = rate(&format!("http_request_duration_seconds_count{{service=\"{name}\"}}"));
        near(counted, failed + succeeded, 1e-3);
        let everything =
            rate(&format!("http_request_duration_seconds_bucket{{service=\"{name}\",le=\"+Inf\"}}"));
        near(everything, counted, 1e-9);
    }
}

#[tokio::test]
async fn a_counter_reset_shows_as_a_restart_from_zero() {
    let demo = Demo::start(Schedule::Off).await;
    let series = "http_requests_total{service=\"user-service\",code=\"200\"}";
    assert_eq!(sample(&demo.metrics().await, series), Some(0.0));
    demo.advance(1_000);
    let before = sample(&demo.metrics().await, series).unwrap();
    let fault = demo.post_fault(&json!({ "scenario": "counter_reset", "service": "user-service" })).await;
    assert_eq!(fault["counter_resets"], json!([(START + 1_000) as f64]));
    demo.advance(10);
    let after = sample(&demo.metrics().await, series).unwrap();
    near(before, 59_800.0, 0.05);
    near(after, 598.0, 0.1);
}

#[tokio::test]
async fn a_vanished_service_is_gone_from_every_path() {
    let demo = Demo::start(Schedule::Off).await;
    demo.post_fault(&json!({ "scenario": "service_vanishes", "service": "user-service" })).await;
    assert!(!demo.metrics().await.contains("user-service"));
    let reply = demo.json("/api/v1/query?query=demo_cpu_usage").await;
    assert_eq!(reply["data"]["result"].as_array().unwrap().len(), 4);
    let path = format!(
        "/api/v1/query_range?query={{service=\"user-service\",__name__!=\"up\"}}&start={}&end={}&step=30",
        START - 60,
        START + 180
    );
    for series in demo.json(&path).await["data"]["result"].as_array().unwrap() {
        let times: Vec<i64> = series["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|point| point[0].as_i64().unwrap() - START)
            .collect();
        assert_eq!(times, [-60, -30, 120, 150, 180]);
    }
    let path = format!("/api/v1/query_range?query=sum(up)&start={}&end={}&step=60", START - 60, START + 180);
    let sum = demo.json(&path).await["data"]["result"].clone();
    let values: Vec<&str> =
        sum[0]["values"].as_array().unwrap().iter().map(|point| point[1].as_str().unwrap()).collect();
    assert_eq!((&sum[0]["metric"], values), (&json!({}), vec!["5", "4", "4", "5", "5"]));
    demo.advance(120);
    assert!(demo.metrics().await.contains("user-service"));
}

#[tokio::test]
async fn promtool_finds_no_fault_with_the_metrics() {
    let demo = Demo::start(Schedule::On).await;
    demo.advance(100);
    let page = demo.metrics().await;
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("SKIPPED: promtool is not on the path, so nothing has checked the text format");
        return;
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn faults_tells_past_active_and_planned_ones() {
    let demo = Demo::start(Schedule::On).await;
    demo.advance(130);
    let posted = demo.post_fault(&json!({ "scenario": "dependency_failure_timeout" })).await;
    let reply = demo.json("/faults").await;
    let faults = reply["faults"].as_array().unwrap();
    let count = |state: &str| faults.iter().filter(|fault| fault["state"] == state).count();
    assert_eq!((count("active"), count("planned")), (2, 5));
    assert_eq!(count("past"), 30);
    assert!(faults.contains(&posted));
    assert_eq!(posted["service"], "user-service");
    assert_eq!(posted["signals"], json!(["latency_p95", "error_rate"]));
    assert_eq!(posted["effects"].as_array().unwrap().len(), 8);
    let order =
        faults.iter().find(|fault| fault["state"] == "active" && fault["origin"] == "scheduled").unwrap();
    assert_eq!(
        (&order["service"], &order["shape"], &order["factor"]),
        (&json!("order-service"), &json!("step"), &json!(15.0))
    );
    assert_eq!(
        (order["start"].as_f64(), order["end"].as_f64()),
        (Some((START + 120) as f64), Some((START + 165) as f64))
    );
    let reply = demo.json(&format!("/faults?from={START}&until={}", START + 600)).await;
    assert_eq!(reply["faults"].as_array().unwrap().len(), 6);
    problem(
        demo.get("/faults?since=3").send().await.unwrap(),
        StatusCode::BAD_REQUEST,
        &["since", "from, until"],
    )
    .await;
}

#[tokio::test]
async fn a_posted_fault_moves_its_signal_until_it_is_deleted() {
    let demo = Demo::start(Schedule::Off).await;
    let normal = demo.world.value("user-service", Signal::CpuUsage, START * 1000).unwrap();
    let body =
        json!({ "service": "user-service", "signal": "cpu_usage", "shape": "level_shift", "factor": 2.5 });
    let fault = demo.post_fault(&body).await;
    assert_eq!(
        (&fault["end"], &fault["state"], &fault["origin"]),
        (&Value::Null, &json!("active"), &json!("posted"))
    );
    let shifted = demo.world.value("user-service", Signal::CpuUsage, START * 1000).unwrap();
    near(shifted, 2.5 * normal, 1e-9);
    demo.advance(60);
    let path = format!("{}/faults/{}", demo.url, fault["id"].as_str().unwrap());
    assert_eq!(demo.client.delete(&path).send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let ended = demo.json("/faults").await["faults"][0].clone();
    assert_eq!((ended["end"].as_f64(), &ended["state"]), (Some((START + 60) as f64), &json!("past")));
}

#[tokio::test]
async fn what_can_not_be_done_is_a_problem_document() {
    let demo = Demo::start(Schedule::On).await;
    let delete =
        async |id: &str| demo.client.delete(format!("{}/faults/{id}", demo.url)).send().await.unwrap();
    problem(delete("posted-7").await, StatusCode::NOT_FOUND, &["posted-7"]).await;
    let scheduled = format!("scheduled-payment-service-{START}");
    problem(delete(&scheduled).await, StatusCode::CONFLICT, &[&scheduled, "--schedule off"]).await;
    problem(delete("%ff").await, StatusCode::BAD_REQUEST, &[]).await;
    let post = async |body: &str| demo.post("/faults").body(body.to_owned()).send().await.unwrap();
    problem(post("{").await, StatusCode::BAD_REQUEST, &["body"]).await;
    let unknown = post(r#"{"scenario":"meteor"}"#).await;
    problem(unknown, StatusCode::BAD_REQUEST, &["\"scenario\"", "\"meteor\"", "bad_deployment"]).await;
    problem(post(&" ".repeat(100_000)).await, StatusCode::PAYLOAD_TOO_LARGE, &[]).await;
    problem(demo.get("/nothing").send().await.unwrap(), StatusCode::NOT_FOUND, &["/nothing"]).await;
    problem(demo.get("/faults/x").send().await.unwrap(), StatusCode::METHOD_NOT_ALLOWED, &["GET"]).await;
}

#[tokio::test]
async fn scenarios_lists_every_scenario_and_the_call_graph() {
    let demo = Demo::start(Schedule::On).await;
    let reply = demo.json("/scenarios").await;
    assert_eq!(reply["scenarios"].as_array().unwrap().len(), 11);
    assert_eq!(reply["calls"].as_array().unwrap().len(), 5);
    for scenario in reply["scenarios"].as_array().unwrap() {
        let fault = demo.post_fault(&json!({ "scenario": scenario["name"] })).await;
        assert_eq!(
            (&fault["scenario"], &fault["service"]),
            (&scenario["name"], &scenario["default_service"])
        );
    }
}

#[tokio::test]
async fn it_stops_when_it_is_cancelled() {
    let demo = Demo::start(Schedule::On).await;
    demo.metrics().await;
    drop(demo.cancel);
    demo.server.await.unwrap().unwrap();
}

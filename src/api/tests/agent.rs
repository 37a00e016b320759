//! Probes, metrics, status and signals.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::server::{Server, refused, settings};
use super::story::Story;
use crate::api::Settings;
use crate::detect::{Anomaly, Kind, SeriesPage, SeriesQuery, SeriesState, SeriesView, Side, Tally};
use crate::runtime::{Asked, ModelStatus, PollStatus, SignalStatus, Status};
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((1_700_000_000 + seconds) * 1000)
}

fn view(service: &str, values: &[f64]) -> SeriesView {
    let key = SeriesKey::new(
        SignalName::new("error_rate"),
        Service::new(service),
        Labels::new([("service", service)]),
    );
    let times = (0_i64..).map(|nth| at(15 * nth));
    SeriesView {
        key: Arc::new(key),
        kind: Kind::Errors,
        anomaly: None,
        is_lost: false,
        unsettled_until: None,
        value: values.last().copied().unwrap_or(f64::NAN),
        expected: Some(10.0),
        band: Some((7.0, 13.0)),
        scale: Some(1.0),
        recent: times.zip(values.iter().copied()).collect(),
        signed_scores: values.iter().map(|value| (value - 10.0) / 3.0).collect(),
        overrides: Vec::new(),
    }
}

fn anomaly() -> Anomaly {
    Anomaly {
        side: Side::Up,
        onset: at(30),
        detected_at: at(60),
        until: at(75),
        expected: 10.0,
        lower: 7.0,
        upper: 13.0,
        scale: 1.0,
        peak_value: 40.0,
        peak_score: 10.0,
        confidence: 0.99,
    }
}

/// One series in each state, of more that there are.
fn four() -> SeriesPage {
    let warming = SeriesView {
        expected: None,
        band: None,
        scale: None,
        signed_scores: vec![f64::NAN],
        ..view("b", &[9.0])
    };
    let anomalous = SeriesView { anomaly: Some(anomaly()), ..view("c", &[10.0, 40.0]) };
    let series = vec![
        (SeriesState::Normal, view("a", &[10.0, 9.0])),
        (SeriesState::Warming, warming),
        (SeriesState::Anomalous, anomalous),
        (SeriesState::Lost, SeriesView { is_lost: true, ..view("d", &[10.0]) }),
    ];
    SeriesPage { series, left_out: 3 }
}

#[tokio::test]
async fn it_is_healthy_before_it_is_ready() {
    let server = Server::start().await;
    assert_eq!(server.get("/-/healthy").await.status(), 200);
    let reply = server.get("/-/ready").await;
    assert_eq!(reply.status(), 503);
    assert!(reply.text().await.unwrap().contains("just started"));

    let because = Some("error_rate reads its history".to_owned());
    server.pipeline.publish(Status { not_ready_because: because, ..Status::default() });
    let reply = server.get("/-/ready").await;
    assert_eq!(reply.status(), 503);
    assert!(reply.text().await.unwrap().contains("error_rate reads its history"));

    server.pipeline.publish(Status { is_ready: true, ..Status::default() });
    assert_eq!(server.get("/-/ready?cache=no").await.status(), 200);
}

#[tokio::test]
async fn metrics_come_as_openmetrics_text() {
    let server = Server::start().await;
    let reply = server.get("/metrics").await;
    assert_eq!(reply.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(reply.text().await.unwrap().ends_with("# EOF\n"));
}

#[tokio::test]
async fn the_index_lists_every_documented_path_below_the_prefix() {
    let settings = Settings { route_prefix: "/portent".to_owned(), ..settings() };
    let server = Server::start_with(settings).await;
    let list = server.get("/portent").await.text().await.unwrap();
    for path in server.document["paths"].as_object().unwrap().keys() {
        assert!(list.contains(&format!(" /portent{path} ")), "{list} lacks {path}");
    }
    let document: Value = server.get("/portent/api/v1/openapi.json").await.json().await.unwrap();
    assert_eq!(document["servers"], json!([{ "url": "/portent" }]));
    assert_eq!(server.get("/portent/").await.status(), 200);
    assert_eq!(server.get("/portent/-/healthy").await.status(), 200);
    refused(server.get("/-/healthy").await, 404, "unknown-path", &["/-/healthy"]).await;
}

#[tokio::test]
async fn the_status_shows_thresholds_polls_model_incidents_and_the_head_of_the_log() {
    let server = Server::start().await;
    server.pipeline.publish(status());
    let body = server.json("/api/v1/status", "/api/v1/status").await;
    assert_eq!((&body["version"], &body["config_hash"]), (&json!("1.2.3"), &json!("c0ffee")));
    assert_eq!((&body["started_at"], &body["is_ready"]), (&json!(at(0).to_string()), &json!(true)));
    assert_eq!(body["open_incidents"], json!({ "P0": 0, "P1": 2, "P2": 0, "P3": 1 }));
    assert_eq!(body["model"]["fallbacks_total"], json!({ "timeout": 2 }));
    assert_eq!(body["log"], json!({ "head_seq": 0, "incidents_open": 0, "incidents_total": 0 }));
    let rows = body["signals"].as_array().unwrap();
    assert_eq!(
        (rows.len(), &rows[0]["name"], &rows[1]["name"]),
        (2, &json!("error_rate"), &json!("latency_p95"))
    );
    assert_eq!((&rows[0]["sigma"], &rows[0]["judged_total"]), (&json!(3.0), &json!(100)));
    assert!((rows[0]["effective_sigma"].as_f64().unwrap() - 3.0).abs() < 1e-9);
    let polls = &rows[0]["polls"];
    assert_eq!((&polls["answered_total"], &polls["failed_total"]), (&json!(9), &json!(2)));
    assert_eq!((&polls["failures_in_a_row"], &polls["held_total"]), (&json!(1), &json!(3)));
    assert_eq!(body["source"], json!(null), "nothing is polled here");
    assert_eq!((&polls["warnings"], &polls["last_took_s"]), (&json!(["partial response"]), &json!(0.25)));
    assert_eq!(rows[1]["polls"]["answered_total"], 0);

    let story = Story::new("checkout");
    server.tell(&story.opening()).await;
    let body = server.json("/api/v1/status", "/api/v1/status").await;
    assert_eq!(body["log"]["incidents_open"], 1);
    assert_eq!(body["log"]["head_seq"], server.store.counts().await.unwrap().last_seq);
}

#[tokio::test]
async fn the_status_answers_although_the_store_fails() {
    let server = Server::start().await;
    server.pipeline.publish(status());
    server.store.clone().close().await;
    let body = server.json("/api/v1/status", "/api/v1/status").await;
    assert_eq!((&body["log"], &body["is_ready"]), (&Value::Null, &json!(true)));
}

#[tokio::test]
async fn signals_come_with_their_settings_and_counts() {
    let server = Server::start().await;
    server.pipeline.publish(status());
    let body = server.json("/api/v1/signals", "/api/v1/signals").await;
    let names: Vec<_> = body["signals"].as_array().unwrap().iter().map(|signal| &signal["name"]).collect();
    assert_eq!(names, ["error_rate", "latency_p95"]);
    let first = &body["signals"][0];
    assert_eq!((&first["promql"], &first["kind"]), (&json!("demo_error_rate"), &json!("errors")));
    assert_eq!((&first["step_s"], &first["interval_s"]), (&json!(15.0), &json!(60.0)));
    assert_eq!(first["detection"]["sigma"], 3.0);
    assert!((first["detection"]["effective_sigma"].as_f64().unwrap() - 3.0).abs() < 1e-9);
    assert_eq!(first["series"], json!({ "tracked": 5, "warming": 1, "anomalous": 2, "lost": 1 }));
    assert_eq!(first["judged_through_at"], at(60).to_string());
    assert_eq!(body["signals"][1]["judged_through_at"], Value::Null);
}

#[tokio::test]
async fn a_signal_shows_each_series_with_its_band_score_and_state() {
    let mut server = Server::start().await;
    let (body, _) = series(&mut server, "").await;
    let rows = body["series"].as_array().unwrap();
    let states: Vec<Value> = rows.iter().map(|row| json!([row["series"]["service"], row["state"]])).collect();
    assert_eq!(json!(states), json!([["a", "normal"], ["b", "warming"], ["c", "anomalous"], ["d", "lost"]]));
    assert_eq!(
        (&rows[0]["lower"], &rows[0]["expected"], &rows[0]["upper"]),
        (&json!(7.0), &json!(10.0), &json!(13.0))
    );
    assert_eq!((&rows[1]["lower"], &rows[1]["score"]), (&Value::Null, &Value::Null));
    assert_eq!((&rows[2]["score"], &rows[2]["value"]), (&json!(10.0), &json!(40.0)));
    assert_eq!(rows[2]["anomalous_since_at"], at(30).to_string());
    assert_eq!(body["left_out"], 3);
}

#[tokio::test]
async fn no_more_series_are_asked_for_than_are_shown() {
    let mut server = Server::start().await;
    let signal = SignalName::new("error_rate");
    let wanted = |service: Option<&str>, state, limit| SeriesQuery {
        signal: signal.clone(),
        service: service.map(Service::new),
        state,
        limit,
    };
    for (query, expected) in [
        ("", wanted(None, None, 100)),
        ("?limit=1", wanted(None, None, 1)),
        ("?state=lost&limit=1000", wanted(None, Some(SeriesState::Lost), 1000)),
        ("?service=b&state=normal", wanted(Some("b"), Some(SeriesState::Normal), 100)),
    ] {
        assert_eq!(series(&mut server, query).await.1, expected, "{query}");
    }
}

/// Asks for the series of `error_rate`, for which the pipeline answers with one in each state; the answer, and what the
/// pipeline was asked.
async fn series(server: &mut Server, query: &str) -> (Value, SeriesQuery) {
    let path = format!("/api/v1/signals/error_rate{query}");
    let url = format!("{}{path}", server.url);
    let asking = server.client.get(url).send();
    let answering = async {
        match server.pipeline.next().await {
            Some(Asked::Series(wanted, reply)) => {
                reply.send(four()).unwrap();
                wanted
            }
            other => panic!("{other:?}"),
        }
    };
    let (reply, wanted) = tokio::join!(asking, answering);
    let body: Value = reply.unwrap().json().await.unwrap();
    server.hold("get", "/api/v1/signals/{name}", "200", &body);
    (body, wanted)
}

#[tokio::test]
async fn an_unknown_signal_is_refused_with_the_names_that_there_are() {
    let server = Server::start().await;
    let reply = server.get("/api/v1/signals/errors").await;
    refused(reply, 404, "unknown-signal", &["errors", "error_rate, latency_p95"]).await;
}

#[tokio::test]
async fn a_pipeline_that_has_ended_makes_a_signal_unavailable() {
    let mut server = Server::start().await;
    let (_, unheard) = crate::runtime::rehearse(1);
    drop(std::mem::replace(&mut server.pipeline, unheard));
    let reply = server.get("/api/v1/signals/error_rate").await;
    assert_eq!(reply.headers()["retry-after"], "1");
    refused(reply, 503, "unavailable", &["try again"]).await;
}

pub(super) fn status() -> Status {
    let tally = Tally {
        unsettled_total: 0,
        series: 5,
        warming: 1,
        anomalous: 2,
        lost: 1,
        judged_total: 100,
        outside_total: 7,
        low_traffic_total: 0,
        usual_total: 0,
        samples_a_day: 144_000,
        repeated_total: 3,
        untracked_total: 2,
        evicted_total: 1,
    };
    let polls = PollStatus {
        answered_total: 9,
        failed_total: 2,
        failures_in_a_row: 1,
        held_total: 3,
        missed_total: 1,
        last_answer_at: Some(at(61)),
        last_error: Some("query \"error_rate\" timed out after 10s".to_owned()),
        warnings: vec!["partial response".to_owned()],
        last_seconds: 0.25,
        not_values: 4,
        without_service: 6,
    };
    Status {
        started_at: at(0),
        at: at(62),
        is_ready: true,
        not_ready_because: None,
        signals: vec![SignalStatus {
            is_source_degraded: false,
            name: SignalName::new("error_rate"),
            overridden: Vec::new(),
            tally,
            judged_through: Some(at(60)),
            polls,
        }],
        open_incidents: BTreeMap::from([("P1", 2), ("P3", 1)]),
        model: ModelStatus {
            questions_total: 5,
            cached_total: 1,
            requests_total: 4,
            prompt_tokens_total: 1000,
            completion_tokens_total: 200,
            fallbacks_total: BTreeMap::from([("timeout", 2)]),
        },
    }
}

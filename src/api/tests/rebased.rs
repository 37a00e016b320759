//! Baselines that begin anew since somebody wants that.

use std::sync::Arc;

use reqwest::Response;
use serde_json::{Value, json};

use super::server::{Server, refused};
use crate::detect::NotRebased;
use crate::engine::{Command, Rebase, Rebasing, Reply, SeriesRebased};
use crate::runtime::Asked;
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

const PATH: &str = "/api/v1/series/rebase";

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis((1_700_000_000 + seconds) * 1000)
}

fn key(pod: &str) -> Arc<SeriesKey> {
    let labels = Labels::new([("service", "shop"), ("pod", pod)]);
    Arc::new(SeriesKey::new(SignalName::new("error_rate"), Service::new("shop"), labels))
}

fn body() -> Value {
    json!({"signal": "error_rate", "service": "shop", "comment": " moved on purpose "})
}

async fn post(server: &Server, body: &Value) -> Response {
    server.client.post(format!("{}{PATH}", server.url)).json(body).send().await.unwrap()
}

/// Posts what is wanted, for which the pipeline answers so; gives what it was asked.
async fn rebase(server: &mut Server, body: &Value, answer: Rebasing) -> (Response, Rebase) {
    let asking = server.client.post(format!("{}{PATH}", server.url)).json(body).send();
    let answering = async {
        match server.pipeline.next().await {
            Some(Asked::Command(Command::Rebase(wanted), reply)) => {
                reply.send(Reply::Rebase(answer)).unwrap();
                wanted
            }
            other => panic!("{other:?}"),
        }
    };
    let (reply, wanted) = tokio::join!(asking, answering);
    (reply.unwrap(), wanted)
}

#[tokio::test]
async fn a_rebase_says_what_the_baseline_is_made_of_and_what_has_ended() {
    let mut server = Server::start().await;
    let event = SeriesRebased {
        key: key("p1"),
        since: at(30),
        at: at(75),
        from: 0.5,
        to: 9.0,
        by: "anybody".to_owned(),
        comment: "moved on purpose".to_owned(),
    };
    let done = Rebasing::Done { event: Box::new(event), points: 4, needed: 19, ended: Some(at(30)) };
    let mut asked = body();
    asked["labels"] = json!({"pod": "p1"});
    let (reply, wanted) = rebase(&mut server, &asked, done).await;
    assert_eq!(
        wanted,
        Rebase {
            signal: SignalName::new("error_rate"),
            service: Service::new("shop"),
            labels: Labels::new([("pod", "p1")]),
            by: "anybody".to_owned(),
            comment: "moved on purpose".to_owned(),
        }
    );
    assert_eq!(reply.status(), 200);
    let body: Value = reply.json().await.unwrap();
    server.hold("post", PATH, "200", &body);
    assert_eq!((&body["points"], &body["needed"]), (&json!(4), &json!(19)));
    assert_eq!((&body["from"], &body["to"]), (&json!(0.5), &json!(9.0)));
    assert_eq!(body["anomalous_since_at"], at(30).to_string());
    assert_eq!(body["series"]["labels"]["pod"], "p1");
}

#[tokio::test]
async fn what_has_no_baseline_to_begin_anew_is_told_apart_with_a_way_out() {
    let mut server = Server::start().await;
    for (answer, status, kind, words) in [
        (
            Rebasing::Refused(NotRebased::Unknown),
            404,
            "unknown-series",
            &["shop/error_rate", "GET /api/v1/signals/error_rate"][..],
        ),
        (Rebasing::Refused(NotRebased::Lost), 409, "series-at-rest", &["lost", "wait until it has samples"]),
        (
            Rebasing::Refused(NotRebased::Warming { points: 7, needed: 19 }),
            409,
            "series-at-rest",
            &["7 of 19 samples"],
        ),
        (Rebasing::Refused(NotRebased::Unsettled), 409, "series-at-rest", &["gap", "try again"]),
        (
            Rebasing::Ambiguous(vec![key("p1"), key("p2")]),
            409,
            "ambiguous-series",
            &["give labels", "pod=\"p1\"", "pod=\"p2\""],
        ),
        (Rebasing::HistoryUnread, 503, "unavailable", &["history", "try again"]),
    ] {
        let (reply, _) = rebase(&mut server, &body(), answer).await;
        refused(reply, status, kind, words).await;
    }
}

#[tokio::test]
async fn a_body_that_does_not_say_which_and_why_is_refused_before_the_pipeline_hears_of_it() {
    let server = Server::start().await;
    let with = |key: &str, value: Value| {
        let mut body = body();
        body[key] = value;
        body
    };
    for (body, words) in [
        (json!({}), &["missing field", "signal, service and comment"][..]),
        (json!([]), &["signal, service and comment"]),
        (with("comment", json!("  ")), &["comment is empty"]),
        (with("comment", json!("x".repeat(1001))), &["1001 characters", "1 to 1000"]),
        (with("reason", json!("x")), &["unknown field", "reason"]),
        (with("labels", json!(["pod"])), &["labels"]),
    ] {
        refused(post(&server, &body).await, 400, "invalid-body", words).await;
    }
    let unknown = with("signal", json!("eror_rate"));
    refused(post(&server, &unknown).await, 404, "unknown-signal", &["eror_rate", "error_rate, latency_p95"])
        .await;
    let reply = server.get(PATH).await;
    assert_eq!(reply.headers()["allow"], "POST");
}

//! Diagnoses, and the wish for a new one.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::server::{Server, refused};
use super::story::Story;
use crate::diagnose::{Author, Because};
use crate::engine::{Command, Reply};
use crate::id::IncidentId;
use crate::runtime::Asked;

const DIAGNOSIS: &str = "/api/v1/incidents/{id}/diagnosis";
const ANALYZE: &str = "/api/v1/incidents/{id}/analyze";

#[tokio::test]
async fn the_newest_diagnosis_or_that_of_a_revision_says_who_made_it_and_why() {
    let server = Server::start().await;
    let mut story = Story::new("checkout");
    let timeout = Because::Timeout("no answer within 20s".to_owned());
    let model = Author::Model { name: "small".to_owned(), from_cache: true };
    for commit in [
        story.opening(),
        story.request(1),
        story.diagnosis(1, Author::Heuristics { because: timeout }),
        story.diagnosis(2, model),
    ] {
        server.tell(&commit).await;
    }
    let newest = server.json(DIAGNOSIS, &story.path("/diagnosis")).await;
    assert_eq!((&newest["revision"], &newest["incident"]), (&json!(2), &json!(story.id().to_string())));
    let author = json!({ "kind": "model", "model": "small", "from_cache": true, "because": null });
    assert_eq!(newest["author"], author);
    let first = &newest["hypotheses"][0];
    assert_eq!(
        (&first["cause"], &first["title"]),
        (&json!("failure"), &json!("checkout fails by itself (2)"))
    );
    assert_eq!(first["contributions"], json!([{ "term": "strength", "bits": 2.5 }]));
    assert_eq!(first["evidence"], json!(["a1", "s2"]));

    let older = server.json(DIAGNOSIS, &story.path("/diagnosis?revision=1")).await;
    let because = json!({ "code": "timeout", "detail": "no answer within 20s" });
    assert_eq!(
        older["author"],
        json!({ "kind": "heuristics", "model": null, "from_cache": null, "because": because })
    );
    assert_eq!(older["revision"], 1);
}

#[tokio::test]
async fn a_diagnosis_that_is_not_there_is_a_problem_that_says_why() {
    let server = Server::start().await;
    let mut story = Story::new("checkout");
    server.tell(&story.opening()).await;
    let reply = server.get(&story.path("/diagnosis")).await;
    refused(reply, 404, "unknown-diagnosis", &["no diagnosis yet"]).await;
    server.tell(&story.request(1)).await;
    let reply = server.get(&story.path("/diagnosis")).await;
    refused(reply, 404, "unknown-diagnosis", &["being made", "revision 1"]).await;
    let reply = server.get(&story.path("/diagnosis?revision=9")).await;
    refused(reply, 404, "unknown-diagnosis", &["revision 9", "is 1"]).await;
    for revision in ["0", "-1", "newest", "4294967296"] {
        let reply = server.get(&story.path(&format!("/diagnosis?revision={revision}"))).await;
        refused(reply, 400, "invalid-parameter", &["\"revision\"", revision, "from 1"]).await;
    }
}

/// Asks for a diagnosis, for which the pipeline answers so.
async fn analyze(server: &mut Server, id: IncidentId, answer: Reply) -> Response {
    let asking = server.client.post(format!("{}/api/v1/incidents/{id}/analyze", server.url)).send();
    let answering = async {
        match server.pipeline.next().await {
            Some(Asked::Command(Command::Analyze { incident }, reply)) if incident == id => {
                reply.send(answer).unwrap();
            }
            other => panic!("{other:?}"),
        }
    };
    let (reply, ()) = tokio::join!(asking, answering);
    reply.unwrap()
}

#[tokio::test]
async fn analyze_is_accepted_and_says_where_the_diagnosis_will_be() {
    let mut server = Server::start().await;
    let mut story = Story::new("checkout");
    server.tell(&story.opening()).await;
    let reply = analyze(&mut server, story.id(), Reply::Analyzing { revision: 1 }).await;
    assert_eq!(reply.status(), 202);
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = reply.json().await.unwrap();
    server.hold("post", ANALYZE, "202", &body);
    assert_eq!((&body["revision"], &body["diagnosis"]), (&json!(1), &json!(location)));
    server.tell(&story.request(1)).await;
    server.tell(&story.diagnosis(1, Author::Heuristics { because: Because::ModelPending })).await;
    assert_eq!(server.json(DIAGNOSIS, &location).await["revision"], 1);
}

#[tokio::test]
async fn analyze_tells_an_incident_at_rest_from_one_that_never_was() {
    let mut server = Server::start().await;
    let mut story = Story::new("checkout");
    let reply = analyze(&mut server, story.id(), Reply::UnknownIncident).await;
    refused(reply, 404, "unknown-incident", &[&story.id().to_string()]).await;
    server.tell(&story.opening()).await;
    server.tell(&story.recovery()).await;
    let reply = analyze(&mut server, story.id(), Reply::UnknownIncident).await;
    refused(reply, 409, "incident-at-rest", &["resolved too long ago"]).await;
}

#[tokio::test]
async fn analyze_is_unavailable_while_the_pipeline_has_too_much_to_do() {
    let server = Server::start().await;
    let story = Story::new("checkout");
    let url = format!("{}{}", server.url, story.path("/analyze"));
    // Nobody takes requests here: those that fit into the queue wait, the next one is turned away at once.
    let asking = || async { server.client.post(&url).send().await.unwrap() };
    let first = tokio::select! {
        reply = asking() => reply,
        reply = asking() => reply,
        reply = asking() => reply,
    };
    assert_eq!(first.headers()["retry-after"], "1");
    refused(first, 503, "unavailable", &["too much to do"]).await;
}

#[tokio::test]
async fn nothing_but_post_without_a_body_asks_for_a_diagnosis() {
    let mut server = Server::start().await;
    let path = Story::new("checkout").path("/analyze");
    let reply = server.get(&path).await;
    assert_eq!(reply.headers()["allow"], "POST");
    refused(reply, 405, "method-not-allowed", &["GET"]).await;
    let post = |body: String| {
        let request = server.client.post(format!("{}{path}", server.url));
        request.header("content-type", "application/json").body(body).send()
    };
    let reply = post("{\"model\":\"large\"}".to_owned()).await.unwrap();
    refused(reply, 400, "invalid-body", &["no body"]).await;
    refused(post("x".repeat(20_000)).await.unwrap(), 413, "body-too-large", &[]).await;
    refused(server.send(Method::POST, &format!("{path}?revision=2")).await, 400, "invalid-parameter", &[])
        .await;
    refused(
        server.send(Method::POST, "/api/v1/incidents/x/analyze").await,
        400,
        "invalid-parameter",
        &["20 hex"],
    )
    .await;
    // None of these reached the pipeline.
    let id = Story::new("checkout").id();
    assert_eq!(analyze(&mut server, id, Reply::Analyzing { revision: 1 }).await.status(), 202);
}

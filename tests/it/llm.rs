//! A model that answers, and models that don't: each by a server that speaks the protocol.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use portent::app::App;
use portent::config::{self, Override};
use portent::runtime::Clock;
use portent_demo_service::{Schedule, World};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::support::{Demo, eventually, write_private};

/// How a model behaves.
#[derive(Debug, Clone, Copy)]
enum Behaviour {
    Answers,
    Hangs,
    Refuses,
    IsCutOff,
    TalksProse,
    TooManyRequests,
    Breaks,
}

/// A server that speaks the OpenAI API as far as it is asked to.
#[derive(Clone)]
struct Model {
    behaviour: Behaviour,
    requests: Arc<Mutex<Vec<Value>>>,
}

async fn complete(State(model): State<Model>, Json(request): Json<Value>) -> Response {
    model.requests.lock().await.push(request.clone());
    let reply = |message: Value, finish: &str| {
        Json(json!({
            "id": "c", "object": "chat.completion", "created": 1, "model": "test",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        }))
        .into_response()
    };
    let says = |text: &str| json!({"role": "assistant", "content": text});
    match model.behaviour {
        Behaviour::Answers => reply(says(&answer_to(&request)), "stop"),
        Behaviour::Hangs => std::future::pending().await,
        Behaviour::Refuses => {
            reply(json!({"role": "assistant", "content": null, "refusal": "I will not"}), "stop")
        }
        Behaviour::IsCutOff => reply(says("{\"hypotheses\":[{\"ti"), "length"),
        Behaviour::TalksProse => reply(says("It is probably the database."), "stop"),
        Behaviour::TooManyRequests => (
            StatusCode::TOO_MANY_REQUESTS,
            [("retry-after", "3600")],
            Json(json!({"error": {"message": "slow down"}})),
        )
            .into_response(),
        Behaviour::Breaks => (StatusCode::INTERNAL_SERVER_ERROR, "broken").into_response(),
    }
}

/// An answer within the schema: two hypotheses about a service that the question names.
fn answer_to(request: &Value) -> String {
    let question = request["messages"].to_string();
    let services = portent_demo_service::SERVICES.iter().map(|service| service.name);
    // The incident's own service stands first in the question's data.
    let service = services.min_by_key(|name| question.find(name).unwrap_or(usize::MAX)).unwrap();
    let hypothesis = |title: &str, cause: &str| {
        json!({"title": title, "cause": cause, "service": service, "signal": null,
               "explanation": "a1 shows it", "evidence": ["a1"]})
    };
    json!({"hypotheses": [hypothesis("A deployment", "failure"), hypothesis("The database", "dependency")]})
        .to_string()
}

/// An agent over a demo that runs sixty times as fast, with that model.
async fn agent(behaviour: Behaviour) -> (App, Demo, Model, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::scaled(60.0);
    let time = clock.clone();
    let demo = Demo::start(World::new(5, Schedule::On), Arc::new(move || time.now().as_millis())).await;
    let model = Model { behaviour, requests: Arc::default() };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/v1/chat/completions", post(complete)).with_state(model.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let key = folder.path().join("key");
    write_private(&key, "sk-canary-1234567890\n");

    let set = |path: &str, value: String| Override { path: path.to_owned(), value, flag: "test".to_owned() };
    let text = |value: &str| format!("{value:?}");
    let overrides = [
        set("source.url", text(&demo.url())),
        set("store.path", text(&folder.path().join("portent.db").to_string_lossy())),
        set("api.listen_address", text("127.0.0.1:0")),
        set("llm.enabled", "true".to_owned()),
        set("llm.base_url", text(&base)),
        set("llm.model", text("test-model")),
        set("llm.api_key_file", text(&key.to_string_lossy())),
        set("llm.deadline", text("2s")),
        set("llm.requests_per_minute", "1000".to_owned()),
    ];
    let config = config::load_text("demo.toml", config::DEMO, [], &overrides).unwrap();
    let app = App::start(&config, clock).await.unwrap();
    (app, demo, model, folder)
}

/// Waits for a diagnosis by the model, where `because` is empty, or by heuristics for that reason.
async fn settled(app: &App, because: &str) -> Value {
    let what = format!("a diagnosis because of {because:?}");
    eventually(&what, || async {
        let list: Value = get(app, "/api/v1/incidents?limit=200").await?;
        for incident in list["incidents"].as_array()? {
            let id = incident["id"].as_str()?;
            let diagnosis = get(app, &format!("/api/v1/incidents/{id}/diagnosis")).await;
            let Some(diagnosis) = diagnosis else { continue };
            let is_wanted = (diagnosis["author"]["kind"] == "model") == because.is_empty();
            if is_wanted && diagnosis["author"]["because"]["code"].as_str().unwrap_or_default() == because {
                return Some(diagnosis);
            }
        }
        None
    })
    .await
}

async fn get(app: &App, path: &str) -> Option<Value> {
    let reply = reqwest::get(format!("{}{path}", app.url())).await.ok()?;
    reply.status().is_success().then_some(())?;
    None.or(reply.json().await.ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_answers_is_asked_by_schema_and_its_order_is_kept() {
    let (app, _demo, model, _folder) = agent(Behaviour::Answers).await;
    let diagnosis = settled(&app, "").await;
    assert_eq!(diagnosis["author"]["model"], "test-model", "{diagnosis:#}");
    let titles: Vec<_> =
        diagnosis["hypotheses"].as_array().unwrap().iter().map(|h| h["title"].clone()).collect();
    assert_eq!(titles, ["A deployment", "The database"]);
    let requests = model.requests.lock().await;
    let request = &requests[0];
    assert_eq!(request["model"], "test-model");
    assert_eq!(request["response_format"]["type"], "json_schema");
    assert_eq!(request["response_format"]["json_schema"]["strict"], true);
    assert_eq!(request["response_format"]["json_schema"]["schema"]["additionalProperties"], false);
    assert!(!request.to_string().contains("sk-canary"), "the key goes into a header and nowhere else");
    drop(requests);
    app.stop().await.unwrap();
}

#[track_caller]
fn check(diagnosis: &Value, because: &str) {
    assert_eq!(diagnosis["author"]["kind"], "heuristics", "{diagnosis:#}");
    assert_eq!(diagnosis["author"]["because"]["code"], because, "{diagnosis:#}");
    assert!(!diagnosis["hypotheses"].as_array().unwrap().is_empty(), "{diagnosis:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_leads_to_heuristics_with_the_reason_stored() {
    for (behaviour, because) in [
        (Behaviour::Refuses, "refused"),
        (Behaviour::IsCutOff, "truncated"),
        (Behaviour::TalksProse, "bad_reply"),
        (Behaviour::TooManyRequests, "rate_limited"),
        (Behaviour::Breaks, "unavailable"),
    ] {
        let (app, _demo, _model, _folder) = agent(behaviour).await;
        check(&settled(&app, because).await, because);
        app.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_key_leads_to_heuristics_with_the_reason_stored() {
    let (app, _demo, model, folder) = agent(Behaviour::Answers).await;
    // Taken away after the start: at the start the config check would have refused it.
    std::fs::remove_file(folder.path().join("key")).unwrap();
    check(&settled(&app, "no_key").await, "no_key");
    drop(model);
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_model_delays_nothing_else() {
    let (app, _demo, model, _folder) = agent(Behaviour::Hangs).await;
    let asked = eventually("a question that hangs", || async {
        let requests = model.requests.lock().await.len();
        (requests > 0).then(|| app.handle.status())
    })
    .await;
    // While it hangs, samples are judged, incidents have their heuristics, and the API answers.
    let judged = |status: &portent::runtime::Status| -> u64 {
        status.signals.iter().map(|signal| signal.tally.judged_total).sum()
    };
    eventually("more samples judged while the model hangs", || async {
        (judged(&app.handle.status()) > judged(&asked) + 500).then_some(())
    })
    .await;
    let list = get(&app, "/api/v1/incidents").await.unwrap();
    let id = list["incidents"][0]["id"].as_str().unwrap().to_owned();
    let stands_in = get(&app, &format!("/api/v1/incidents/{id}/diagnosis?revision=1")).await.unwrap();
    check(&stands_in, "model_pending");
    check(&settled(&app, "timeout").await, "timeout");
    let stopped = tokio::time::timeout(Duration::from_secs(30), app.stop()).await;
    stopped.expect("a hanging model does not hold up the stop").unwrap();
}

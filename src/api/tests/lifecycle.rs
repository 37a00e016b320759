//! `POST /-/reload`, and what readers see of it.

use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use super::server::{Server, refused, signal};
use crate::api::{InForce, Refusal};
use crate::runtime::{Fate, Foreseen, ReloadAsked, ReloadError, SignalForeseen};
use crate::time::Timestamp;

/// Asks for a reload that ends like this.
async fn check(ends: Result<String, ReloadError>, status: u16, text: &str) {
    let mut server = Server::start().await;
    let mut queue = server.reload_queue.take().unwrap();
    let answering = async {
        let Some(ReloadAsked::Reload(reply)) = queue.next().await else { panic!("no reload was asked for") };
        reply.send(ends).unwrap();
    };
    let (reply, ()) = tokio::join!(server.send(Method::POST, "/-/reload"), answering);
    assert_eq!(reply.status(), status);
    assert_eq!(reply.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(reply.headers().contains_key("retry-after"), status == 503);
    assert_eq!(reply.text().await.unwrap(), text);
}

#[tokio::test]
async fn a_reload_says_how_it_ended() {
    check(Ok("reloaded".to_owned()), 200, "reloaded\n").await;
    let mistakes = ReloadError::Refused("a: no\nb: no".to_owned());
    check(Err(mistakes), 500, "failed to reload config: a: no\nb: no\n").await;
    let stopping = "the agent is stopping; the config is not read again\n";
    check(Err(ReloadError::Stopping), 503, stopping).await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_change_and_reloads_nothing() {
    let mut server = Server::start().await;
    let mut queue = server.reload_queue.take().unwrap();
    let text = |text: &str| Some(text.to_owned());
    let changed = SignalForeseen {
        signal: crate::series::SignalName::new("cpu"),
        fate: Fate::Anew { because: "it asks something else" },
        settings: vec![("query".to_owned(), text("cpu"), text("other"))],
    };
    let foreseen = Foreseen {
        hash_before: "c0ffee".to_owned(),
        config_hash: text("beef"),
        signals: vec![changed],
        unchanged: 4,
        keys: vec![("source.url".to_owned(), None, None)],
        refused: vec!["api.listen_address: is read at the start only".to_owned()],
    };
    let answering = async {
        let Some(ReloadAsked::Foresee(reply)) = queue.next().await else { panic!("a reload was asked for") };
        reply.send(foreseen).unwrap();
    };
    let (reply, ()) = tokio::join!(server.send(Method::POST, "/-/reload?dry_run=true"), answering);
    assert_eq!(
        (reply.status().as_u16(), &reply.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    let reply: Value = reply.json().await.unwrap();
    assert_eq!(
        reply,
        json!({
            "applies": false, "hash_before": "c0ffee", "config_hash": "beef", "unchanged_signals": 4,
            "signals": [{"signal": "cpu", "change": "changed", "state": "anew", "because": "it asks something else",
                "settings": [{"key": "query", "before": "cpu", "after": "other"}]}],
            "settings": [{"key": "source.url", "before": null, "after": null}],
            "refused": ["api.listen_address: is read at the start only"],
        })
    );
}

#[tokio::test]
async fn a_misspelt_dry_run_reloads_nothing() {
    let mut server = Server::start().await;
    let mut queue = server.reload_queue.take().unwrap();
    for (query, words) in
        [("dry_run=yes", "true, false"), ("dryrun=true", "dry_run"), ("dry_run", "true, false")]
    {
        let reply = server.send(Method::POST, &format!("/-/reload?{query}")).await;
        refused(reply, 400, "invalid-parameter", &[words]).await;
    }
    drop(server);
    assert!(queue.next().await.is_none(), "nothing was asked for");
}

#[tokio::test]
async fn only_a_post_of_the_same_site_reloads() {
    let mut server = Server::start().await;
    refused(server.get("/-/reload").await, 405, "method-not-allowed", &["GET"]).await;
    let request =
        server.client.post(format!("{}/-/reload", server.url)).header("origin", "https://evil.example");
    refused(request.send().await.unwrap(), 403, "cross-site", &["evil.example"]).await;
    let mut queue = server.reload_queue.take().unwrap();
    drop(server);
    assert!(queue.next().await.is_none(), "nothing was asked for");
}

#[tokio::test]
async fn readers_see_the_config_of_now() {
    let server = Server::start().await;
    let status = server.json("/api/v1/status", "/api/v1/status").await;
    assert_eq!((&status["config_hash"], &status["config_refusal"]), (&json!("c0ffee"), &Value::Null));
    let refusal = Refusal { at: Timestamp::from_millis(5_000), because: "no".to_owned() };
    server.config.send_replace(Arc::new(InForce {
        signals: Arc::new([signal("queue_depth")]),
        config_hash: "beef".to_owned(),
        loaded_at: Timestamp::from_millis(1_000),
        refusal: Some(refusal),
    }));
    let status = server.json("/api/v1/status", "/api/v1/status").await;
    assert_eq!(
        (&status["config_hash"], &status["config_refusal"]["because"]),
        (&json!("beef"), &json!("no"))
    );
    assert_eq!(status["config_loaded_at"], Timestamp::from_millis(1_000).to_string());
    assert_eq!(status["signals"][0]["name"], "queue_depth");
    let signals = server.json("/api/v1/signals", "/api/v1/signals").await;
    assert_eq!(signals["signals"].as_array().unwrap().len(), 1);
    refused(server.get("/api/v1/signals/error_rate").await, 404, "unknown-signal", &["queue_depth"]).await;
}

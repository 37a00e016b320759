//! The OpenAPI document and the routes are one.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::Method;
use serde_json::Value;

use super::server::Server;
use crate::api::openapi;

#[test]
fn the_committed_document_is_in_step() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed.trim_end() == openapi().trim_end(),
        "docs/openapi.json is out of step: run `make docs`"
    );
}

#[test]
fn the_document_is_openapi_3_1_with_an_operation_id_and_a_summary_each() {
    let document: Value = serde_json::from_str(&openapi()).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{id} stands twice");
            assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{method} {path}");
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{method} {path}: {parameter}");
            }
        }
    }
}

#[tokio::test]
async fn the_served_document_is_the_committed_one() {
    let server = Server::start().await;
    let mut served = server.json("/api/v1/openapi.json", "/api/v1/openapi.json").await;
    assert_eq!(served["servers"].take(), serde_json::json!([{ "url": "/" }]));
    served.as_object_mut().unwrap().remove("servers");
    assert_eq!(served, server.document);
}

#[tokio::test]
async fn every_documented_path_answers_and_its_parameters_are_known() {
    let mut server = Server::start().await;
    server.reload_queue = None;
    for (path, item) in server.document["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "no-id").replace("{name}", "no_signal");
        for (method, operation) in item.as_object().unwrap() {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let names = operation["parameters"].as_array().into_iter().flatten();
            let query = names.filter(|parameter| parameter["in"] == "query");
            let known: Vec<&str> = query.filter_map(|parameter| parameter["name"].as_str()).collect();
            let reply = server.send(method.clone(), &concrete).await;
            let (status, text) = (reply.status(), reply.text().await.unwrap());
            assert!(status != 405 && !text.contains("unknown-path"), "{method} {path}: {text}");
            // What an unknown parameter is told is the list of the known ones, in the document's order.
            if concrete == *path && path.starts_with("/api/") {
                let asked = server.send(method.clone(), &format!("{path}?zz=1")).await;
                let text = asked.text().await.unwrap();
                let told = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                assert!(text.contains(&format!("allowed: {told}\"")), "{path}: {text}");
            }
        }
    }
}

#[tokio::test]
async fn every_route_is_documented_and_every_documented_path_is_routed() {
    let server = Server::start().await;
    let documented: BTreeSet<&str> =
        server.document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let quoted = server.printed.split('"').skip(1).step_by(2);
    // axum keeps a path of its own for the fallback.
    let routed: BTreeSet<&str> =
        quoted.filter(|text| text.starts_with('/') && !text.contains("__private")).collect();
    // The page that shows the document is not in it.
    let page = BTreeSet::from(crate::api::docs::PATHS);
    assert_eq!(routed, &documented | &page);
}

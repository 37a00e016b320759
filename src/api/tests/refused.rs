//! What is refused, and how.

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::{Server, refused, spawn};
use crate::detect::SeriesPage;

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let server = Server::start().await;
    for path in ["/nothing", "/api/v1", "/api/v2/incidents", "/api/v1/incidents/", "/-/"] {
        refused(server.get(path).await, 404, "unknown-path", &[path]).await;
    }
}

#[tokio::test]
async fn a_wrong_method_is_a_problem_that_names_the_right_ones() {
    let server = Server::start().await;
    for (method, path) in
        [(Method::POST, "/api/v1/signals"), (Method::DELETE, "/-/healthy"), (Method::PUT, "/")]
    {
        let reply = server.send(method.clone(), path).await;
        assert_eq!(reply.headers()["allow"], "GET,HEAD", "{method} {path}");
        refused(reply, 405, "method-not-allowed", &[method.as_str()]).await;
    }
}

#[tokio::test]
async fn a_parameter_that_is_unknown_repeated_or_out_of_range_is_named_with_what_is_allowed() {
    let server = Server::start().await;
    for (path, words) in [
        ("/api/v1/signals?x=1", &["\"x\" is unknown", "none"][..]),
        ("/api/v1/signals/error_rate?Limit=1", &["\"Limit\" is unknown", "service, state, limit"]),
        ("/api/v1/signals/error_rate?limit=1&limit=2", &["\"limit\" stands more than once"]),
        ("/api/v1/signals/error_rate?limit=0", &["\"limit\"", "\"0\"", "1 to 1000"]),
        ("/api/v1/signals/error_rate?limit=1001", &["\"limit\"", "\"1001\"", "1 to 1000"]),
        ("/api/v1/signals/error_rate?state=fine", &["\"fine\"", "normal, warming, anomalous, lost"]),
        ("/api/v1/signals/error_rate?service=", &["\"service\"", "not empty"]),
        ("/api/v1/openapi.json?pretty", &["\"pretty\" is unknown"]),
    ] {
        refused(server.get(path).await, 400, "invalid-parameter", words).await;
    }
}

#[tokio::test]
async fn a_long_value_is_quoted_in_part() {
    let server = Server::start().await;
    let path = format!("/api/v1/signals/error_rate?state={}", "x".repeat(5000));
    let body = refused(server.get(&path).await, 400, "invalid-parameter", &["xxx"]).await;
    assert!(body["detail"].as_str().unwrap().len() < 300, "{body}");
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_stop() {
    let server = Server::start().await;
    let address = server.url.strip_prefix("http://").unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    // The answer to a whole request shows that the server is past accepting the first one.
    assert_eq!(server.get("/-/healthy").await.status(), 200);
    tokio::time::pause();
    drop(server.cancel);
    server.task.await.unwrap().unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn what_is_under_way_is_answered_before_the_stop() {
    let mut server = Server::start().await;
    let url = format!("{}/api/v1/signals/error_rate", server.url);
    let asking = spawn(server.client.get(url).send());
    let Some(crate::runtime::Asked::Series(_, answer)) = server.pipeline.next().await else { panic!() };
    drop(server.cancel);
    answer.send(SeriesPage::default()).unwrap();
    assert_eq!(asking.await.unwrap().unwrap().status(), 200);
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn bytes_that_are_no_request_end_their_connection_only() {
    let server = Server::start().await;
    let mut wild = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    wild.write_all(b"\x16\x03\x01 no HTTP at all\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let _ = wild.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert_eq!(server.get("/-/healthy").await.status(), 200);
}

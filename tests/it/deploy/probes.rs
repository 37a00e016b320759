//! `portent check healthy|ready` against servers that answer well, badly, elsewhere, endlessly, or not at all.

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use tokio::net::TcpListener;

use super::shipped::portent;
use crate::it::support::free_port;

/// Where these routes are served until the test ends.
async fn served(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

/// The exit code and what was said, on standard output or else on standard error.
fn asked(what: &str, url: &str, more: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec!["check".to_owned(), what.to_owned(), format!("--url={url}")];
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    let output = portent(&arguments);
    let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_yes_is_repeated_and_a_no_comes_with_its_reason() {
    let not_ready = get(async || (StatusCode::SERVICE_UNAVAILABLE, "not ready: it has just started\n"));
    let router = Router::new()
        .route("/-/healthy", get(async || "it is healthy\nsecond line\n"))
        .route("/-/ready", not_ready)
        .route("/prefix/-/ready", get(async || "ready below a prefix"));
    let url = served(router).await;
    assert_eq!(asked("healthy", &url, &[]), (Some(0), "it is healthy\n".to_owned()));
    assert_eq!(
        asked("ready", &format!("{url}/prefix/"), &[]),
        (Some(0), "ready below a prefix\n".to_owned())
    );
    let (code, no) = asked("ready", &url, &[]);
    assert_eq!(code, Some(1));
    assert!(no.contains("503") && no.contains("it has just started") && no.contains("/-/ready"), "{no}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_no_yes() {
    let router = Router::new()
        .route("/-/healthy", get(async || Redirect::temporary("/else")))
        .route("/else", get(async || "yes"));
    let (code, no) = asked("healthy", &served(router).await, &[]);
    assert_eq!(code, Some(1));
    assert!(no.contains("307"), "{no}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_is_waited_for_no_longer_than_told() {
    let router = Router::new().route("/-/healthy", get(std::future::pending::<&str>));
    let (code, no) = asked("healthy", &served(router).await, &["--timeout=50ms"]);
    assert_eq!(code, Some(1));
    assert!(no.contains("no answer within 50ms"), "{no}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_without_end_is_read_in_part() {
    let router = Router::new().route("/-/healthy", get(async || "x".repeat(1 << 20)));
    let (code, said) = asked("healthy", &served(router).await, &[]);
    assert_eq!((code, said.len()), (Some(0), 301));
}

#[test]
fn nobody_at_home_is_a_no_and_a_url_that_is_none_too() {
    let (code, no) = asked("healthy", &format!("http://127.0.0.1:{}", free_port()), &[]);
    assert_eq!(code, Some(1));
    assert!(no.contains("refused"), "{no}");
    assert_eq!(asked("healthy", "not a url", &[]).0, Some(1));
}

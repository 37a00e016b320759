//! Which backend answers: found out at first contact and after an outage, and what follows from it.

use std::time::Duration;

use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::{Backend, BackendKind, Prometheus};
use super::{ONE_SERIES, QUERY_RANGE, json, query, twenty_points};
use crate::source::{Answer, Settings};

const BUILD_INFO: &str = "/api/v1/status/buildinfo";

const PROMETHEUS: &str = r#"{"status":"success","data":{"version":"2.42.0","revision":"r","goVersion":"go1.19.8"}}"#;
const THANOS: &str = r#"{"status":"success","data":{"version":"0.34.1","revision":"r","goVersion":"go1.21.7"}}"#;

/// What Debian's VictoriaMetrics answers.
fn victoria() -> ResponseTemplate {
    json(200, r#"{"status":"success","data":{}}"#).insert_header("x-server-hostname", "vm")
}

/// A server that answers queries like this, and says this about itself.
async fn server(answer: ResponseTemplate, build: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST")).and(path(QUERY_RANGE)).respond_with(answer).mount(&server).await;
    Mock::given(method("GET")).and(path(BUILD_INFO)).respond_with(build).mount(&server).await;
    server
}

fn client(server: &MockServer, change: impl FnOnce(&mut Settings)) -> Prometheus {
    let mut settings = Settings::for_test(&server.uri());
    settings.kind = None;
    change(&mut settings);
    Prometheus::new(&settings).unwrap()
}

async fn ask(client: &Prometheus) -> Answer {
    client.range(&query(), twenty_points()).await.unwrap()
}

/// How often the server was asked who it is, and the form of the last query.
async fn seen(server: &MockServer) -> (usize, String) {
    let requests = server.received_requests().await.unwrap();
    let form = requests.iter().rev().find(|request| request.url.path() == QUERY_RANGE).unwrap();
    let builds = requests.iter().filter(|request| request.url.path() == BUILD_INFO).count();
    (builds, String::from_utf8_lossy(&form.body).into_owned())
}

#[tokio::test]
async fn the_backend_is_asked_once_who_it_is() {
    let server = server(json(200, ONE_SERIES), json(200, PROMETHEUS)).await;
    let client = client(&server, |_| ());
    assert_eq!(client.backend(), None);
    let other = client.clone();
    tokio::join!(ask(&client), ask(&other));
    ask(&client).await;
    let expected = Backend { kind: BackendKind::Prometheus, version: Some("2.42.0".to_owned()) };
    assert_eq!(client.backend(), Some(expected));
    let (builds, form) = seen(&server).await;
    assert_eq!(builds, 1);
    assert!(!form.contains("nocache") && !form.contains("partial_response"), "{form}");
}

#[tokio::test]
async fn victoria_metrics_is_asked_past_its_cache_and_not_about_its_last_half_minute() {
    let server = server(json(200, ONE_SERIES), victoria()).await;
    let client = client(&server, |settings| settings.query_delay = Duration::from_secs(15));
    assert_eq!(client.query_delay().await, Duration::from_secs(30));
    ask(&client).await;
    let (_, form) = seen(&server).await;
    assert!(form.contains("nocache=1"), "{form}");
    let backend = client.backend().unwrap();
    assert_eq!((backend.kind, backend.version), (BackendKind::VictoriaMetrics, None));
}

#[tokio::test]
async fn a_longer_delay_stays() {
    let server = server(json(200, ONE_SERIES), victoria()).await;
    let client = client(&server, |settings| settings.query_delay = Duration::from_secs(60));
    assert_eq!(client.query_delay().await, Duration::from_secs(60));
}

#[tokio::test]
async fn thanos_is_asked_for_what_it_has_and_its_warning_makes_the_answer_partial() {
    let lost = ONE_SERIES.replacen('{', r#"{"warnings":["fetch series: store-1 is unavailable"],"#, 1);
    let server = server(json(200, &lost), json(200, THANOS)).await;
    let client = client(&server, |_| ());
    assert_eq!(ask(&client).await.partial.as_deref(), Some("fetch series: store-1 is unavailable"));
    let (_, form) = seen(&server).await;
    assert!(form.contains("dedup=true") && form.contains("partial_response=true"), "{form}");
}

#[tokio::test]
async fn an_answer_says_whether_it_is_partial_and_when_it_was_given() {
    let partial = ONE_SERIES.replacen('{', r#"{"isPartial":true,"#, 1);
    let dated = json(200, &partial).insert_header("date", "Tue, 14 Nov 2023 22:13:20 GMT");
    let whole = ONE_SERIES.replacen('{', r#"{"isPartial":false,"#, 1);
    for (answer, is_partial) in [(dated.clone(), true), (json(200, &whole), false)] {
        let server = server(answer, victoria()).await;
        let answer = ask(&client(&server, |_| ())).await;
        assert_eq!(answer.partial.is_some(), is_partial, "{:?}", answer.partial);
    }
    let server = server(dated, victoria()).await;
    let served_at = ask(&client(&server, |_| ())).await.served_at.unwrap();
    assert_eq!(served_at.as_millis(), 1_700_000_000_000);
}

#[tokio::test]
async fn a_backend_that_does_not_say_is_asked_all_the_same() {
    let server = server(json(200, ONE_SERIES), ResponseTemplate::new(403)).await;
    let client = client(&server, |_| ());
    ask(&client).await;
    ask(&client).await;
    assert_eq!((client.backend(), seen(&server).await.0), (None, 1));
}

#[tokio::test]
async fn what_the_config_says_is_not_asked() {
    let server = server(json(200, ONE_SERIES), json(200, PROMETHEUS)).await;
    let client = client(&server, |settings| settings.kind = Some(BackendKind::VictoriaMetrics));
    ask(&client).await;
    let (builds, form) = seen(&server).await;
    assert!(builds == 0 && form.contains("nocache=1"), "{builds} {form}");
}

#[tokio::test]
async fn a_backend_that_is_back_from_an_outage_is_asked_again_who_it_is() {
    let server = server(json(200, ONE_SERIES), json(200, PROMETHEUS)).await;
    let client = client(&server, |_| ());
    ask(&client).await;
    // It goes away, and another program takes its place.
    server.reset().await;
    let gone = Mock::given(method("POST")).respond_with(ResponseTemplate::new(503)).up_to_n_times(1);
    gone.mount(&server).await;
    Mock::given(method("POST")).respond_with(json(200, ONE_SERIES)).mount(&server).await;
    Mock::given(method("GET")).and(path(BUILD_INFO)).respond_with(victoria()).mount(&server).await;
    client.range(&query(), twenty_points()).await.unwrap_err();
    let kind = || client.backend().map(|backend| backend.kind);
    ask(&client).await;
    assert_eq!(kind(), Some(BackendKind::Prometheus), "the first answer tells that it is back");
    ask(&client).await;
    assert_eq!(kind(), Some(BackendKind::VictoriaMetrics));
}

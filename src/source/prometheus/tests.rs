//! The client over real HTTP: what it sends, and what it makes of each answer.

mod identity;

use std::time::Duration;

use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::Prometheus;
use crate::secret::Secret;
use crate::series::SignalName;
use crate::source::{Answer, Settings, SignalQuery, SourceError, TimeRange};
use crate::time::Timestamp;
use crate::transport::Authorization;

const QUERY_RANGE: &str = "/api/v1/query_range";

const ONE_SERIES: &str = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"service":"a"},"values":[[1700000000,"1"]]}]}}"#;

fn query() -> SignalQuery {
    SignalQuery {
        signal: SignalName::new("errors"),
        promql: "sum by (service) (rate(errors_total[5m]))".to_owned(),
        step: Duration::from_secs(15),
        service_label: "service".parse().unwrap(),
    }
}

fn twenty_points() -> TimeRange {
    let now = Timestamp::from_millis(1_700_000_012_345);
    TimeRange::last_points(now, Duration::ZERO, Duration::from_secs(15), 20)
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

/// A server that gives each answer once, in order, and then the last one again and again.
async fn server(answers: &[ResponseTemplate]) -> MockServer {
    let server = MockServer::start().await;
    for (place, answer) in answers.iter().enumerate() {
        let mock = Mock::given(method("POST")).and(path(QUERY_RANGE)).respond_with(answer.clone());
        let last = place + 1 == answers.len();
        if last { mock } else { mock.up_to_n_times(1) }.mount(&server).await;
    }
    server
}

fn bearer(credentials: Secret) -> Authorization {
    Authorization::Scheme { scheme: "Bearer".to_owned(), credentials }
}

async fn ask(settings: &Settings) -> Result<Answer, SourceError> {
    let client = Prometheus::new(settings).unwrap();
    // A call that goes on after this has no deadline.
    let query = query();
    let call = client.range(&query, twenty_points());
    tokio::time::timeout(Duration::from_secs(30), call).await.unwrap()
}

/// Asks a server that answers like this; expects so many requests, and an error of a kind with these words, or none.
#[track_caller]
fn check(
    answers: &[ResponseTemplate],
    change: fn(&mut Settings),
    requests: usize,
    expected: Result<(), (&str, &[&str])>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (outcome, seen, uri) = runtime.block_on(async {
        let server = server(answers).await;
        let mut settings = Settings::for_test(&server.uri());
        change(&mut settings);
        let outcome = ask(&settings).await;
        (outcome, server.received_requests().await.unwrap().len(), server.uri())
    });
    match (outcome, expected) {
        (Ok(answer), Ok(())) => assert_eq!(answer.batch.sample_count(), 1),
        (Err(error), Err((kind, words))) => {
            let text = error.to_string();
            assert_eq!(error.kind(), kind, "{text}");
            assert!(text.starts_with(&format!("source {uri}: query \"sum by")), "{text}");
            for word in words.iter().chain(&["signal errors"]) {
                assert!(text.contains(word), "{text} lacks {word}");
            }
        }
        (outcome, expected) => panic!("{outcome:?}, not {expected:?}"),
    }
    assert_eq!(seen, requests, "requests");
}

#[tokio::test]
async fn the_query_goes_out_as_an_aligned_form() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/prometheus/api/v1/query_range"))
        .and(header("user-agent", concat!("portent/", env!("CARGO_PKG_VERSION"))))
        .and(header("content-type", "application/x-www-form-urlencoded"))
        .respond_with(json(200, ONE_SERIES))
        .mount(&server)
        .await;
    for prefix in ["/prometheus", "/prometheus/"] {
        let answer = ask(&Settings::for_test(&format!("{}{prefix}", server.uri()))).await.unwrap();
        assert_eq!((answer.batch.sample_count(), answer.bytes), (1, ONE_SERIES.len()));
    }
    let sent = &server.received_requests().await.unwrap()[0];
    let form = Url::parse(&format!("http://x/?{}", String::from_utf8_lossy(&sent.body))).unwrap();
    let mut pairs: Vec<(String, String)> = form.query_pairs().into_owned().collect();
    pairs.sort();
    let expected = [
        ("end", "1700000010"),
        ("query", "sum by (service) (rate(errors_total[5m]))"),
        ("start", "1699999725"),
        ("step", "15"),
        ("timeout", "10000ms"),
    ];
    assert_eq!(pairs, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    assert!(!sent.headers.contains_key("authorization"));
    assert!(
        !sent.headers.get("accept-encoding").is_some_and(|kinds| kinds.to_str().unwrap().contains("gzip"))
    );
}

#[tokio::test]
async fn secrets_come_from_files_and_are_read_anew() {
    let server = server(&[json(200, ONE_SERIES)]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Secret::File(path)
    };
    let mut settings = Settings::for_test(&server.uri());
    settings.http.authorization =
        Authorization::Basic { user: "me".to_owned(), password: file("password", "open sesame\n") };
    settings.http.headers = vec![("X-Scope-OrgID".to_owned(), file("tenant", "team-a\n"))];
    ask(&settings).await.unwrap();
    settings.http.authorization = bearer(file("token", "first\n"));
    let client = Prometheus::new(&settings).unwrap();
    client.range(&query(), twenty_points()).await.unwrap();
    file("token", "second\n");
    client.range(&query(), twenty_points()).await.unwrap();

    let sent = server.received_requests().await.unwrap();
    let headers: Vec<_> =
        sent.iter().map(|request| request.headers["authorization"].to_str().unwrap()).collect();
    assert_eq!(headers, ["Basic bWU6b3BlbiBzZXNhbWU=", "Bearer first", "Bearer second"]);
    assert!(sent.iter().all(|request| request.headers["x-scope-orgid"] == "team-a"));
}

#[tokio::test]
async fn what_a_backend_says_is_told_without_the_secrets_that_it_was_sent() {
    let basic = || Authorization::Basic { user: "me".to_owned(), password: Secret::inline("open sesame") };
    // As a proxy shows what it got, in each place where its words go on to a person.
    let echoes = |said: &str| {
        let refusal = format!(r#"{{"status":"error","errorType":"bad_data","error":"no: {said}"}}"#);
        let warning = ONE_SERIES.replacen('{', &format!(r#"{{"warnings":["no: {said}"],"#), 1);
        [
            ResponseTemplate::new(403).set_body_string(format!("no: {said}")),
            json(400, &refusal),
            json(200, &refusal),
            ResponseTemplate::new(302).insert_header("location", format!("http://no:/{said}")),
            ResponseTemplate::new(200).set_body_raw("<html>", &format!("text/no: {said}")),
            // The end of what is shown of a text may be in the midst of a secret.
            ResponseTemplate::new(500)
                .set_body_string(format!("no:{}{said}", "x".repeat(505 - said.len() / 2))),
            json(200, &warning),
        ]
    };
    let bearer = || bearer(Secret::inline("s3cr3t-t0ken"));
    for (said, part, authorization) in [
        ("Bearer s3cr3t-t0ken", "s3cr", bearer()),
        ("Basic bWU6b3BlbiBzZXNhbWU=", "bWU6", basic()),
        ("me/open sesame", "open", basic()),
    ] {
        for answer in echoes(said) {
            let server = server(&[answer]).await;
            let mut settings = Settings::for_test(&server.uri());
            settings.http.authorization = authorization.clone();
            let shown = match ask(&settings).await {
                Ok(answer) => format!("{:?} {:?}", answer.warnings, answer.partial),
                Err(error) => format!("{error} {error:?}"),
            };
            assert!(shown.contains("no:") && !shown.contains(part), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_or_sent_is_named_and_not_shown() {
    let server = server(&[json(200, ONE_SERIES)]).await;
    let mut settings = Settings::for_test(&server.uri());
    settings.http.authorization = bearer(Secret::File("/nonexistent/token".into()));
    let error = ask(&settings).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), ("config", false));
    assert!(error.to_string().contains("/nonexistent/token"), "{error}");

    settings.http.authorization = bearer(Secret::inline("hunter2\nx"));
    let error = ask(&settings).await.unwrap_err();
    assert_eq!(error.kind(), "config");
    let shown = format!("{error} {error:?} {settings:?} {:?}", Prometheus::new(&settings).unwrap());
    assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[test]
fn what_may_pass_by_itself_is_tried_again() {
    let retries = |settings: &mut Settings| settings.retries = 3;
    for status in [429, 502, 503, 504] {
        check(&[ResponseTemplate::new(status), json(200, ONE_SERIES)], retries, 2, Ok(()));
    }
}

#[test]
fn a_backend_that_asks_for_patience_is_tried_again() {
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "0");
    check(&[busy, json(200, ONE_SERIES)], |s| s.retries = 1, 2, Ok(()));
}

#[test]
fn attempts_are_bounded() {
    let body = r#"{"status":"error","errorType":"unavailable","error":"starting up"}"#;
    let expected = Err(("status", ["status 503: unavailable: starting up"].as_slice()));
    check(&[json(503, body)], |s| s.retries = 1, 2, expected);
    check(&[json(503, body)], |_| (), 1, expected);
}

#[test]
fn a_refusal_is_told_and_not_tried_again() {
    let body =
        r#"{"status":"error","errorType":"bad_data","error":"invalid parameter \"query\": parse error"}"#;
    let words = ["status 400: bad_data: invalid parameter \"query\": parse error"].as_slice();
    check(&[json(400, body)], |s| s.retries = 3, 1, Err(("status", words)));
    check(&[json(200, body)], |s| s.retries = 3, 1, Err(("status", &["was refused: bad_data: invalid"])));
    let plain = ResponseTemplate::new(401).set_body_raw("no org id\n", "text/plain");
    check(&[plain], |s| s.retries = 3, 1, Err(("status", &["status 401: no org id"])));
    let page = ResponseTemplate::new(404).set_body_raw("<html>nginx</html>", "text/html");
    check(&[page], |s| s.retries = 3, 1, Err(("status", &["404: Not Found: check the path prefix"])));
}

#[test]
fn a_redirect_is_told_and_not_followed() {
    let login =
        ResponseTemplate::new(302).insert_header("location", "https://u:hunter2@sso.example/login?token=t");
    let words = ["redirects to https://sso.example/login: set source.url"].as_slice();
    check(&[login], |_| (), 1, Err(("status", words)));
}

#[test]
fn an_answer_that_is_no_json_names_what_it_is() {
    let words = ["was answered text/html, not JSON: is the URL, the path prefix or a login page"].as_slice();
    let page = ResponseTemplate::new(200).set_body_raw("<!doctype html><html>", "text/html");
    check(&[page], |s| s.retries = 3, 1, Err(("decode", words)));
    check(&[ResponseTemplate::new(200)], |_| (), 1, Err(("decode", &["answered nothing, not JSON"])));
}

#[test]
fn an_answer_of_the_wrong_shape_names_the_place() {
    let cut = &ONE_SERIES[..ONE_SERIES.len() - 10];
    let place = format!("malformed JSON: the text ends too early at byte {}", cut.len());
    check(&[json(200, cut)], |s| s.retries = 3, 1, Err(("decode", &[place.as_str()])));
    let mistyped = ONE_SERIES.replace("\"1\"", "1");
    check(&[json(200, &mistyped)], |_| (), 1, Err(("decode", &["a string is expected at byte"])));
    let vector = r#"{"status":"success","data":{"resultType":"vector","result":[]}}"#;
    check(&[json(200, vector)], |_| (), 1, Err(("decode", &["a result of type \"vector\""])));
    let twice = ONE_SERIES.replace("[{", r#"[{"metric":{"service":"a"},"values":[]},{"#);
    check(&[json(200, &twice)], |_| (), 1, Err(("decode", &["same labels {service=\"a\"}"])));
}

#[test]
fn a_huge_answer_is_given_up() {
    let huge = ONE_SERIES.replace("\"1\"", &format!("\"{}\"", "1".repeat(300_000)));
    let words = ["more than 262144 bytes", "source.bytes_per_request"].as_slice();
    check(&[json(200, &huge)], |s| s.bytes_per_request = 65_536, 1, Err(("limit", words)));
    let fits = ONE_SERIES.replacen('{', &format!(r#"{{"padding":"{}","#, "x".repeat(200_000)), 1);
    check(&[json(200, &fits)], |s| s.bytes_per_request = 65_536, 1, Ok(()));
}

#[test]
fn too_many_series_are_refused_with_query_and_number() {
    let many: Vec<String> =
        (0..12).map(|n| format!(r#"{{"metric":{{"service":"s{n}"}},"values":[]}}"#)).collect();
    let body =
        format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, many.join(","));
    let words = [
        "query \"sum by (service) (rate(errors_total[5m]))\" of signal errors returns 12 series, above the limit of 10: \
         narrow it or raise source.series_limit",
    ];
    check(&[json(200, &body)], |s| s.series_limit = 10, 1, Err(("limit", &words)));
}

#[tokio::test]
async fn warnings_are_surfaced() {
    let body = ONE_SERIES.replacen('{', r#"{"warnings":["partial response"],"infos":["not a counter"],"#, 1);
    let server = server(&[json(200, &body)]).await;
    let answer = ask(&Settings::for_test(&server.uri())).await.unwrap();
    assert_eq!(answer.warnings, ["partial response", "not a counter"]);
}

#[test]
fn a_hanging_backend_ends_in_a_timeout() {
    let hanging = json(200, ONE_SERIES).set_delay(Duration::from_secs(60));
    let short = |settings: &mut Settings| settings.timeout = Duration::from_millis(100);
    check(&[hanging], short, 1, Err(("timeout", &["timed out after 100ms"])));
}

#[test]
fn a_timeout_is_tried_again() {
    let hanging = json(200, ONE_SERIES).set_delay(Duration::from_secs(60));
    let short = |settings: &mut Settings| {
        settings.timeout = Duration::from_millis(700);
        settings.retries = 1;
    };
    check(&[hanging, json(200, ONE_SERIES)], short, 2, Ok(()));
}

#[tokio::test]
async fn a_refused_connection_names_the_source() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = ask(&Settings::for_test(&format!("http://127.0.0.1:{port}/p"))).await.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), ("connect", true));
    let text = error.to_string().to_lowercase();
    assert!(text.contains(&format!("source http://127.0.0.1:{port}/p: query")), "{text}");
    assert!(text.contains("connection refused"), "{text}");
}

#[tokio::test]
async fn a_connection_that_breaks_in_the_middle_names_the_source() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings::for_test(&format!("http://{}", listener.local_addr().unwrap()));
    let broken = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 500\r\n\r\n{\"status\":";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let (outcome, ()) = tokio::join!(ask(&settings), broken);
    let error = outcome.unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), ("connect", true), "{error}");
}

#[tokio::test]
async fn requests_beyond_the_rate_wait_and_give_up_in_time() {
    let server = server(&[json(200, ONE_SERIES)]).await;
    let mut settings = Settings::for_test(&server.uri());
    (settings.requests_per_second, settings.burst) = (1, 2);
    // Shorter than the second after which the third would have its turn.
    settings.timeout = Duration::from_millis(800);
    let client = Prometheus::new(&settings).unwrap();
    let (query, range) = (query(), twenty_points());
    // Clones share the limit.
    let other = client.clone();
    let outcomes =
        tokio::join!(client.range(&query, range), other.range(&query, range), client.range(&query, range));
    assert!(outcomes.0.is_ok() && outcomes.1.is_ok());
    let error = outcomes.2.unwrap_err();
    assert_eq!(error.kind(), "limit");
    assert!(error.to_string().contains("raise source.requests_per_second"), "{error}");
    assert_eq!(server.received_requests().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_step_or_a_range_that_the_api_cannot_carry_is_refused_before_it_is_sent() {
    let client = Prometheus::new(&Settings::for_test("http://127.0.0.1:1")).unwrap();
    let mut query = query();
    let askew = TimeRange::new(Timestamp::from_millis(1000), Timestamp::from_millis(16_000)).unwrap();
    let error = client.range(&query, askew).await.unwrap_err();
    assert!(error.to_string().contains("is not aligned to the step of 15s"), "{error}");
    query.step = Duration::from_millis(1500);
    let error = client.range(&query, twenty_points()).await.unwrap_err();
    assert_eq!(error.kind(), "config");
    assert!(error.to_string().contains("no whole number of seconds"), "{error}");
}

#[test]
fn settings_with_a_mistake_make_no_client() {
    let error = Prometheus::new(&Settings::for_test("http://me:hunter2@host")).unwrap_err();
    assert_eq!(error.kind(), "config");
    assert!(error.to_string().starts_with("source.url: holds a user or a password"), "{error}");
}

#[tokio::test]
async fn the_version_is_asked_for_with_the_same_headers() {
    let server = MockServer::start().await;
    let body = r#"{"status":"success","data":{"version":"2.42.0","revision":"abc","goVersion":"go1.19"}}"#;
    Mock::given(method("GET"))
        .and(path("/p/api/v1/status/buildinfo"))
        .and(header("authorization", "Bearer t"))
        .respond_with(json(200, body))
        .mount(&server)
        .await;
    let mut settings = Settings::for_test(&format!("{}/p", server.uri()));
    settings.http.authorization = bearer(Secret::inline("t"));
    let info = Prometheus::new(&settings).unwrap().build_info().await.unwrap();
    assert_eq!(
        (info.version.as_str(), info.revision.as_str(), info.application.as_str()),
        ("2.42.0", "abc", "")
    );
}

#[tokio::test]
async fn a_version_that_makes_no_sense_is_told_with_its_place() {
    let server = MockServer::start().await;
    Mock::given(method("GET")).respond_with(json(200, "{\n \"data\": 7}")).mount(&server).await;
    let error = Prometheus::new(&Settings::for_test(&server.uri())).unwrap().build_info().await.unwrap_err();
    assert_eq!(error.kind(), "decode");
    assert!(error.to_string().contains("no build information is found at byte"), "{error}");
}

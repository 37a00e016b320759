//! A model is asked over real HTTP, by servers that answer well, badly, late, endlessly or not at all.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::{LlmError, Model, Outcome, Settings};
use crate::diagnose::{sample, schema};
use crate::secret::Secret;

const KEY: &str = "sk-canary-0123456789";

fn settings(base: &str) -> Settings {
    Settings {
        enabled: true,
        base_url: format!("{base}/v1"),
        model: "test-model".to_owned(),
        api_key: Some(Secret::inline(KEY)),
        http: crate::transport::Settings::default(),
        temperature: 0.2,
        max_output_tokens: 1_000,
        deadline: Duration::from_secs(10),
        requests_per_minute: 100,
        cache_for: Duration::from_secs(60),
        questions_per_incident: 3,
    }
}

/// Answers with one after the other, and with the last for good.
struct Sequence {
    responses: Vec<ResponseTemplate>,
    next: AtomicUsize,
}

impl Respond for Sequence {
    fn respond(&self, _: &Request) -> ResponseTemplate {
        let next = self.next.fetch_add(1, Ordering::Relaxed).min(self.responses.len() - 1);
        self.responses[next].clone()
    }
}

async fn server(responses: Vec<ResponseTemplate>) -> MockServer {
    let server = MockServer::start().await;
    let sequence = Sequence { responses, next: AtomicUsize::new(0) };
    let mock = Mock::given(method("POST")).and(path("/v1/chat/completions"));
    mock.respond_with(sequence).mount(&server).await;
    server
}

/// A server that reads one request and then does as it likes; gives its base.
fn raw_server(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        // The last line of the body is the end of the JSON object.
        while !request.ends_with(b"}") {
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(count) => request.extend_from_slice(&buffer[..count]),
            }
        }
        answer(&mut stream);
    });
    base
}

fn hold(stream: &mut TcpStream) {
    // Ends when the other side gives up.
    while matches!(stream.read(&mut [0; 64]), Ok(1..)) {}
}

fn choice(message: Value, finish_reason: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id": "x", "object": "chat.completion", "created": 1, "model": "test-model",
        "choices": [{ "index": 0, "message": message, "finish_reason": finish_reason }],
        "usage": { "prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107 }
    }))
}

fn says(content: &str) -> ResponseTemplate {
    choice(json!({ "role": "assistant", "content": content }), "stop")
}

fn hypotheses(evidence: &str) -> String {
    json!({ "hypotheses": [
        { "title": "データベースが遅い", "cause": "dependency", "service": "db", "signal": "latency_p95",
          "explanation": "It was slow first.", "evidence": ["o1"] },
        { "title": "A bad release", "cause": "failure", "service": "checkout", "signal": null,
          "explanation": "Traffic did not move.", "evidence": [evidence] }
    ]})
    .to_string()
}

fn good() -> ResponseTemplate {
    says(&hypotheses("a1"))
}

async fn ask(settings: &Settings) -> Outcome {
    let model = Model::new(settings).unwrap();
    let bundle = sample::bundle();
    let question = model.question(&bundle);
    // Whatever the server does, nobody waits longer than the deadline and a moment.
    let limit = settings.deadline + Duration::from_secs(5);
    tokio::time::timeout(limit, model.ask(&question, &bundle)).await.unwrap()
}

/// Asks, and holds that there is no answer for the reason given, in a bounded text without the key.
async fn check(settings: &Settings, code: &str, part: &str, requests: u32) {
    let outcome = ask(settings).await;
    let because = outcome.answer.unwrap_err();
    let detail = because.detail().unwrap();
    assert_eq!((because.code(), outcome.requests), (code, requests), "{detail}");
    assert!(detail.contains(part), "{detail}");
    assert!(!detail.contains(KEY) && detail.chars().count() <= 300, "{detail}");
    assert!(!detail.chars().any(char::is_control), "{detail:?}");
    assert_eq!(outcome.reply_text, None);
}

async fn check_against(responses: Vec<ResponseTemplate>, code: &str, part: &str, requests: u32) {
    let server = server(responses).await;
    check(&settings(&server.uri()), code, part, requests).await;
    assert_eq!(bodies(&server).await.len() as u32, requests);
}

async fn bodies(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

#[track_caller]
fn assert_good(outcome: &Outcome) {
    let hypotheses = outcome.answer.as_ref().unwrap();
    let titles: Vec<&str> = hypotheses.iter().map(|one| one.title.as_str()).collect();
    assert_eq!(titles, ["データベースが遅い", "A bad release"]);
    assert!(hypotheses.iter().all(|one| one.score.is_none() && one.contributions.is_empty()));
}

#[tokio::test]
async fn a_good_answer_comes_out_ranked_with_its_cost() {
    let server = server(vec![good()]).await;
    let outcome = ask(&settings(&server.uri())).await;
    assert_good(&outcome);
    assert_eq!((outcome.requests, outcome.prompt_tokens, outcome.completion_tokens), (1, 100, 7));
    let model = Model::new(&settings(&server.uri())).unwrap();
    let cached = model.read_cached(&outcome.reply_text.unwrap(), &sample::bundle());
    assert_eq!(cached.unwrap(), outcome.answer.unwrap());
}

#[tokio::test]
async fn the_request_holds_question_schema_and_settings_and_nothing_else() {
    let server = server(vec![good()]).await;
    ask(&settings(&server.uri())).await;
    let request = server.received_requests().await.unwrap().remove(0);
    assert_eq!(request.headers["authorization"], format!("Bearer {KEY}").as_str());
    assert_eq!(request.headers["content-type"], "application/json");

    let body: Value = serde_json::from_slice(&request.body).unwrap();
    let mut fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    fields.sort();
    assert_eq!(fields, ["max_tokens", "messages", "model", "response_format", "temperature"]);
    assert_eq!(body["model"], "test-model");
    assert_eq!(body["max_tokens"], 1_000);
    assert_eq!(body["temperature"].to_string(), "0.2");
    let prompt = crate::diagnose::prompt(&sample::bundle());
    let expected = json!([
        { "role": "system", "content": prompt.system }, { "role": "user", "content": prompt.user }
    ]);
    assert_eq!(body["messages"], expected);
    let format = &body["response_format"];
    assert_eq!(format["type"], "json_schema");
    assert_eq!(format["json_schema"]["name"], "diagnosis");
    assert_eq!(format["json_schema"]["strict"], true);
    assert_eq!(format["json_schema"]["schema"], schema());
}

#[tokio::test]
async fn without_a_key_nobody_is_named() {
    let server = server(vec![good()]).await;
    assert_good(&ask(&Settings { api_key: None, ..settings(&server.uri()) }).await);
    let request = server.received_requests().await.unwrap().remove(0);
    for header in ["authorization", "openai-organization", "openai-project"] {
        assert!(!request.headers.contains_key(header), "{header}");
    }
}

#[test]
fn the_environment_says_nothing_to_the_client() {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "llm::trials::without_a_key_nobody_is_named", "--nocapture"]);
    for name in ["OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"] {
        child.env(name, "from-the-environment");
    }
    for name in ["OPENAI_BASE_URL", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test]
async fn a_key_file_is_read_on_each_question() {
    let server = server(vec![good()]).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("llm.key");
    let settings = Settings { api_key: Some(Secret::File(file.clone())), ..settings(&server.uri()) };
    check(&settings, "no_key", "llm.key", 0).await;
    std::fs::write(&file, "rotated-key\n").unwrap();
    assert_good(&ask(&settings).await);
    let request = server.received_requests().await.unwrap().remove(0);
    assert_eq!(request.headers["authorization"], "Bearer rotated-key");
    std::fs::write(&file, "kéy\u{7f}\n").unwrap();
    check(&settings, "no_key", "no header", 0).await;
}

#[tokio::test]
async fn silence_ends_at_the_deadline() {
    let deadline = Duration::from_millis(300);
    let base = raw_server(hold);
    check(&Settings { deadline, ..settings(&base) }, "timeout", "no answer within 300ms", 1).await;
    let base = raw_server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n{\"choices\":");
        hold(stream);
    });
    check(&Settings { deadline, ..settings(&base) }, "timeout", "no answer within 300ms", 1).await;
    let base = raw_server(|stream| {
        let _ = stream.write_all(b"HTTP/1.1 500 Oops\r\ncontent-length: 5000\r\n\r\n");
        hold(stream);
    });
    check(&Settings { deadline, ..settings(&base) }, "timeout", "no answer within 300ms", 1).await;
}

#[tokio::test]
async fn repair_and_question_share_one_deadline() {
    let slow = |answer: ResponseTemplate| answer.set_delay(Duration::from_millis(400));
    let server = server(vec![slow(says("prose")), slow(good())]).await;
    let settings = Settings { deadline: Duration::from_millis(600), ..settings(&server.uri()) };
    let outcome = ask(&settings).await;
    assert_eq!(outcome.answer.unwrap_err().code(), "timeout");
    assert_eq!((outcome.requests, outcome.prompt_tokens), (2, 100), "what was spent is still counted");
}

#[tokio::test]
async fn a_refusal_is_no_answer() {
    let refusal = json!({ "role": "assistant", "content": null, "refusal": "I can't\nhelp with that" });
    check_against(vec![choice(refusal, "stop")], "refused", "I can't help with that", 1).await;
    let empty = json!({ "role": "assistant", "content": "" });
    check_against(vec![choice(empty, "content_filter")], "refused", "content filter", 1).await;
}

#[tokio::test]
async fn a_cut_answer_is_no_answer_even_if_it_parses() {
    let message = json!({ "role": "assistant", "content": hypotheses("a1") });
    check_against(vec![choice(message, "length")], "truncated", "1000 tokens", 1).await;
}

#[tokio::test]
async fn a_bad_answer_is_repaired_once_by_a_request_that_differs() {
    for bad in ["The database is slow.".to_owned(), hypotheses("z9"), String::new()] {
        let server = server(vec![says(&bad), good()]).await;
        let outcome = ask(&settings(&server.uri())).await;
        assert_good(&outcome);
        assert_eq!((outcome.requests, outcome.prompt_tokens, outcome.completion_tokens), (2, 200, 14));
        assert_eq!(outcome.reply_text, Some(hypotheses("a1")));
        let bodies = bodies(&server).await;
        let (first, second) = (&bodies[0]["messages"], &bodies[1]["messages"]);
        assert_eq!(first.as_array().unwrap().len(), 2);
        assert_eq!(second.as_array().unwrap().len(), 4);
        assert_eq!(second[2]["role"], "assistant");
        assert!(!second[2]["content"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_repair_says_what_was_wrong_and_shows_a_long_answer_in_part() {
    let invented = hypotheses("z9");
    let server = server(vec![says(&invented), says(&"prose ".repeat(5_000))]).await;
    check(&settings(&server.uri()), "bad_reply", "one JSON object", 2).await;
    let bodies = bodies(&server).await;
    assert_eq!(bodies.len(), 2);
    let wrong = bodies[1]["messages"][3]["content"].as_str().unwrap();
    assert!(wrong.contains(r#""z9""#) && wrong.contains(r#"allowed: "a1", "a2""#), "{wrong}");
    assert_eq!(bodies[1]["messages"][2]["content"], invented);

    let server = self::server(vec![says(&"prose ".repeat(5_000)), good()]).await;
    assert_good(&ask(&settings(&server.uri())).await);
    let shown = self::bodies(&server).await[1]["messages"][2]["content"].as_str().unwrap().len();
    assert_eq!(shown, 4_000);
}

#[tokio::test]
async fn no_choice_is_a_bad_reply() {
    let none = ResponseTemplate::new(200).set_body_json(json!({ "choices": [] }));
    check_against(vec![none], "bad_reply", "no choice", 1).await;
}

#[tokio::test]
async fn a_server_that_wants_fewer_requests_is_left_alone() {
    let busy = || ResponseTemplate::new(429).set_body_json(json!({ "error": { "message": "slow down" } }));
    check_against(vec![busy()], "rate_limited", "slow down", 1).await;
    let hour = busy().insert_header("retry-after", "3600");
    check_against(vec![hour], "rate_limited", "429", 1).await;
    let soon = || busy().insert_header("retry-after", "0");
    check_against(vec![soon()], "rate_limited", "429", 2).await;
    let server = server(vec![soon(), good()]).await;
    assert_good(&ask(&settings(&server.uri())).await);
    let wrapped =
        ResponseTemplate::new(200).set_body_json(json!({ "error": { "code": 429, "message": "x" } }));
    check_against(vec![wrapped], "rate_limited", "429", 1).await;
}

#[tokio::test]
async fn our_own_limit_never_waits() {
    let server = server(vec![good()]).await;
    let model = Model::new(&Settings { requests_per_minute: 1, ..settings(&server.uri()) }).unwrap();
    let bundle = sample::bundle();
    let question = model.question(&bundle);
    assert_good(&model.ask(&question, &bundle).await);
    let outcome = model.clone().ask(&question, &bundle).await;
    let because = outcome.answer.unwrap_err();
    assert_eq!((because.code(), outcome.requests), ("rate_limited", 0));
    assert!(because.detail().unwrap().contains("1 requests a minute"), "{because:?}");
}

#[tokio::test]
async fn a_repair_beyond_our_limit_is_not_asked_for() {
    let server = server(vec![says("prose"), good()]).await;
    let settings = Settings { requests_per_minute: 1, ..settings(&server.uri()) };
    check(&settings, "bad_reply", "1 requests a minute", 1).await;
}

#[tokio::test]
async fn an_error_of_the_server_is_retried_once() {
    let oops = || ResponseTemplate::new(503).set_body_string("<html>\u{1b}oops</html>");
    let retried = server(vec![oops(), good()]).await;
    let outcome = ask(&settings(&retried.uri())).await;
    assert_good(&outcome);
    assert_eq!(outcome.requests, 2);
    check_against(vec![oops()], "unavailable", "503", 2).await;
    // The retry of the question is the only one, so its repair has none.
    check_against(vec![oops(), says("prose"), oops()], "unavailable", "503", 3).await;
}

#[tokio::test]
async fn what_the_server_refuses_is_told_without_the_key() {
    let about = |text: &str| json!({ "error": { "message": text } });
    let echo = format!("no such model; your key is {KEY}\r\n{}", "x".repeat(5_000));
    let not_found = ResponseTemplate::new(404).set_body_json(about(&echo));
    check_against(vec![not_found], "unavailable", "no such model; your key is [key]", 1).await;
    for status in [401, 403] {
        let denied = ResponseTemplate::new(status).set_body_json(about("wrong key: sk-canary..."));
        let server = server(vec![denied]).await;
        let outcome = ask(&settings(&server.uri())).await;
        let because = outcome.answer.unwrap_err();
        let detail = because.detail().unwrap();
        assert_eq!(because.code(), "unavailable");
        assert!(detail.contains(&status.to_string()) && !detail.contains("canary"), "{detail}");
    }
    let moved = ResponseTemplate::new(307).insert_header("location", "http://127.0.0.1:1/");
    check_against(vec![moved], "unavailable", "307", 1).await;
}

#[tokio::test]
async fn a_key_in_an_answer_is_not_kept() {
    let leak = hypotheses("a1").replace("It was slow first.", KEY);
    let server = server(vec![says(&leak)]).await;
    let outcome = ask(&settings(&server.uri())).await;
    assert!(!format!("{outcome:?}").contains(KEY), "{outcome:?}");
    assert_eq!(outcome.answer.unwrap()[0].text, "[key]");
    let settings = settings(&server.uri());
    let model = Model::new(&settings).unwrap();
    let question = model.question(&sample::bundle());
    assert!(!format!("{model:?} {settings:?} {question:?}").contains(KEY));
}

#[tokio::test]
async fn what_is_no_api_is_named() {
    let html = ResponseTemplate::new(200).set_body_raw("<!doctype html><p>hello", "text/html");
    check_against(vec![html], "unavailable", "not JSON", 1).await;
    let bytes = ResponseTemplate::new(200).set_body_raw(b"{\"choices\":[\"\xff\xfe\"]}", "application/json");
    check_against(vec![bytes], "unavailable", "not JSON", 1).await;
    for body in [json!([]), json!({}), json!({ "choices": "none" }), json!(null)] {
        let other = ResponseTemplate::new(200).set_body_json(body);
        check_against(vec![other], "unavailable", "without a completion", 1).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    check(&settings(&base), "unavailable", "cannot be reached", 1).await;
    check(&settings(&raw_server(|_| ())), "unavailable", "cannot be reached", 1).await;
}

// With a worker of its own the connection is closed while this test waits to hear of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_body_of_100_mb_is_given_up_early() {
    const BODY: usize = 100 * 1024 * 1024;
    let (sender, receiver) = sync_channel(1);
    let base = raw_server(move |stream| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {BODY}\r\n\r\n");
        let mut sent = 0;
        let mut chunk = vec![b' '; 64 * 1024];
        let _ = stream.write_all(head.as_bytes());
        while sent < BODY && stream.write_all(&chunk).is_ok() {
            sent += chunk.len();
            chunk.fill(b'x');
        }
        sender.send(sent).unwrap();
    });
    check(&settings(&base), "unavailable", "more than 1048576 bytes", 1).await;
    let sent = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(sent < BODY / 2, "{sent} bytes were taken");
}

#[tokio::test]
async fn an_endpoint_that_wants_other_fields_gets_them_from_then_on() {
    let unsupported = |param: &str| {
        let error = json!({ "error": { "message": "unsupported", "param": param, "code": "unsupported" } });
        ResponseTemplate::new(400).set_body_json(error)
    };
    let server = server(vec![unsupported("max_tokens"), unsupported("temperature"), good()]).await;
    let model = Model::new(&settings(&server.uri())).unwrap();
    let bundle = sample::bundle();
    let question = model.question(&bundle);
    for requests in [3, 1] {
        let outcome = model.ask(&question, &bundle).await;
        assert_good(&outcome);
        assert_eq!(outcome.requests, requests);
    }
    for body in &bodies(&server).await[2..] {
        assert_eq!(body["max_completion_tokens"], 1_000);
        assert!(body.get("max_tokens").is_none() && body.get("temperature").is_none());
    }
    check_against(vec![unsupported("max_tokens")], "unavailable", "unsupported", 2).await;
}

#[test]
fn the_key_of_a_question_knows_all_that_changes_its_answer() {
    let key = |settings: &Settings| Model::new(settings).unwrap().question(&sample::bundle()).key;
    let settings = settings("http://127.0.0.1:1");
    assert_eq!(key(&settings), key(&settings.clone()));
    assert_ne!(key(&settings), key(&Settings { model: "other".to_owned(), ..settings.clone() }));
    assert_ne!(key(&settings), key(&Settings { temperature: 0.3, ..settings.clone() }));
    let model = Model::new(&settings).unwrap();
    let mut bundle = sample::bundle();
    bundle.items.pop();
    assert_ne!(key(&settings), model.question(&bundle).key);
}

#[test]
fn a_base_url_that_cannot_be_meant_is_refused_without_its_password() {
    for base in
        ["", "api.openai.com/v1", "ftp://a", "http://me:hunter2@a", "http://a/?k=hunter2", "http://a/#x"]
    {
        let mut settings = settings("");
        settings.base_url = base.to_owned();
        let error = Model::new(&settings).unwrap_err();
        assert!(matches!(error, LlmError::BaseUrl { .. }), "{base}");
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

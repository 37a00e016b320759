//! `portent check healthy|ready` against servers that answer well, badly, elsewhere, endlessly, or not at all.

use std::os::unix::fs::PermissionsExt as _;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::routing::get;
use portent_demo_service::{Schedule, World};
use tokio::net::TcpListener;

use super::shipped::portent;
use crate::it::support::{Demo, Process, eventually, free_port, log_of, real_clock};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_with_tls_is_asked_through_its_authority() {
    let demo = Demo::start(World::new(7, Schedule::Off), real_clock()).await;
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file.display().to_string()
    };
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let (cert, key) = (put("cert.pem", &certificate), put("key.pem", &key.serialize_pem()));
    let port = free_port();
    let config = format!(
        "[source]\nurl = '{}'\n[api]\nlisten_address = '127.0.0.1:{port}'\n[api.tls]\ncert_file = '{cert}'\nkey_file = \
         '{key}'\n[store]\npath = '{}'\n[signal.up]\nquery = 'up'\n",
        demo.url(),
        folder.path().join("portent.db").display(),
    );
    let config = put("portent.toml", &config);
    let _agent = Process::start(
        std::process::Command::new(env!("CARGO_BIN_EXE_portent"))
            .args(["run", &format!("--config.file={config}")])
            .stdout(log_of(folder.path(), "agent.out"))
            .stderr(log_of(folder.path(), "agent.err")),
    );
    let url = format!("https://127.0.0.1:{port}");
    let trusting = format!("--ca-file={cert}");
    eventually("the agent answers", || async {
        (asked("healthy", &url, &[&trusting]).0 == Some(0)).then_some(())
    })
    .await;
    let (code, no) = asked("healthy", &url, &[]);
    assert!(code == Some(1) && no.contains("certificate"), "{no}");
    let (code, no) = asked("healthy", &url, &[&format!("--ca-file={config}")]);
    assert!(code == Some(1) && no.contains("holds no certificate"), "{no}");
    let (code, no) = asked("healthy", &url, &[&trusting, &format!("--client-cert-file={config}")]);
    assert!(code == Some(1) && no.contains("--client-cert-file"), "{no}");
}

#[test]
fn nobody_at_home_is_a_no_and_a_url_that_is_none_too() {
    let (code, no) = asked("healthy", &format!("http://127.0.0.1:{}", free_port()), &[]);
    assert_eq!(code, Some(1));
    assert!(no.contains("refused"), "{no}");
    assert_eq!(asked("healthy", "not a url", &[]).0, Some(1));
}

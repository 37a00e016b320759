//! Who may do what: keys, scopes, names of the host, bodies.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use reqwest::{Method, Response, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::{Server, refused, settings};
use crate::api::serve::HEAD_BYTES_MAX;
use crate::api::{Scope, Settings};
use crate::engine::Command;
use crate::id::Digest;
use crate::runtime::Asked;

/// What needs no key.
const OPEN: [&str; 3] = ["/-/healthy", "/-/ready", "/metrics"];

/// A server whose keys have the names of their scopes, and `all`.
struct Guarded {
    server: Server,
    keys: PathBuf,
    _folder: TempDir,
}

impl Guarded {
    async fn start() -> Self {
        Self::start_with(settings()).await
    }

    async fn start_with(settings: Settings) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys.toml");
        put(&keys, &entries(&["read", "ingest", "operate", "approve", "admin", "all"]));
        let mut server = Server::start_with(Settings { keys_file: Some(keys.clone()), ..settings }).await;
        // A reload that is let in fails at once, where nobody would ever answer it.
        server.reload_queue = None;
        Self { server, keys, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, key: Option<&str>) -> Response {
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let request = self.server.client.request(method, format!("{}{path}", self.server.url));
        let request = match key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.unwrap()
    }

    async fn status(&self, key: &str) -> u16 {
        self.send("get", "/api/v1/status", Some(key)).await.status().as_u16()
    }
}

fn put(path: &std::path::Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Keys that are their own names; `all` has every scope.
fn entries(names: &[&str]) -> String {
    let all = Scope::ALL.map(|scope| format!("{:?}", scope.as_str())).join(", ");
    let entry = |name: &&str| {
        let scopes = if *name == "all" { all.clone() } else { format!("{name:?}") };
        let sha256 = Digest::of_bytes(name.as_bytes());
        format!("[[key]]\nname = {name:?}\nsha256 = \"{sha256}\"\nscopes = [{scopes}]\n\n")
    };
    names.iter().map(entry).collect()
}

#[tokio::test]
async fn each_operation_is_open_to_its_scope_alone() {
    let guarded = Guarded::start().await;
    let mut open = Vec::new();
    for (path, item) in guarded.server.document["paths"].as_object().unwrap() {
        let concrete = path.replace("{id}", "no-id").replace("{name}", "no_signal");
        for (method, operation) in item.as_object().unwrap() {
            let security =
                operation["security"].as_array().unwrap_or_else(|| panic!("{method} {path} has no scope"));
            assert_eq!(security.len(), 1, "{method} {path}");
            let Some(scopes) = security[0].get("key") else {
                open.push(path.as_str());
                assert_ne!(guarded.send(method, &concrete, None).await.status(), 401, "{path}");
                continue;
            };
            let [needed] = scopes.as_array().unwrap().as_slice() else { panic!("{method} {path}: {scopes}") };
            let needed = needed.as_str().unwrap();
            assert_eq!(method == "get", needed == "read", "{method} {path} needs {needed}");
            for key in ["read", "ingest", "operate", "approve", "admin", "all"] {
                let reply = guarded.send(method, &concrete, Some(key)).await;
                if key == needed || key == "all" {
                    let status = reply.status();
                    assert!(
                        status != 401 && status != 403 && status != 405,
                        "{method} {path} {key}: {status}"
                    );
                    continue;
                }
                let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
                assert!(challenge.contains(&format!("scope=\"{needed}\"")), "{challenge}");
                refused(reply, 403, "missing-scope", &[needed, key]).await;
            }
            for key in [None, Some("unknown"), Some("")] {
                let reply = guarded.send(method, &concrete, key).await;
                let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
                assert!(challenge.starts_with("Bearer"), "{challenge}");
                refused(reply, 401, "unauthenticated", &["key"]).await;
            }
        }
    }
    open.sort_unstable();
    assert_eq!(open, OPEN);
}

#[tokio::test]
async fn the_owner_of_the_key_is_who_wanted_a_rebase() {
    let mut guarded = Guarded::start().await;
    let body = serde_json::json!({"signal": "error_rate", "service": "shop", "comment": "on purpose"});
    let request = guarded.server.client.post(format!("{}/api/v1/series/rebase", guarded.server.url));
    let asking = request.bearer_auth("operate").json(&body).send();
    let answering = async {
        match guarded.server.pipeline.next().await {
            Some(Asked::Command(Command::Rebase(wanted), _)) => wanted.by,
            other => panic!("{other:?}"),
        }
    };
    let (_, by) = tokio::join!(asking, answering);
    assert_eq!(by, "operate");
}

#[tokio::test]
async fn who_has_no_key_does_not_even_learn_what_there_is() {
    let guarded = Guarded::start().await;
    for (method, path) in
        [("get", "/nothing"), ("post", "/api/v1/status"), ("options", "/"), ("get", "/api/docs")]
    {
        refused(guarded.send(method, path, None).await, 401, "unauthenticated", &[]).await;
    }
    refused(guarded.send("get", "/nothing", Some("ingest")).await, 404, "unknown-path", &[]).await;
    refused(guarded.send("post", "/api/v1/status", Some("ingest")).await, 405, "method-not-allowed", &[])
        .await;
    assert_eq!(guarded.send("head", "/api/v1/status", None).await.status(), 401);
    assert_eq!(guarded.send("head", "/api/v1/status", Some("ingest")).await.status(), 403);
    assert_eq!(guarded.send("head", "/api/v1/status", Some("read")).await.status(), 200);
}

#[tokio::test]
async fn scopes_hold_below_a_prefix() {
    let guarded =
        Guarded::start_with(Settings { route_prefix: "/tools/portent".to_owned(), ..settings() }).await;
    assert_eq!(guarded.send("get", "/tools/portent/-/healthy", None).await.status(), 200);
    for path in ["/tools/portent", "/tools/portent/", "/tools/portent/api/v1/status", "/-/healthy"] {
        assert_eq!(guarded.send("get", path, None).await.status(), 401, "{path}");
    }
    for path in ["/tools/portent", "/tools/portent/", "/tools/portent/api/v1/status"] {
        assert_eq!(guarded.send("get", path, Some("ingest")).await.status(), 403, "{path}");
        assert_eq!(guarded.send("get", path, Some("read")).await.status(), 200, "{path}");
    }
}

#[tokio::test]
async fn a_revoked_key_stops_working_and_a_broken_file_lets_nobody_in() {
    let guarded = Guarded::start().await;
    assert_eq!(guarded.status("read").await, 200);
    put(&guarded.keys, &entries(&["operate", "all"]));
    assert_eq!((guarded.status("read").await, guarded.status("all").await), (401, 200));
    put(&guarded.keys, "[[key]]\nname = ");
    for key in ["read", "all", "none"] {
        let reply = guarded.send("get", "/api/v1/status", Some(key)).await;
        refused(reply, 503, "keys-unusable", &["no key counts"]).await;
    }
    let metrics = guarded.send("get", "/metrics", None).await.text().await.unwrap();
    for line in [
        "portent_api_keys 0",
        "portent_api_requests_refused_total{reason=\"unknown_key\"} 1",
        "portent_api_requests_refused_total{reason=\"keys_unusable\"} 3",
    ] {
        assert!(metrics.lines().any(|other| other == line), "{line} is missing in:\n{metrics}");
    }
    put(&guarded.keys, &entries(&["read"]));
    assert_eq!(guarded.status("read").await, 200);
}

#[tokio::test]
async fn a_key_as_password_opens_the_page_of_the_documentation_alone() {
    let guarded = Guarded::start().await;
    let basic = async |path: &str, key: &str| {
        let request = guarded.server.client.get(format!("{}{path}", guarded.server.url));
        request.basic_auth("anybody", Some(key)).send().await.unwrap()
    };
    assert_eq!(basic("/api/docs/", "read").await.status(), 200);
    assert_eq!(basic("/api/docs/swagger-ui.css", "read").await.status(), 200);
    assert_eq!(basic("/api/docs/openapi.json", "read").await.status(), 200);
    assert_eq!(basic("/api/docs/", "operate").await.status(), 403);
    assert_eq!(basic("/api/docs/", "unknown").await.status(), 401);
    for path in ["/api/v1/status", "/", "/api/v1/openapi.json"] {
        assert_eq!(basic(path, "read").await.status(), 401, "{path}");
    }
    let asked = guarded.send("get", "/api/docs/", None).await;
    let challenges: Vec<_> = asked.headers().get_all("www-authenticate").iter().collect();
    assert!(
        challenges.iter().any(|challenge| challenge.to_str().unwrap().starts_with("Basic ")),
        "{challenges:?}"
    );
    let asked = guarded.send("get", "/api/v1/status", None).await;
    assert_eq!(asked.headers().get_all("www-authenticate").iter().count(), 1);
}

#[tokio::test]
async fn a_name_that_nobody_has_set_is_refused_but_for_probes_and_scrapes() {
    let set = Settings { allowed_hosts: vec!["portent.example.org".to_owned()], ..settings() };
    let server = Server::start_with(set).await;
    let ask = async |path: &str, host: &str| {
        server.client.get(format!("{}{path}", server.url)).header("host", host).send().await.unwrap()
    };
    for host in ["localhost:1", "127.0.0.1", "PORTENT.example.org:443"] {
        assert_eq!(ask("/api/v1/status", host).await.status(), 200, "{host}");
    }
    for (path, host) in
        [("/api/v1/status", "evil.example"), ("/", "10.0.0.7"), ("/nothing", "localhost.evil")]
    {
        refused(ask(path, host).await, 421, "misdirected-request", &[host, "api.allowed_hosts"]).await;
    }
    for path in ["/-/healthy", "/metrics"] {
        assert_eq!(ask(path, "10.0.0.7:9098").await.status(), 200, "{path}");
    }
}

/// Sends bytes and gives the first line of the answer.
async fn raw(server: &Server, request: &str) -> String {
    whole(server, request).await.lines().next().unwrap_or_default().to_owned()
}

/// Sends bytes and gives all that is answered.
async fn whole(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    // A server that has refused it already does not take the rest.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn hostile_heads_are_refused_and_harm_nobody_else() {
    let guarded = Guarded::start().await;
    let long = "x".repeat(100_000);
    let read = "Authorization: Bearer read";
    for (head, expected) in [
        (format!("Host: localhost\r\n{read}"), "200"),
        ("Host: localhost\r\nauthorization: bEaReR   read".to_owned(), "200"),
        (format!("Host: localhost\r\n{read}\r\n{read}"), "401"),
        (format!("Host: localhost\r\n{read}\r\nAuthorization: Bearer unknown"), "401"),
        ("Host: localhost\r\nAuthorization: Bearer".to_owned(), "401"),
        ("Host: localhost\r\nAuthorization: Bearer \u{1f511}".to_owned(), "401"),
        ("Host: localhost\r\nAuthorization: Basic cmVhZDpyZWFk".to_owned(), "401"),
        ("Host: localhost\r\nAuthorization: read".to_owned(), "401"),
        (format!("Host: localhost\r\nAuthorization: Bearer {}", &long[..2000]), "401"),
        (format!("Host: localhost\r\nHost: localhost\r\n{read}"), "400"),
        (format!("Host: localhost\r\nHost: evil.example\r\n{read}"), "400"),
        (format!("Host: evil@localhost\r\n{read}"), "400"),
        (read.to_owned(), "400"),
        (format!("Host: evil.example\r\nX-Forwarded-Host: localhost\r\n{read}"), "421"),
    ] {
        let request = format!("GET /api/v1/status HTTP/1.1\r\n{head}\r\nConnection: close\r\n\r\n");
        let line = raw(&guarded.server, &request).await;
        let shown: String = head.chars().take(80).collect();
        assert!(line.starts_with(&format!("HTTP/1.1 {expected}")), "{shown}: {line:?}");
    }
    let absolute =
        "GET http://evil.example/api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(raw(&guarded.server, absolute).await.starts_with("HTTP/1.1 421"));
    assert_eq!(guarded.status("read").await, 200);
}

#[tokio::test]
async fn a_head_beyond_64_kib_is_refused_however_it_comes() {
    let server = Server::start().await;
    for (bytes, expected) in [
        (HEAD_BYTES_MAX - 1, "200"),
        (HEAD_BYTES_MAX, "200"),
        (HEAD_BYTES_MAX + 1, "431"),
        (100_000, "431"),
        (200_000, "431"),
    ] {
        let request = "GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: ";
        let filled = "x".repeat(bytes - request.len() - 4);
        let line = raw(&server, &format!("{request}{filled}\r\n\r\n")).await;
        // Where more came than is read, the connection may be reset before the answer is seen.
        let is_reset = expected != "200" && line.is_empty();
        assert!(line.starts_with(&format!("HTTP/1.1 {expected}")) || is_reset, "{bytes}: {line:?}");
    }
    assert_eq!(server.get("/api/v1/status").await.status(), 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_counted_until_one_ends() {
    let server = Server::start_limited(settings(), 2).await;
    let address = server.url.strip_prefix("http://").unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 200");
        held.push(stream);
    }
    assert_eq!(raw(&server, request).await, "", "a third one is closed without an answer");
    // Once the server has seen that one ended, there is room for another.
    let mut last = held.pop().unwrap();
    last.shutdown().await.unwrap();
    let mut rest = Vec::new();
    last.read_to_end(&mut rest).await.unwrap();
    drop(last);
    let metrics =
        whole(&server, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    assert!(metrics.contains("portent_api_connections_refused_total 1\n"), "{metrics}");
}

#[tokio::test]
async fn a_body_is_json_or_refused() {
    let server = Server::start().await;
    let url = format!("{}/api/v1/incidents/no-id/analyze", server.url);
    let post = async |kind: Option<&str>, body: &'static str| {
        let request = server.client.post(&url).body(body);
        let request = match kind {
            Some(kind) => request.header("content-type", kind),
            None => request,
        };
        request.send().await.unwrap()
    };
    for kind in
        [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")]
    {
        refused(post(kind, "{}").await, 415, "unsupported-media-type", &["application/json"]).await;
    }
    for (kind, body) in
        [(Some("application/json"), "{}"), (Some("Application/JSON; charset=utf-8"), "{}"), (None, "")]
    {
        refused(post(kind, body).await, 400, "invalid-parameter", &["20 hex"]).await;
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    let head =
        "POST /api/v1/incidents/no-id/analyze HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nab";
    stream.write_all(head.as_bytes()).await.unwrap();
    // The answer to a whole request shows that the server has seen what came before.
    assert_eq!(server.get("/-/healthy").await.status(), 200);
    tokio::time::pause();
    let mut start = [0; 12];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(&start, b"HTTP/1.1 408");
}

#[tokio::test]
async fn a_head_that_never_ends_is_not_waited_for() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.url.strip_prefix("http://").unwrap()).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: local").await.unwrap();
    assert_eq!(server.get("/-/healthy").await.status(), 200);
    tokio::time::pause();
    let mut rest = Vec::new();
    // It ends only when the server closes the connection.
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 408"), "{:?}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn the_page_and_all_that_it_loads_come_from_the_binary() {
    let server = Server::start().await;
    let page = server.get("/api/docs").await;
    assert_eq!((page.status(), page.url().path()), (StatusCode::OK, "/api/docs/"));
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';")
            && !policy.contains("http")
            && !policy.contains("unsafe"),
        "{policy}"
    );
    let page = page.text().await.unwrap();
    assert!(!page.contains("//") && !page.contains("onload="), "{page}");
    let named = page
        .split(['"', '\''])
        .filter(|text| text.ends_with(".js") || text.ends_with(".css") || text.ends_with(".png"));
    let mut count = 0;
    for name in named {
        let asset = server.get(&format!("/api/docs/{}", name.trim_start_matches("./"))).await;
        assert_eq!(asset.status(), StatusCode::OK, "{name}");
        assert!(!asset.text().await.unwrap().is_empty(), "{name}");
        count += 1;
    }
    assert!(count >= 5, "{page}");
    let start = server.get("/api/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(
        start.contains("\"openapi.json\"") && start.contains("none") && !start.contains("http"),
        "{start}"
    );
    let document: serde_json::Value = server.get("/api/docs/openapi.json").await.json().await.unwrap();
    assert_eq!(document["paths"], server.document["paths"]);
    for path in ["/api/docs/nothing.js", "/api/docs/../v1/nothing", "/api/docs/%2e%2e/Cargo.toml"] {
        refused(server.get(path).await, 404, "unknown-path", &[]).await;
    }
}

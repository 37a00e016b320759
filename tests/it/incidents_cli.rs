//! `portent incident` and `portent key new` as a person uses them: the binary against an agent that has found the faults
//! of the last quarter of an hour.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use portent::app::App;
use portent::config::{self, Override};
use portent::runtime::Clock;
use portent_demo_service::{SERVICES, Schedule, World};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::history::GAUGES;
use super::support::{eventually, free_port, real_clock, write_private};

/// A service whose name clears the screen and turns the writing, as JSON and as it is.
const HOSTILE_JSON: &[u8] = b"pay\\u001b[2Jment\\u202e";
const HOSTILE: &str = "pay\u{1b}[2Jment\u{202e}";

/// Polls once, at its start: what was found stays as it is.
const CONFIG: &str = "[source]\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
                      [runtime]\nfirst_look = \"15m\"\n[signal_defaults]\ninterval = \"1h\"\n";

/// Gives one service of the demo a hostile name.
async fn renamed(request: Request, next: Next) -> Response {
    let (mut head, body) = next.run(request).await.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    let text = String::from_utf8(bytes).unwrap();
    head.headers.remove("content-length");
    let renamed = text.replace("payment-service", std::str::from_utf8(HOSTILE_JSON).unwrap());
    Response::from_parts(head, Body::from(renamed))
}

/// A running agent, and where the files of the test are.
struct Watched {
    app: App,
    folder: TempDir,
    client: reqwest::Client,
    key: Option<String>,
}

impl Watched {
    /// Starts it with further lines of `[api]`, and waits until it has found and explained every fault.
    async fn start(folder: TempDir, api: &str, client: reqwest::Client, key: Option<String>) -> Self {
        let world = World::new(11, Schedule::On);
        let router = portent_demo_service::router(world, real_clock()).layer(from_fn(renamed));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let set = |path: &str, value: &str| Override {
            path: path.to_owned(),
            value: format!("{value:?}"),
            flag: "test".to_owned(),
        };
        let overrides = [
            set("source.url", &url),
            set("store.path", &folder.path().join("portent.db").to_string_lossy()),
            set("api.listen_address", "127.0.0.1:0"),
        ];
        let text = format!("{CONFIG}[api]\n{api}\n{GAUGES}");
        let config = config::load_text("cli.toml", &text, [], &overrides).unwrap();
        let app = App::start(&config, Clock::real()).await.unwrap();
        let watched = Self { app, folder, client, key };
        eventually("every fault is found and explained", || async {
            let answer = watched.ask("/api/v1/incidents?limit=200").await;
            let rows = answer["incidents"].as_array()?.clone();
            let is_found = |name: &str| rows.iter().any(|row| row["service"] == name);
            let names = SERVICES.iter().map(|service| service.name);
            let all = names.filter(|name| *name != "payment-service").all(is_found) && is_found(HOSTILE);
            (all && rows.iter().all(|row| row["top_hypothesis"].is_object())).then_some(())
        })
        .await;
        watched
    }

    /// What the API itself answers.
    async fn ask(&self, path: &str) -> Value {
        let request = self.client.get(format!("{}{path}", self.url()));
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        request.send().await.unwrap().json().await.unwrap()
    }

    fn url(&self) -> String {
        self.app.url().trim_end_matches('/').to_owned()
    }

    /// Runs `portent incident` against it.
    fn incident(&self, arguments: &[&str]) -> Output {
        incident(&self.url(), arguments)
    }

    fn file(&self, name: &str, text: &str) -> String {
        put(self.folder.path(), name, text)
    }
}

fn put(folder: &Path, name: &str, text: &str) -> String {
    let path: PathBuf = folder.join(name);
    write_private(&path, text);
    path.to_str().unwrap().to_owned()
}

fn portent() -> Command {
    let mut command = Command::cargo_bin("portent").unwrap();
    command.env_remove("PORTENT_URL").env_remove("PORTENT_KEY_FILE");
    // The limit is for the defect of not ending at all.
    command.timeout(std::time::Duration::from_secs(60));
    command
}

fn incident(url: &str, arguments: &[&str]) -> Output {
    portent().arg("incident").args(arguments).args(["--url", url]).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command that succeeds prints.
#[track_caller]
fn printed(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
fn parsed(output: &Output) -> Value {
    serde_json::from_str(&printed(output)).unwrap()
}

/// Holds a command to exit code 1, nothing on standard output, and an error with those words.
#[track_caller]
fn fails(output: &Output, words: &[&str]) {
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert_eq!(text(&output.stdout), "");
    assert!(words.iter().all(|word| error.contains(word)), "{words:?} in {error}");
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[track_caller]
fn moves_no_cursor(text: &str) {
    let hidden = text.chars().find(|char| *char != '\n' && (char.is_control() || *char == '\u{202e}'));
    assert_eq!(hidden, None, "{text:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_what_the_api_answers() {
    let watched = Watched::start(tempfile::tempdir().unwrap(), "", reqwest::Client::new(), None).await;
    let all = watched.ask("/api/v1/incidents?limit=200").await["incidents"].as_array().unwrap().clone();
    let middle = all[all.len() / 2]["opened_at"].as_str().unwrap().to_owned();
    for (arguments, query) in [
        (vec!["--status", "all"], String::new()),
        (vec![], "&status=open".to_owned()),
        (vec!["--status", "resolved"], "&status=resolved".to_owned()),
        (vec!["--status", "all", "--service", "order-service"], "&service=order-service".to_owned()),
        (vec!["--status", "all", "--severity", "p0,P1"], "&severity=P0&severity=P1".to_owned()),
        (vec!["--status", "all", "--since", &middle], format!("&since={middle}")),
        (vec!["--status", "all", "--service", "nobody"], "&service=nobody".to_owned()),
    ] {
        let own = watched.ask(&format!("/api/v1/incidents?limit=200{query}")).await;
        let rows = own["incidents"].as_array().unwrap_or_else(|| panic!("{own:#}"));
        let given = [&["list", "--output", "json"], arguments.as_slice()].concat();
        let output = watched.incident(&given);
        assert_eq!(parsed(&output), json!({ "incidents": rows, "has_more": false }), "{arguments:?}");
        moves_no_cursor(&printed(&output));
        let table = printed(&watched.incident(&[&["list"], arguments.as_slice()].concat()));
        moves_no_cursor(&table);
        let lines: Vec<&str> = table.lines().collect();
        if rows.is_empty() {
            assert_eq!(lines, ["no incidents"]);
            continue;
        }
        assert_eq!(lines.len(), 1 + rows.len(), "{table}");
        for (line, row) in lines[1..].iter().zip(rows) {
            assert!(line.starts_with(row["id"].as_str().unwrap()), "{table}");
            assert!(
                line.contains(row["severity"].as_str().unwrap()) && line.chars().count() <= 100,
                "{table}"
            );
        }
    }
    let table = printed(&watched.incident(&["list", "--status", "all"]));
    assert!(table.contains("pay\\u{1b}[2Jment"), "{table}");

    let output = watched.incident(&["list", "--status", "all", "--limit", "2", "--output", "json"]);
    assert_eq!(parsed(&output), json!({ "incidents": all[..2], "has_more": true }));
    assert!(text(&output.stderr).contains("more than 2"), "{}", text(&output.stderr));

    let mut by_environment = portent();
    by_environment.env("PORTENT_URL", watched.url()).args(["incident", "list", "--status", "all"]);
    assert_eq!(printed(&by_environment.output().unwrap()), table);
    assert_eq!(watched.incident(&["list", "--status", "none"]).status.code(), Some(2));
    fails(&watched.incident(&["list", "--since", "yesterday"]), &["yesterday", "RFC 3339"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_shown_whole_by_its_id_or_the_start_of_it() {
    let watched = Watched::start(tempfile::tempdir().unwrap(), "", reqwest::Client::new(), None).await;
    let all = watched.ask("/api/v1/incidents?limit=200").await["incidents"].as_array().unwrap().clone();
    let row = all.iter().find(|row| row["service"] == HOSTILE).unwrap();
    let id = row["id"].as_str().unwrap();
    let path = format!("/api/v1/incidents/{id}");
    let own = json!({
        "incident": watched.ask(&path).await,
        "diagnosis": watched.ask(&format!("{path}/diagnosis")).await,
        "events": watched.ask(&format!("{path}/events?limit=200")).await["events"],
        "has_more_events": false,
    });
    let output = watched.incident(&["show", id, "--output", "json"]);
    assert_eq!(parsed(&output), own);
    moves_no_cursor(&printed(&output));

    let shown = printed(&watched.incident(&["show", id]));
    moves_no_cursor(&shown);
    for part in
        [id, "pay\\u{1b}[2Jment\\u{202e}", "SERIES", "error_rate", "LIKELY CAUSES", "[a1]", "TIMELINE"]
    {
        assert!(shown.contains(part), "{part:?} is missing in:\n{shown}");
    }
    // Eight digits are enough where no other begins like this; capitals are the same digits.
    let others = all.iter().filter(|row| row["id"].as_str().unwrap().starts_with(&id[..8])).count();
    assert_eq!(others, 1);
    assert_eq!(printed(&watched.incident(&["show", &id[..8].to_uppercase()])), shown);

    let large = all.iter().find(|row| row["service"] == "inventory-service").unwrap();
    let shown = printed(&watched.incident(&["show", large["id"].as_str().unwrap()]));
    assert!(shown.contains("M where ") || shown.contains("memory_bytes"), "{shown}");

    let none = "0".repeat(20);
    fails(&watched.incident(&["show", &none]), &[&none]);
    let free = ["00000", "fffff", "a0a0a"]
        .into_iter()
        .find(|start| !all.iter().any(|row| row["id"].as_str().unwrap().starts_with(start)));
    fails(&watched.incident(&["show", free.unwrap()]), &["no incident", "portent incident list"]);
    for wrong in ["abc", "xyzw", "../status", &"a".repeat(21)] {
        fails(&watched.incident(&["show", wrong]), &["is no id"]);
    }
}

/// A key that `portent key new` makes, with the entry for the keys file.
fn new_key(name: &str, scopes: &str) -> (String, String) {
    let output = portent().args(["key", "new", "--name", name, "--scopes", scopes]).output().unwrap();
    let (entry, told) = (printed(&output), text(&output.stderr));
    let key = told.split_whitespace().find(|word| word.starts_with("portent_")).unwrap().to_owned();
    (key, entry)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_keys_only_the_right_one_opens() {
    let folder = tempfile::tempdir().unwrap();
    let [(read, read_entry), (ingest, ingest_entry)] = [new_key("ann", "read"), new_key("ci", "ingest")];
    assert_ne!(read, ingest);
    assert!(!read_entry.contains(&read), "{read_entry}");
    let keys = put(folder.path(), "keys.toml", &format!("{read_entry}\n{ingest_entry}"));
    let api = format!("keys_file = {keys:?}");
    let watched = Watched::start(folder, &api, reqwest::Client::new(), Some(read.clone())).await;
    let all = watched.ask("/api/v1/incidents?limit=200").await["incidents"].clone();
    let list = ["list", "--status", "all", "--output", "json"];
    let with = |key_file: &str| watched.incident(&[&list, &["--key-file", key_file][..]].concat());

    let right = watched.file("right", &format!("{read}\n"));
    assert_eq!(parsed(&with(&right))["incidents"], all);
    let mut by_environment = portent();
    by_environment
        .env("PORTENT_URL", watched.url())
        .env("PORTENT_KEY_FILE", &right)
        .arg("incident")
        .args(list);
    assert_eq!(parsed(&by_environment.output().unwrap())["incidents"], all);
    let id = all[0]["id"].as_str().unwrap();
    assert!(printed(&watched.incident(&["show", id, "--key-file", &right])).contains(id));

    fails(&watched.incident(&list), &["wants an API key", "--key-file"]);
    let wrong = format!("portent_{}", "0".repeat(64));
    let refused = with(&watched.file("wrong", &wrong));
    fails(&refused, &["does not accept the API key"]);
    assert!(!text(&refused.stderr).contains(&wrong), "{}", text(&refused.stderr));
    fails(&with(&watched.file("scopeless", &ingest)), &["does not allow this", "\"ci\"", "read"]);
    fails(&with("/nonexistent/key"), &["--key-file", "/nonexistent/key"]);
    fails(&with(&watched.file("empty", "")), &["--key-file", "empty"]);
    // Who takes the key out of the file shuts the door at once.
    write_private(Path::new(&keys), &ingest_entry);
    fails(&with(&right), &["does not accept the API key"]);
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of this machine and its key, as PEM.
fn issued(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_the_authority_and_ones_own_certificate_are_given() {
    let folder = tempfile::tempdir().unwrap();
    let (own, clients, stranger) = (authority(), authority(), authority());
    let (cert, key) = issued(&own);
    let (client_cert, client_key) = issued(&clients);
    let file = |name: &str, text: &str| put(folder.path(), name, text);
    let (cert, key) = (file("cert.pem", &cert), file("key.pem", &key));
    let trusted = file("clients.pem", &clients.pem());
    let [ca, strange] =
        [("ca.pem", own.pem()), ("strange.pem", stranger.pem())].map(|(name, pem)| file(name, &pem));
    let identity_pem = format!("{client_cert}{client_key}");
    let identity = file("identity.pem", &identity_pem);
    let api = format!("tls = {{ cert_file = {cert:?}, key_file = {key:?}, client_ca_file = {trusted:?} }}");
    let client = reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(own.pem().as_bytes()).unwrap()])
        .identity(reqwest::Identity::from_pem(identity_pem.as_bytes()).unwrap());
    let watched = Watched::start(folder, &api, client.build().unwrap(), None).await;
    assert!(watched.url().starts_with("https://"), "{}", watched.url());

    let all = watched.ask("/api/v1/incidents?limit=200").await["incidents"].clone();
    let list = ["list", "--status", "all", "--output", "json"];
    let with = |more: &[&str]| watched.incident(&[&list, more].concat());
    let certificate = ["--client-cert-file", &identity];
    assert_eq!(parsed(&with(&["--ca-file", &ca, certificate[0], certificate[1]]))["incidents"], all);
    fails(&with(&certificate), &["is not reached", "certificate"]);
    fails(&with(&["--ca-file", &strange, certificate[0], certificate[1]]), &["is not reached"]);
    fails(&with(&["--ca-file", &ca]), &["is not reached"]);
    fails(&with(&["--ca-file", &watched.file("none.pem", "none")]), &["--ca-file", "none.pem"]);
    let plain = watched.url().replace("https://", "http://");
    fails(&incident(&plain, &list), &["is not reached"]);
}

#[test]
fn an_agent_that_is_not_there_is_named_with_a_way_out() {
    let url = format!("http://127.0.0.1:{}", free_port());
    fails(&incident(&url, &["list"]), &[&url, "is not reached", "--url"]);
    fails(&incident(&url, &["show", "abcd"]), &[&url, "is not reached"]);
    fails(&incident("http://user:pass@127.0.0.1", &["list"]), &["without user, password"]);
    fails(&incident("nowhere", &["list"]), &["nowhere", "is no URL"]);
}

//! The same agent on each backend that can run here, directly and through a real nginx that lets nobody in without TLS,
//! a password and a tenant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use portent::config::{self, Config};
use portent::source::{Answer, SignalQuery, SourceError, TimeRange};
use portent::time::Timestamp;
use portent_demo_service::{Schedule, World};
use serde_json::Value;

use super::history::{GAUGES, Past, STEP_MS};
use super::prometheus::Prometheus;
use super::proxy::{Authority, ForwardProxy, Nginx, PASSWORD, has_nginx};
use super::support::{Agent, eventually, free_port, has, now_ms, write_private};
use super::victoria::Victoria;

/// `[source]` of an agent that gets through an nginx.
fn through(nginx: &str, folder: &Path, authority: &Authority) -> String {
    let password = folder.join("password");
    write_private(&password, PASSWORD);
    format!(
        "[source]\nurl = \"{nginx}\"\nrequests_per_second = 100\n[source.http]\ntenant = \"team-a\"\n\
         basic_auth = {{ user = \"me\", password_file = {password:?} }}\ntls.ca_file = {:?}\n",
        authority.file()
    )
}

/// An hour and a half of the demo's services up to now, faults included.
async fn recorded(seed: u64, now: i64) -> String {
    let past = Past::start(&World::new(seed, Schedule::On), now - now.rem_euclid(STEP_MS) - 5_400_000).await;
    past.scrapes(STEP_MS).await
}

/// A Prometheus with a history that scrapes nobody.
async fn prometheus(folder: &Path, history: &str) -> Prometheus {
    Prometheus::start(folder, Some(history), &format!("127.0.0.1:{}", free_port()), 15).await
}

/// Id, service and onset of each incident that began within a span, and of each of its members series and onset.
fn story(incidents: &[Value], from: &str, until: &str) -> BTreeSet<String> {
    let began = |value: &Value| {
        let onset = value["onset_at"].as_str().unwrap().to_owned();
        (onset.as_str() >= from && onset.as_str() < until).then_some(onset)
    };
    let mut lines = BTreeSet::new();
    for incident in incidents {
        let (id, service) = (&incident["id"], &incident["service"]);
        let Some(onset) = began(incident) else { continue };
        lines.insert(format!("{id} {service} {onset}"));
        for member in incident["members"].as_array().unwrap() {
            let (hash, name) = (&member["series"]["hash"], &member["series"]["name"]);
            lines.extend(began(member).map(|onset| format!("{id} {service} {hash} {name} {onset}")));
        }
    }
    lines
}

/// Each incident of the agent, with its members.
async fn whole_incidents(agent: &Agent) -> Vec<Value> {
    let mut whole = Vec::new();
    for incident in agent.incidents().await.unwrap() {
        let id = incident["id"].as_str().unwrap();
        whole.push(agent.get(&format!("/api/v1/incidents/{id}")).await.unwrap());
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_incidents_come_from_each_backend_and_through_a_proxy() {
    if !has("prometheus") || !has("promtool") || !has("victoria-metrics") || !has_nginx() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let now = now_ms();
    let history = recorded(11, now).await;
    let (prometheus, victoria) =
        (prometheus(folder, &history).await, Victoria::start(folder, &history).await);
    let authority = Authority::new(folder, "authority");
    let server = authority.sign("server");
    let mut ways = Vec::new();
    for (kind, url) in [("prometheus", &prometheus.url), ("victoriametrics", &victoria.url)] {
        let nginx = Nginx::start(&folder.join(format!("nginx-{kind}")), &server, url, None).await;
        ways.push((kind, format!("[source]\nurl = \"{url}\"\nrequests_per_second = 100\n"), None));
        ways.push((kind, through(&nginx.url(), folder, &authority), Some(nginx)));
    }
    let agents: Vec<Agent> = ways
        .iter()
        .enumerate()
        .map(|(place, (_, source, _))| {
            let folder = folder.join(format!("agent-{place}"));
            std::fs::create_dir(&folder).unwrap();
            Agent::start(&folder, &format!("{source}\n[runtime]\nfirst_look = \"15m\"\n{GAUGES}"))
        })
        .collect();

    // What began at either end may be cut off for one agent and not for another, which started a second later.
    let at = |minutes: i64| Timestamp::from_millis(now - minutes * 60_000).to_string();
    let (from, until, judged) = (at(12), at(3), at(1));
    let mut stories = Vec::new();
    for (agent, (kind, source, nginx)) in agents.iter().zip(&ways) {
        agent.ready().await;
        let status = eventually("every signal is judged up to a minute ago", || async {
            let status = agent.get("/api/v1/status").await?;
            let signals = status["signals"].as_array()?;
            let is_past =
                |signal: &Value| signal["judged_through_at"].as_str().is_some_and(|at| at >= judged.as_str());
            (signals.len() == 5 && signals.iter().all(is_past)).then_some(status)
        })
        .await;
        let url = status["source"]["url"].as_str().unwrap();
        assert!(source.contains(&format!("url = \"{url}\"")), "another agent answers: {source}\n{status:#}");
        assert_eq!(status["source"]["kind"], **kind, "{source}\n{status:#}");
        let wanted = if *kind == "prometheus" { 15.0 } else { 30.0 };
        assert_eq!(status["source"]["query_delay_s"], wanted, "{status:#}");
        let metrics = reqwest::get(format!("{}/metrics", agent.url)).await.unwrap().text().await.unwrap();
        assert!(metrics.contains(&format!("portent_source_info{{kind=\"{kind}\"")), "{metrics}");
        let is_direct = nginx.is_none();
        stories.push((*kind, is_direct, story(&whole_incidents(agent).await, &from, &until)));
    }
    let (_, _, first) = &stories[0];
    assert!(first.len() >= 6, "nine minutes hold at least three incidents with a member each: {first:#?}");
    for (kind, is_direct, story) in &stories {
        assert_eq!(story, first, "{kind}, directly: {is_direct}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_and_a_rotated_certificate_are_picked_up_while_running() {
    if !has("prometheus") || !has("promtool") || !has_nginx() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let prometheus = prometheus(folder, &recorded(12, now_ms()).await).await;
    let authority = Authority::new(folder, "authority");
    let server = authority.sign("server");
    let [former, later] = ["former", "later"].map(|name| Authority::new(folder, name));
    let mut nginx = Nginx::start(&folder.join("nginx"), &server, &prometheus.url, Some(&former)).await;
    let [certificate, key] = ["own.pem", "own.key"].map(|name| folder.join(name));
    let put = |from: PathBuf, to: &Path| write_private(to, &std::fs::read_to_string(from).unwrap());
    let signed = former.sign("client-1");
    put(signed.0, &certificate);
    put(signed.1, &key);
    let source = through(&nginx.url(), folder, &authority);
    let agent = Agent::start(
        folder,
        &format!(
            "{source}tls.cert_file = {certificate:?}\ntls.key_file = {key:?}\n\
             [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\n[signal.cpu_usage]\nquery = \"demo_cpu_usage\"\n"
        ),
    );
    agent.ready().await;
    let status = || async { agent.get("/api/v1/status").await };
    let fails_with = |words: &'static str| {
        eventually(words, move || async move {
            let error = status().await?["signals"][0]["polls"]["last_error"].as_str()?.to_owned();
            error.contains(words).then_some(error)
        })
    };
    let answered = |what: &'static str| {
        eventually(what, move || async move {
            status().await?["signals"][0]["polls"]["last_error"].is_null().then_some(())
        })
    };

    nginx.set_password("changed");
    let error = fails_with("status 401").await;
    assert!(error.contains("check source.http.basic_auth"), "{error}");
    write_private(&folder.join("password"), "changed\n");
    answered("the new password is used").await;

    nginx.restart(&server, &prometheus.url, &later).await;
    nginx.set_password("changed");
    fails_with("check source.http.tls.cert_file").await;
    let signed = later.sign("client-2");
    put(signed.0, &certificate);
    let trouble = eventually("a certificate without its key is told", || async {
        Some(status().await?["source"]["transport_trouble"].as_str()?.to_owned())
    })
    .await;
    assert!(trouble.contains("is not the private key of the certificate in"), "{trouble}");
    put(signed.1, &key);
    answered("the new certificate is used").await;
    assert!(status().await.unwrap()["source"]["transport_trouble"].is_null());
}

fn loaded(source: &str) -> Config {
    config::load_text("test", source, [], &[]).unwrap_or_else(|report| panic!("{report}"))
}

/// Asks for one minute of a gauge, as an agent with this config would.
async fn ask(source: &str) -> Result<Answer, SourceError> {
    let mut settings = loaded(source).source;
    settings.retries = 0;
    let query = SignalQuery {
        signal: portent::series::SignalName::new("cpu_usage"),
        promql: "demo_cpu_usage".to_owned(),
        step: Duration::from_secs(15),
        service_label: "service".parse().unwrap(),
    };
    let range = TimeRange::last_points(
        Timestamp::from_millis(now_ms()),
        Duration::from_secs(60),
        Duration::from_secs(15),
        4,
    );
    portent::source::Prometheus::new(&settings)?.range(&query, range).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_at_the_proxy_is_named_with_a_way_out() {
    if !has("prometheus") || !has("promtool") || !has_nginx() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let prometheus = prometheus(folder, &recorded(13, now_ms()).await).await;
    let authority = Authority::new(folder, "authority");
    let server = authority.sign("server");
    let nginx = Nginx::start(&folder.join("nginx"), &server, &prometheus.url, None).await;
    let sound = through(&nginx.url(), folder, &authority);
    let answer = ask(&sound).await.unwrap();
    assert_eq!(answer.batch.series_count(), 5);
    let served_at = answer.served_at.unwrap();
    assert!((served_at.as_millis() - now_ms()).abs() < 60_000, "nginx tells its time: {served_at}");

    let other = Authority::new(folder, "other").file();
    let ca_file = authority.file();
    let [ca_file, other] = [ca_file, other].map(|file| file.to_str().unwrap().to_owned());
    let wrong = folder.join("wrong").to_str().unwrap().to_owned();
    write_private(Path::new(&wrong), "wrong");
    let password = folder.join("password").to_str().unwrap().to_owned();
    for (from, to, words) in [
        (ca_file.as_str(), other.as_str(), "set source.http.tls.ca_file to that authority"),
        (&password, &wrong, "status 401: Unauthorized: check source.http.basic_auth"),
        (
            "tenant = \"team-a\"",
            "",
            "status 403: Forbidden: check source.http.basic_auth, source.http.authorization and source.http.tenant",
        ),
        ("/metrics-api\"", "/elsewhere\"", "status 404: Not Found: check the path prefix of source.url"),
        ("https://", "http://", "400"),
    ] {
        let error = ask(&sound.replace(from, to)).await.unwrap_err().to_string();
        assert!(error.contains(words), "{from} -> {to}: {error}");
        assert!(!error.contains(PASSWORD), "{error}");
    }
    let unverified = sound.replace(&format!("tls.ca_file = {ca_file:?}"), "tls.insecure_skip_verify = true");
    assert!(ask(&unverified).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forward_proxy_carries_what_is_encrypted_for_the_backend() {
    if !has("prometheus") || !has("promtool") || !has_nginx() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let prometheus = prometheus(folder, &recorded(14, now_ms()).await).await;
    let authority = Authority::new(folder, "authority");
    let server = authority.sign("server");
    let nginx = Nginx::start(&folder.join("nginx"), &server, &prometheus.url, None).await;
    // The name that only the proxy knows.
    let url = format!("https://backend.test:{}/metrics-api", nginx.port);
    let proxy = ForwardProxy::start("cHJveHk6b3BlbiB1cA==").await;
    let source = format!("{}proxy_url = \"{}\"\n", through(&url, folder, &authority), proxy.url);
    let refused = ask(&source).await.unwrap_err().to_string();
    assert!(refused.contains("set source.http.proxy_basic_auth"), "{refused}");
    let answer =
        ask(&format!("{source}proxy_basic_auth = {{ user = \"proxy\", password = \"open up\" }}\n")).await;
    assert_eq!(answer.unwrap().batch.series_count(), 5);
    assert!(proxy.tunnels.load(Ordering::SeqCst) > 0);
}

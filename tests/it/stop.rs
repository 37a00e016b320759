//! Told to stop, the agent finishes what it has begun.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portent_demo_service::{FaultRequest, SERVICES, Schedule, World};

use super::support::{Agent, Demo, eventually, now_ms, real_clock};

/// An agent whose queue holds one input, over a signal with an open incident.
async fn busy(folder: &std::path::Path) -> (Agent, Demo, String, String) {
    let world = World::new(51, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let signals: String = ["error_rate", "latency_p95", "cpu_usage", "request_rate"]
        .map(|name| format!("[signal.{name}]\nquery = \"demo_{name}\"\n"))
        .concat();
    let config = format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\n\
         [runtime]\nhistory = \"2m\"\nfirst_look = \"1s\"\nqueue_limit = 1\n{signals}",
        demo.url()
    );
    let agent = Agent::start(folder, &config);
    agent.ready().await;
    let service = SERVICES[0].name;
    let body = format!(
        r#"{{"service":"{service}","signal":"error_rate","shape":"step","factor":20,"duration":"300s"}}"#
    );
    world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), now_ms()).unwrap();
    let id = eventually("an incident", || async {
        Some(agent.incidents().await?.first()?["id"].as_str()?.to_owned())
    })
    .await;
    (agent, demo, id, config)
}

/// Sends all of a request but its last line.
fn begin(agent: &Agent, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(agent.url.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    write!(stream, "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n").unwrap();
    stream
}

/// Sends the rest and reads the answer to its end.
fn finish(mut stream: TcpStream) -> String {
    stream.write_all(b"\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn log(folder: &std::path::Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap()
}

async fn logged(folder: &std::path::Path, line: &str) {
    eventually(line, || async { log(folder).contains(line).then_some(()) }).await;
}

/// The revision in the answer to a request for a diagnosis; `None` where it was refused.
fn revision(answer: &str) -> Option<u64> {
    let body = answer.split_once("\r\n\r\n")?.1;
    serde_json::from_str::<serde_json::Value>(body).ok()?["revision"].as_u64()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_answers_open_requests_and_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let (mut agent, _demo, id, config) = busy(folder.path()).await;
    let path = format!("/api/v1/incidents/{id}/analyze");
    // Requests come in all the time, more than the queue takes.
    let ends = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = (0..4)
        .map(|_| {
            let (url, ends) = (format!("{}{path}", agent.url), Arc::clone(&ends));
            tokio::spawn(async move {
                let (client, mut acknowledged) = (reqwest::Client::new(), Vec::new());
                while !ends.load(Ordering::SeqCst) {
                    let Ok(reply) = client.post(&url).send().await else { continue };
                    if reply.status() == 202 {
                        let body: serde_json::Value = reply.json().await.unwrap();
                        acknowledged.push(body["revision"].as_u64().unwrap());
                    }
                }
                acknowledged
            })
        })
        .collect();
    let open = begin(&agent, &path);
    eventually("acknowledged requests", || async {
        let incident = agent.get(&format!("/api/v1/incidents/{id}")).await?;
        incident["revisions"].as_u64().filter(|revisions| *revisions > 20)
    })
    .await;
    agent.process.signal("TERM");
    logged(folder.path(), "told to stop").await;
    // Reloads are for those that stay.
    agent.process.signal("HUP");
    let answer = tokio::task::spawn_blocking(move || finish(open)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202") || answer.starts_with("HTTP/1.1 503"), "{answer}");
    let status = agent.process.ended().await;
    ends.store(true, Ordering::SeqCst);
    assert!(status.success(), "{status}\n{}", log(folder.path()));
    assert!(!log(folder.path()).contains("another config"), "{}", log(folder.path()));
    let mut acknowledged: Vec<u64> = revision(&answer).into_iter().collect();
    for asking in asking {
        acknowledged.extend(asking.await.unwrap());
    }
    assert!(acknowledged.len() > 5, "{acknowledged:?}");

    let again = Agent::start(folder.path(), &config);
    again.ready().await;
    for revision in acknowledged {
        let path = format!("/api/v1/incidents/{id}/diagnosis?revision={revision}");
        let diagnosis = again.get(&path).await.unwrap();
        assert_eq!(diagnosis["revision"], revision, "acknowledged and lost: {diagnosis:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_was_open_at_the_stop_still_reaches_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let (mut agent, _demo, id, _config) = busy(folder.path()).await;
    let open = begin(&agent, &format!("/api/v1/incidents/{id}/analyze"));
    agent.process.signal("TERM");
    logged(folder.path(), "told to stop").await;
    let answer = tokio::task::spawn_blocking(move || finish(open)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(agent.process.ended().await.success(), "{}", log(folder.path()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mut agent, _demo, id, _config) = busy(folder.path()).await;
    // A request that nobody finishes: a stop waits for it.
    let open = begin(&agent, &format!("/api/v1/incidents/{id}/analyze"));
    agent.process.signal("TERM");
    logged(folder.path(), "told to stop").await;
    agent.process.signal("INT");
    let status = agent.process.ended().await;
    assert_eq!(status.code(), Some(1));
    assert!(log(folder.path()).contains("a second time"), "{}", log(folder.path()));
    drop(open);
}

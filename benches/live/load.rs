//! Questions to the API at a steady rate, whether or not the earlier ones are answered: a wait is seen by all who come
//! meanwhile. A question's delay counts from the moment at which it was due.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use portent::runtime::Clock;
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinSet;

/// A question takes so long at most.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection is kept so long without a question.
const IDLE_MAX: Duration = Duration::from_secs(10);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ask {
    Healthy,
    Ready,
    Status,
    Incidents,
    Incident,
    Events,
    Signals,
    OneService,
    FirstPage,
    Anomalous,
    Explain,
    Metrics,
}

/// In turn; the status comes more often, since it tells when a tick is done.
const TURN: [Ask; 20] = [
    Ask::Status,
    Ask::Healthy,
    Ask::OneService,
    Ask::Incidents,
    Ask::Status,
    Ask::FirstPage,
    Ask::Metrics,
    Ask::OneService,
    Ask::Status,
    Ask::Incident,
    Ask::Ready,
    Ask::Anomalous,
    Ask::Status,
    Ask::Signals,
    Ask::OneService,
    Ask::Events,
    Ask::Status,
    Ask::Healthy,
    Ask::Explain,
    Ask::FirstPage,
];

/// In each so many turns something is to be explained: once in two seconds at 200 questions a second.
const EXPLAIN_EACH: usize = 20;

impl Ask {
    fn path(self, world: &World, nth: usize) -> String {
        let signal = nth % world.signals.max(1);
        let service = nth * 7919 % world.services.max(1);
        match self {
            Self::Healthy => "/-/healthy".to_owned(),
            Self::Ready => "/-/ready".to_owned(),
            Self::Status => "/api/v1/status".to_owned(),
            Self::Incidents => "/api/v1/incidents?limit=50".to_owned(),
            Self::Incident => match &world.incident {
                Some(id) => format!("/api/v1/incidents/{id}"),
                None => "/api/v1/incidents?limit=1".to_owned(),
            },
            Self::Events => match &world.incident {
                Some(id) => format!("/api/v1/incidents/{id}/events"),
                None => "/api/v1/incidents?limit=1".to_owned(),
            },
            Self::Signals => "/api/v1/signals".to_owned(),
            Self::OneService => format!("/api/v1/signals/s{signal}?service=service-{service:04}"),
            Self::FirstPage => format!("/api/v1/signals/s{signal}?limit=100"),
            Self::Anomalous => format!("/api/v1/signals/s{signal}?state=anomalous"),
            Self::Explain => {
                let at = world.explained_s;
                format!("/api/v1/explain?signal=s{signal}&service=service-{service:04}&time={at}")
            }
            Self::Metrics => "/metrics".to_owned(),
        }
    }
}

/// What there is to ask about.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) url: String,
    pub(crate) signals: usize,
    pub(crate) services: usize,
    pub(crate) explained_s: u64,
    pub(crate) incident: Option<String>,
}

/// One question and its answer.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) due: Instant,
    pub(crate) sent: Instant,
    pub(crate) done: Instant,
    /// Why it was no answer, where it was none.
    pub(crate) refused: Option<String>,
    /// What a status says of how far each signal is judged, in the order of the config.
    pub(crate) judged: Vec<String>,
}

impl Asked {
    pub(crate) fn delay_ms(&self) -> f64 {
        self.done.duration_since(self.due).as_secs_f64() * 1e3
    }
}

/// Asks `rate` questions a second for so long.
pub(crate) async fn ask(world: &World, rate: f64, lasting: Duration) -> Vec<Asked> {
    // The agent closes a connection on which nobody asks for half a minute.
    let client = Client::builder().no_proxy().tcp_nodelay(true).pool_idle_timeout(IDLE_MAX);
    let client = client.build().expect("a client without TLS");
    let (begun, clock) = (Instant::now(), Clock::real());
    let mut out = JoinSet::new();
    let mut answered = Vec::new();
    for nth in 0.. {
        let due = begun + Duration::from_secs_f64(nth as f64 / rate);
        if due.duration_since(begun) >= lasting {
            break;
        }
        clock.sleep(due.saturating_duration_since(Instant::now())).await;
        let ask = match TURN.get(nth % TURN.len()).copied() {
            // The agent answers two of these at a time, and each takes a share of its processors.
            Some(Ask::Explain) if !(nth / TURN.len()).is_multiple_of(EXPLAIN_EACH) => Ask::Healthy,
            Some(ask) => ask,
            None => Ask::Healthy,
        };
        let request = client.get(format!("{}{}", world.url, ask.path(world, nth))).timeout(PATIENCE);
        out.spawn(async move {
            let sent = Instant::now();
            let (refused, judged) = match answer(request).await {
                Ok(body) => (None, if ask == Ask::Status { judged(&body) } else { Vec::new() }),
                Err(because) => (Some(because), Vec::new()),
            };
            Asked { ask, due, sent, done: Instant::now(), refused, judged }
        });
        while let Some(done) = out.try_join_next() {
            answered.extend(done);
        }
    }
    answered.extend(out.join_all().await);
    answered
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Vec<u8>, String> {
    let response = request.send().await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| format!("{error:?}"))?.to_vec();
    if status.is_success() { Ok(body) } else { Err(format!("{status} {}", String::from_utf8_lossy(&body))) }
}

/// How far each signal is judged by a status.
pub(crate) fn judged(body: &[u8]) -> Vec<String> {
    let status: Value = serde_json::from_slice(body).unwrap_or_default();
    let through = |signal: &Value| signal["judged_through_at"].as_str().unwrap_or_default().to_owned();
    status["signals"].as_array().into_iter().flatten().map(through).collect()
}

/// Asks once; the body of a good answer.
pub(crate) async fn once(url: &str) -> Result<Vec<u8>, String> {
    let client = Client::builder().no_proxy().build().expect("a client without TLS");
    answer(client.get(url).timeout(PATIENCE)).await
}

/// The sums of the agent's own metrics over their labels, by name.
pub(crate) async fn metrics(url: &str) -> Result<BTreeMap<String, f64>, String> {
    let text = once(&format!("{url}/metrics")).await?;
    let mut sums = BTreeMap::new();
    for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or(series);
        *sums.entry(name.to_owned()).or_insert(0.0) += value.parse::<f64>().unwrap_or(0.0);
    }
    Ok(sums)
}

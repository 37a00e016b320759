//! What stands between the agent and its backend and gets in the way: real TCP, real HTTP, by a plan in virtual time.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portent::runtime::Clock;
use portent::time::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// How the backend, or the way to it, is out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection breaks before any answer.
    Cut,
    /// The answer breaks off in its middle.
    HalfABody,
    /// An answer comes after a while, in virtual time.
    Slow,
    /// No answer comes at all.
    Hangs,
    /// 429, with a wish to be left alone for 90 s.
    TooMany,
    /// 503, as a backend that starts.
    Unavailable,
    /// 200 and a page to log in.
    Html,
    /// 200 and bytes that mean nothing.
    Garbage,
    /// 401: the token has run out.
    Unauthorized,
    /// The backend's clock, its `Date` and its newest samples are ten minutes ahead.
    Ahead,
    /// The same behind.
    Behind,
    /// The backend answered all the time and took no samples then.
    Blind,
    /// It took those of two services out of five.
    HalfBlind,
}

/// When, from the first moment to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outage {
    pub(crate) trouble: Trouble,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Outage {
    pub(crate) fn holds(&self, at: Timestamp) -> bool {
        (self.from..self.until).contains(&at)
    }

    pub(crate) fn lasts(&self) -> Duration {
        self.until.since(self.from)
    }
}

impl Trouble {
    /// Whether nobody is answered meanwhile.
    pub(crate) fn is_silence(self) -> bool {
        !matches!(self, Self::Slow | Self::Ahead | Self::Behind) && !self.is_blindness()
    }

    /// Whether the samples of that time never were.
    pub(crate) fn is_blindness(self) -> bool {
        matches!(self, Self::Blind | Self::HalfBlind)
    }
}

/// How long a slow answer takes.
const SLOW: Duration = Duration::from_secs(50);
const TEN_MINUTES_MS: i64 = 600_000;
/// The services that a half-blind backend still sees.
const SEEN: [&str; 2] = ["order-service", "user-service"];

/// The proxy, until it is dropped.
pub(crate) struct FaultProxy {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Seen>>,
    cancel: CancellationToken,
}

/// What passed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Requests while nobody was answered: when, by virtual time.
    pub(crate) refused: Vec<Timestamp>,
    /// Requests that were answered.
    pub(crate) answered: usize,
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

#[derive(Clone)]
struct Way {
    backend: SocketAddr,
    clock: Clock,
    plan: Arc<[Outage]>,
    seen: Arc<Mutex<Seen>>,
    client: reqwest::Client,
}

impl FaultProxy {
    pub(crate) async fn start(backend: SocketAddr, clock: Clock, plan: &[Outage]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, cancel) = (Arc::default(), CancellationToken::new());
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let way = Way { backend, clock, plan: plan.into(), seen: Arc::clone(&seen), client };
        let stopped = cancel.clone();
        tokio::spawn(async move {
            loop {
                let stream = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap().0,
                    () = stopped.cancelled() => return,
                };
                let (way, stopped) = (way.clone(), stopped.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        // A connection that the agent gives up ends the work on it.
                        _ = way.serve(stream) => {}
                        () = stopped.cancelled() => {}
                    }
                });
            }
        });
        Self { address, seen, cancel }
    }

    /// Requests that went out to a backend that answered nobody, within a span.
    pub(crate) fn refused_in(&self, outage: &Outage) -> usize {
        self.seen.lock().unwrap().refused.iter().filter(|at| outage.holds(**at)).count()
    }
}

impl Way {
    async fn serve(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let (mut head, mut length) = (Vec::new(), 0);
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                if line.trim().is_empty() {
                    break;
                }
                let lower = line.to_ascii_lowercase();
                if let Some(text) = lower.strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                head.push(line);
            }
            let mut form = vec![0; length];
            stream.read_exact(&mut form).await?;
            let path = head.first().and_then(|line| line.split(' ').nth(1)).unwrap().to_owned();
            if !self.answer(&mut stream, &path, form).await? {
                return Ok(());
            }
        }
    }

    /// Answers one request as the plan says; `false` where the connection ends with it.
    async fn answer(
        &self,
        stream: &mut BufReader<TcpStream>,
        path: &str,
        form: Vec<u8>,
    ) -> std::io::Result<bool> {
        let now = self.clock.now();
        let trouble = self.plan.iter().find(|outage| outage.holds(now)).map(|outage| outage.trouble);
        {
            let mut seen = self.seen.lock().unwrap();
            match trouble {
                Some(trouble) if trouble.is_silence() => seen.refused.push(now),
                _ => seen.answered += 1,
            }
        }
        let there = Timestamp::from_millis(now.as_millis() + away_ms(trouble));
        match trouble {
            Some(Trouble::Cut) => return Ok(false),
            Some(Trouble::Hangs) => std::future::pending().await,
            Some(Trouble::Garbage) => {
                write(stream, "200 OK", there, b"\x00\xff{\"status\":\xc3\x28 garbage").await?;
            }
            Some(Trouble::Html) => write(stream, "200 OK", there, b"<html>please log in</html>").await?,
            Some(Trouble::TooMany) => {
                write(stream, "429 Too Many Requests\r\nretry-after: 90", there, b"slow down").await?;
            }
            Some(Trouble::Unavailable) => {
                write(stream, "503 Service Unavailable", there, b"starting").await?;
            }
            Some(Trouble::Unauthorized) => write(stream, "401 Unauthorized", there, b"").await?,
            Some(Trouble::HalfABody) => {
                let body = self.samples(path, form, there).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                stream.write_all(&body[..body.len() / 2]).await?;
                stream.flush().await?;
                return Ok(false);
            }
            Some(Trouble::Slow | Trouble::Ahead | Trouble::Behind | Trouble::Blind | Trouble::HalfBlind)
            | None => {
                let body = self.samples(path, form, there).await;
                if trouble == Some(Trouble::Slow) {
                    self.clock.pass(SLOW);
                }
                let there = Timestamp::from_millis(self.clock.now().as_millis() + away_ms(trouble));
                write(stream, "200 OK", there, &body).await?;
            }
        }
        Ok(true)
    }

    /// What the backend has, up to a moment, less what it never took.
    async fn samples(&self, path: &str, form: Vec<u8>, there: Timestamp) -> Vec<u8> {
        let request = self.client.post(format!("http://{}{path}", self.backend)).body(form);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        let result = answer["data"]["result"].as_array_mut().unwrap();
        for series in result.iter_mut() {
            let service = series["metric"]["service"].as_str().map(str::to_owned);
            let values = series["values"].as_array_mut().unwrap();
            values.retain_mut(|point| self.is_there(point, service.as_deref(), there));
        }
        result.retain(|series| series["values"].as_array().is_some_and(|values| !values.is_empty()));
        serde_json::to_vec(&answer).unwrap()
    }

    fn is_there(&self, point: &mut Value, service: Option<&str>, there: Timestamp) -> bool {
        let at = Timestamp::from_seconds(point[0].as_f64().unwrap()).unwrap();
        let blind = self.plan.iter().find(|outage| outage.trouble.is_blindness() && outage.holds(at));
        match (blind.map(|outage| outage.trouble), service) {
            (Some(Trouble::HalfBlind), Some(service)) => SEEN.contains(&service),
            (Some(Trouble::HalfBlind), None) => {
                point[1] = SEEN.len().to_string().into();
                at <= there
            }
            (Some(_), _) => false,
            (None, _) => at <= there,
        }
    }
}

fn away_ms(trouble: Option<Trouble>) -> i64 {
    match trouble {
        Some(Trouble::Ahead) => TEN_MINUTES_MS,
        Some(Trouble::Behind) => -TEN_MINUTES_MS,
        _ => 0,
    }
}

async fn write(
    stream: &mut BufReader<TcpStream>,
    status: &str,
    now: Timestamp,
    body: &[u8],
) -> std::io::Result<()> {
    let at = std::time::UNIX_EPOCH + Duration::from_millis(now.as_millis().unsigned_abs());
    let date = httpdate::fmt_http_date(at);
    let kind = if body.starts_with(b"{") { "application/json" } else { "text/html" };
    let head = format!(
        "HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    stream.flush().await
}

//! The client: one connection pool, one rate limit and one memory of labels for all who hold it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::Url;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::answer::{Body, Exchange};
use super::request::{headers, http_client};
use super::retry::with_retries;
use crate::series::SignalName;
use crate::source::{
    Answer, Asked, DecodeError, Flaw, Interner, Settings, SignalQuery, SourceError, TimeRange, decode,
};
use crate::time::{format_duration, millis};

/// An answer may be so many times as large as planned before its reading is given up.
const BYTES_OVER_PLAN: usize = 4;

/// Signals whose labels are remembered between calls.
const INTERNERS_MAX: usize = 1024;

/// A Prometheus-compatible backend. Clones share everything.
#[derive(Clone)]
pub struct Prometheus {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    /// The URL, which holds no user and no password.
    name: Arc<str>,
    base: Url,
    http: reqwest::Client,
    api: prometheus_http_query::Client,
    turns: DefaultDirectRateLimiter,
    interners: Mutex<BTreeMap<SignalName, Interner>>,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus({})", self.shared.name)
    }
}

/// What a backend says about itself. Those that only speak Prometheus' API leave parts out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuildInfo {
    /// The version, such as `2.42.0`.
    #[serde(default)]
    pub version: String,
    /// The revision that it was built from.
    #[serde(default)]
    pub revision: String,
    /// The name that Mimir gives.
    #[serde(default)]
    pub application: String,
}

#[derive(Deserialize)]
struct BuildInfoAnswer {
    data: BuildInfo,
}

impl Prometheus {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// The first of the settings' mistakes.
    pub fn new(settings: &Settings) -> Result<Self, SourceError> {
        if let Some(mistake) = settings.mistakes().into_iter().next() {
            return Err(SourceError::Settings(mistake));
        }
        let wrong_url =
            |because: String| SourceError::Settings(crate::source::Mistake { key: "url", because });
        let base = settings.base_url().map_err(wrong_url)?;
        let name = base.as_str().trim_end_matches('/');
        let http = http_client(settings, &base)?;
        let api = prometheus_http_query::Client::from(http.clone(), base.as_str())
            .map_err(|error| wrong_url(format!("is no URL ({error})")))?;
        let per_second = NonZeroU32::new(settings.requests_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(settings.burst).unwrap_or(NonZeroU32::MIN);
        let shared = Shared {
            settings: settings.clone(),
            name: name.into(),
            http,
            api,
            turns: RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst)),
            interners: Mutex::new(BTreeMap::new()),
            base,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The backend's URL, for logs and status.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Asks for the steps of a range, both ends included. Retries what may pass by itself; lasts at most
    /// `timeout` a try and 10 s a pause between two, and then as long as decoding takes, on a thread of its own.
    ///
    /// # Errors
    /// Names the source, the query and what happened; see [`SourceError`].
    pub async fn range(&self, query: &SignalQuery, range: TimeRange) -> Result<Answer, SourceError> {
        let asked = Asked::query(Arc::clone(&self.shared.name), query);
        let form = RangeForm::new(query, range)
            .map_err(|because| SourceError::Query { asked: Arc::clone(&asked), because })?;
        let exchange = self.exchange(&asked);
        let Body { bytes, served_at } =
            with_retries(&self.shared.settings, &asked, || self.range_once(&exchange, &form)).await?;
        let answer = self.decode(asked, query, bytes).await?;
        Ok(Answer { served_at, ..answer })
    }

    /// Asks which backend this is and in which version.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn build_info(&self) -> Result<BuildInfo, SourceError> {
        let asked = Asked::build_info(Arc::clone(&self.shared.name));
        let exchange = self.exchange(&asked);
        let body = with_retries(&self.shared.settings, &asked, || self.build_info_once(&exchange)).await?;
        let answer: BuildInfoAnswer = serde_json::from_slice(&body.bytes).map_err(|error| {
            let flaw = Flaw { at: byte_of(&body.bytes, &error), because: "no build information is found" };
            SourceError::Decode { asked, because: DecodeError::Malformed(flaw) }
        })?;
        Ok(answer.data)
    }

    fn exchange(&self, asked: &Arc<Asked>) -> Exchange {
        let settings = &self.shared.settings;
        Exchange {
            asked: Arc::clone(asked),
            timeout: settings.timeout,
            bytes_max: settings.bytes_per_request.saturating_mul(BYTES_OVER_PLAN),
        }
    }

    async fn range_once(&self, exchange: &Exchange, form: &RangeForm<'_>) -> Result<Body, SourceError> {
        let timeout = millis(exchange.timeout);
        let mut request =
            self.shared.api.query_range(form.promql, form.start, form.end, form.step).timeout(timeout);
        for (name, value) in &self.prepare(exchange).await? {
            request = request.header(name.clone(), value.clone());
        }
        let response = request.post_raw().await.map_err(|error| {
            match error.source().and_then(|inner| inner.downcast_ref::<reqwest::Error>()) {
                Some(inner) => exchange.failure(inner),
                None => SourceError::Connect {
                    asked: Arc::clone(&exchange.asked),
                    because: "the request failed".to_owned(),
                },
            }
        })?;
        exchange.body(response).await
    }

    async fn build_info_once(&self, exchange: &Exchange) -> Result<Body, SourceError> {
        let mut url = self.shared.base.clone();
        url.set_path(&format!("{}/api/v1/status/buildinfo", url.path().trim_end_matches('/')));
        let headers = self.prepare(exchange).await?;
        let response = self.shared.http.get(url).headers(headers).send().await;
        exchange.body(response.map_err(|error| exchange.failure(&error))?).await
    }

    /// Waits for a turn and reads the secrets.
    async fn prepare(&self, exchange: &Exchange) -> Result<HeaderMap, SourceError> {
        let asked = Arc::clone(&exchange.asked);
        let turn = tokio::time::timeout(exchange.timeout, self.shared.turns.until_ready());
        if turn.await.is_err() {
            return Err(SourceError::RateLimit { asked, after: exchange.timeout });
        }
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || headers(&shared.http, &shared.settings, &asked));
        read.await.unwrap_or_else(|_| Err(SourceError::Worker { asked: Arc::clone(&exchange.asked) }))
    }

    /// Decodes on a blocking thread, so that a large answer holds up no request.
    async fn decode(
        &self,
        asked: Arc<Asked>,
        query: &SignalQuery,
        body: Vec<u8>,
    ) -> Result<Answer, SourceError> {
        let series_limit = self.shared.settings.series_limit;
        let mut interner = self.borrow_interner(query);
        let work = tokio::task::spawn_blocking(move || {
            let outcome = decode(&body, &mut interner, series_limit);
            (outcome, interner)
        });
        let Ok((outcome, interner)) = work.await else {
            return Err(SourceError::Worker { asked });
        };
        self.give_back(query, interner);
        outcome.map_err(|because| SourceError::Decode { asked, because })
    }

    /// Takes the signal's interner out, so that no lock is held while an answer is decoded. A second call for the same
    /// signal meanwhile starts with an empty one.
    fn borrow_interner(&self, query: &SignalQuery) -> Interner {
        let mut interners = self.shared.interners.lock().unwrap_or_else(PoisonError::into_inner);
        match interners.remove(&query.signal) {
            Some(interner) if interner.is_for(&query.signal, &query.service_label) => interner,
            Some(_) | None => Interner::new(
                query.signal.clone(),
                query.service_label.clone(),
                self.shared.settings.series_limit,
            ),
        }
    }

    fn give_back(&self, query: &SignalQuery, interner: Interner) {
        let mut interners = self.shared.interners.lock().unwrap_or_else(PoisonError::into_inner);
        let knows_less = interners.get(&query.signal).is_none_or(|held| held.len() <= interner.len());
        if knows_less && (interners.len() < INTERNERS_MAX || interners.contains_key(&query.signal)) {
            interners.insert(query.signal.clone(), interner);
        }
    }
}

/// The parameters of a range query. The API's client takes whole seconds.
struct RangeForm<'q> {
    promql: &'q str,
    start: i64,
    end: i64,
    step: f64,
}

impl<'q> RangeForm<'q> {
    fn new(query: &'q SignalQuery, range: TimeRange) -> Result<Self, String> {
        let step = query.step;
        if step < Duration::from_secs(1) || step.subsec_nanos() != 0 {
            let shown = format_duration(step);
            return Err(format!("its step of {shown} is no whole number of seconds: give one, such as 15s"));
        }
        if !range.is_aligned(step) {
            let (start, end, step) = (range.start(), range.end(), format_duration(step));
            return Err(format!("its range from {start} to {end} is not aligned to the step of {step}"));
        }
        Ok(Self {
            promql: &query.promql,
            start: range.start().as_millis() / 1000,
            end: range.end().as_millis() / 1000,
            step: step.as_secs_f64(),
        })
    }
}

/// Where in a text serde stopped; it counts lines and columns from one.
fn byte_of(body: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let start: usize = lines.take(lines_before).map(<[u8]>::len).sum();
    start + error.column().saturating_sub(1)
}

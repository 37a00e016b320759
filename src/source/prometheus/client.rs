//! The client: one connection pool, one rate limit and one memory of labels for all who hold it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::Url;

use super::answer::{Body, Exchange};
use super::backend::BackendKind;
use super::identify::Identity;
use super::retry::with_retries;
use crate::series::SignalName;
use crate::source::{Answer, Asked, Interner, Settings, SignalQuery, SourceError, TimeRange, decode};
use crate::time::{format_duration, millis};
use crate::transport::{Destination, Ready, Transport};

/// An answer may be so many times as large as planned before its reading is given up.
const BYTES_OVER_PLAN: usize = 4;

/// Signals whose labels are remembered between calls.
const INTERNERS_MAX: usize = 1024;

/// A Prometheus-compatible backend. Clones share everything.
#[derive(Clone)]
pub struct Prometheus {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    /// The URL, which holds no user and no password.
    pub(super) name: Arc<str>,
    pub(super) base: Url,
    pub(super) identity: Identity,
    transport: Transport,
    turns: DefaultDirectRateLimiter,
    interners: Mutex<BTreeMap<SignalName, Interner>>,
}

impl fmt::Debug for Prometheus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prometheus({})", self.shared.name)
    }
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
        let to = Destination { table: "source.http", url: base.clone(), timeout: Some(settings.timeout) };
        let transport = Transport::new(&settings.http, to).map_err(|error| {
            SourceError::Settings(crate::source::Mistake { key: "http", because: error.to_string() })
        })?;
        let per_second = NonZeroU32::new(settings.requests_per_second).unwrap_or(NonZeroU32::MIN);
        let burst = NonZeroU32::new(settings.burst).unwrap_or(NonZeroU32::MIN);
        let shared = Shared {
            settings: settings.clone(),
            name: name.into(),
            identity: settings.kind.map_or_else(Identity::default, Identity::fixed),
            transport,
            turns: RateLimiter::direct(Quota::per_second(per_second).allow_burst(burst)),
            interners: Mutex::new(BTreeMap::new()),
            base,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whether this is a clone of the other one.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// The backend's URL, for logs and status.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Why the newest certificates or keys are not used, where they cannot be.
    pub fn transport_trouble(&self) -> Option<String> {
        self.shared.transport.trouble()
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
        let kind = self.kind().await;
        let once = || self.range_once(&exchange, &form, kind);
        let outcome = with_retries(&self.shared.settings, &asked, once).await;
        self.note(outcome.as_ref().map(drop));
        let Body { bytes, served_at, secrets } = outcome?;
        let mut answer = Body::strike(self.decode(asked, query, bytes).await, &secrets)?;
        answer.served_at = served_at;
        answer.partial = answer.partial.or_else(|| kind.partial(&answer.warnings));
        Ok(answer)
    }

    /// Asks one of the API's paths below `/api/v1/`: by POST, which holds a long query, or by GET where the API knows
    /// no other. Waits for its turn and retries as a range query does.
    pub(super) async fn call(
        &self,
        method: &reqwest::Method,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<(Arc<Asked>, Vec<u8>), SourceError> {
        let asked = Asked::path(Arc::clone(&self.shared.name), path);
        let exchange = self.exchange(&asked);
        let mut url = self.shared.base.clone();
        url.set_path(&format!("{}/api/v1/{path}", url.path().trim_end_matches('/')));
        let once = || async {
            let ready = self.prepare(&exchange).await?;
            let request = ready.client.request(method.clone(), url.clone()).headers(ready.headers);
            let request = match *method {
                reqwest::Method::POST => request.form(form),
                _ => request.query(form),
            };
            let response = request.send().await;
            exchange.body(response.map_err(|error| exchange.failure(&error))?, ready.secrets).await
        };
        let body = with_retries(&self.shared.settings, &asked, once).await?;
        Ok((asked, body.bytes))
    }

    pub(super) fn exchange(&self, asked: &Arc<Asked>) -> Exchange {
        let settings = &self.shared.settings;
        Exchange {
            asked: Arc::clone(asked),
            transport: self.shared.transport.clone(),
            timeout: settings.timeout,
            bytes_max: settings.bytes_per_request.saturating_mul(BYTES_OVER_PLAN),
        }
    }

    async fn range_once(
        &self,
        exchange: &Exchange,
        form: &RangeForm<'_>,
        kind: BackendKind,
    ) -> Result<Body, SourceError> {
        let ready = self.prepare(exchange).await?;
        let api = prometheus_http_query::Client::from(ready.client, self.shared.base.as_str());
        let api = api.map_err(|_| exchange.broken())?;
        let mut request = api.query_range(form.promql, form.start, form.end, form.step);
        request = request.timeout(millis(exchange.timeout));
        for (name, value) in kind.parameters() {
            request = request.query(name, value);
        }
        for (name, value) in &ready.headers {
            request = request.header(name.clone(), value.clone());
        }
        let response = request.post_raw().await.map_err(|error| {
            match error.source().and_then(|inner| inner.downcast_ref::<reqwest::Error>()) {
                Some(inner) => exchange.failure(inner),
                None => exchange.broken(),
            }
        })?;
        exchange.body(response, ready.secrets).await
    }

    /// Waits for a turn and reads the secrets.
    pub(super) async fn prepare(&self, exchange: &Exchange) -> Result<Ready, SourceError> {
        let asked = Arc::clone(&exchange.asked);
        let turn = tokio::time::timeout(exchange.timeout, self.shared.turns.until_ready());
        if turn.await.is_err() {
            return Err(SourceError::RateLimit { asked, after: exchange.timeout });
        }
        self.shared.transport.ready().await.map_err(|error| SourceError::of_transport(error, asked))
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

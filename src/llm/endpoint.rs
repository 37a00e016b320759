//! The way to the endpoint: where it is, the key, and a transport that reads no more than it should.
//!
//! The client library reads the environment, retries by itself with waits that the server chooses, logs bodies that it
//! can't parse and reads bodies of any size. Here it gets its address and key from us alone, and a transport in which
//! none of that happens.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use secrecy::SecretString;
use serde_json::Value;

use crate::diagnose::{Because, one_line};
use crate::secret::expose;
use crate::transport::{Transport, innermost};

/// A longer body is given up.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Of an error's body, so much is read.
const ERROR_BYTES_MAX: usize = 64 * 1024;
/// A detail has at most so many characters.
const DETAIL_CHARS_MAX: usize = 300;
/// A shorter key is a placeholder that some endpoints want to see, such as `ollama`, and no secret.
const SECRET_CHARS_MIN: usize = 8;

/// Address and headers: all that a request says about who sends it.
pub(super) struct Endpoint {
    base: String,
    /// What the headers carry it in.
    secrets: Vec<SecretString>,
    headers: HeaderMap,
    no_key: SecretString,
}

impl Endpoint {
    /// Takes the base of the API, without a slash at its end, and the headers of a request with the secrets in them.
    pub(super) fn new(base: &str, headers: HeaderMap, secrets: Vec<SecretString>) -> Self {
        Self { base: base.to_owned(), secrets, headers, no_key: SecretString::default() }
    }

    /// A text without the key or another secret, for the case that the other side repeats it.
    pub(super) fn without_key(&self, text: &str) -> String {
        let secrets = self.secrets.iter().map(expose).filter(|secret| secret.len() >= SECRET_CHARS_MIN);
        secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "[key]"))
    }

    /// A text for a stored reason: without the key, on one line, bounded.
    pub(super) fn detail(&self, text: &str) -> String {
        bounded(&self.without_key(text))
    }
}

/// A text for a stored reason that can't hold the key: on one line, bounded.
pub(super) fn bounded(text: &str) -> String {
    one_line(text, DETAIL_CHARS_MAX)
}

impl Config for Endpoint {
    fn headers(&self) -> HeaderMap {
        self.headers.clone()
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.base
    }

    /// None, as the headers have it.
    fn api_key(&self) -> &SecretString {
        &self.no_key
    }
}

/// Why a request brought no completion. Its text goes on from the endpoint's name: `... answered 500`.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("is not asked, as the limit of {per_minute} requests a minute is used up")]
    OwnLimit { per_minute: u32 },
    #[error("cannot be asked: {0}")]
    Request(String),
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    #[error("answered {status}{}", colon(message))]
    Status { status: StatusCode, message: String, param: Option<String>, retry_after: Option<Duration> },
    #[error("answered with more than {BODY_BYTES_MAX} bytes")]
    TooBig,
    #[error("answered with something that is not JSON; is this the base URL of an API?")]
    NotJson,
    #[error("answered without a completion{}", colon(.0))]
    NoCompletion(String),
}

fn colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

impl CallError {
    /// The reason to store.
    pub(super) fn because(&self, endpoint: &Endpoint) -> Because {
        let text = endpoint.detail(&format!("{} {self}", endpoint.base));
        match self {
            Self::OwnLimit { .. } => Because::RateLimited(text),
            Self::Status { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
                Because::RateLimited(text)
            }
            Self::Status { .. }
            | Self::Request(_)
            | Self::Unreachable(_)
            | Self::TooBig
            | Self::NotJson
            | Self::NoCompletion(_) => Because::Unavailable(text),
        }
    }

    /// Makes the error of a status from what the endpoint says about it.
    pub(super) fn of_status(status: StatusCode, retry_after: Option<Duration>, body: &Value) -> Self {
        // What is said about a rejected key may quote it, in a spelling that is not ours.
        let is_about_key = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let message = if is_about_key { String::new() } else { message_in(body) };
        let param = body.pointer("/error/param").and_then(Value::as_str).map(str::to_owned);
        Self::Status { status, message, param, retry_after }
    }
}

/// The message of an error, as OpenAI, Ollama, vLLM and web frameworks write it; empty where there is none.
pub(super) fn message_in(body: &Value) -> String {
    let places = ["/error/message", "/error", "/message", "/detail"];
    places.iter().find_map(|place| body.pointer(place)?.as_str()).unwrap_or_default().to_owned()
}

impl From<CallError> for OpenAIError {
    fn from(error: CallError) -> Self {
        Self::Boxed(Box::new(error))
    }
}

impl From<OpenAIError> for CallError {
    fn from(error: OpenAIError) -> Self {
        match error {
            OpenAIError::Boxed(error) => match error.downcast::<Self>() {
                Ok(own) => *own,
                Err(other) => Self::Request(other.to_string()),
            },
            OpenAIError::Reqwest(error) => Self::Unreachable(innermost(&error)),
            // Nothing of a body: it may quote what was asked.
            OpenAIError::JSONDeserialize(..) => Self::NotJson,
            other => Self::Request(other.to_string()),
        }
    }
}

/// Sends one request, once, and gives back a response whose body is there, bounded and JSON.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) http: reqwest::Client,
    pub(super) transport: Transport,
}

impl tower_service::Service<HttpRequestFactory> for Line {
    type Response = reqwest::Response;
    type Error = CallError;
    type Future = Pin<Box<dyn Future<Output = Result<reqwest::Response, CallError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequestFactory) -> Self::Future {
        Box::pin(exchange(self.clone(), request))
    }
}

async fn exchange(line: Line, request: HttpRequestFactory) -> Result<reqwest::Response, CallError> {
    let request = request.build().await?;
    let unreachable = |error| CallError::Unreachable(line.transport.explain(&error));
    let response = line.http.execute(request).await.map_err(unreachable)?;
    let status = response.status();
    if !status.is_success() {
        let retry_after = retry_after(response.headers());
        // An error is an error, whatever its body is.
        let body = read(response, ERROR_BYTES_MAX).await.unwrap_or_default();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        return Err(CallError::of_status(status, retry_after, &body));
    }
    let body = read(response, BODY_BYTES_MAX).await?;
    if serde_json::from_slice::<Value>(&body).is_err() {
        return Err(CallError::NotJson);
    }
    Ok(http::Response::new(body).into())
}

async fn read(mut response: reqwest::Response, bytes_max: usize) -> Result<Vec<u8>, CallError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > bytes_max => return Err(CallError::TooBig),
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(error) => return Err(CallError::Unreachable(innermost(&error))),
        }
    }
}

/// The wait that the endpoint asks for, where it gives seconds; a date is as good as a long wait.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

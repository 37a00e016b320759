//! Asks a question, once, under one deadline, and has a bad answer mended once.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_openai::Client;
use async_openai::types::chat::ChatCompletionRequestMessage;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use reqwest::{StatusCode, Url};
use serde_json::Value;

use super::endpoint::{CallError, Endpoint, Line, bounded};
use super::settings::Settings;
use super::wire::{Completion, LearntDialect, question, repair, request};
use crate::diagnose::{Because, Bundle, Hypothesis, Prompt, ReplyError, parse_reply, prompt, schema};
use crate::id::Digest;
use crate::time::format_duration;
use crate::transport::{Authorization, Destination, Transport, TransportError};

/// The wait before a request is sent again after an error of the server.
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// A server that wants a longer wait is not asked again.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(2);

/// A model that can be asked. Clones share the limit on requests.
#[derive(Clone)]
pub struct Model {
    settings: Arc<Settings>,
    base: Arc<str>,
    transport: Transport,
    limiter: Arc<DefaultDirectRateLimiter>,
    dialect: Arc<LearntDialect>,
}

/// A question, ready to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Its text.
    pub prompt: Prompt,
    /// The hash of the prompt, the schema, the model and the temperature: equal questions may share an answer.
    pub key: Digest,
}

/// How asking went.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The hypotheses, the most likely first, or why there are none. An empty list is an answer.
    pub answer: Result<Vec<Hypothesis>, Because>,
    /// The text of the accepted answer, for the cache.
    pub reply_text: Option<String>,
    /// How many requests were sent.
    pub requests: u32,
    /// Tokens of the questions, as far as the endpoint counts them.
    pub prompt_tokens: u64,
    /// Tokens of the answers, likewise.
    pub completion_tokens: u64,
}

/// Settings with which no model can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlmError {
    /// The base URL is none.
    #[error(
        "llm base URL {because}; give one such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1"
    )]
    BaseUrl {
        /// What is wrong with it; never quotes it, as it may hold a password.
        because: String,
    },
    /// The way to it cannot be set up.
    #[error("llm.http.{0}")]
    Http(String),
}

/// What was spent; it outlives an answer that does not come in time.
#[derive(Default)]
struct Tally {
    requests: u32,
    prompt_tokens: u64,
    completion_tokens: u64,
    has_retried: bool,
}

impl Model {
    /// Makes a model from settings. Nothing is read from the environment, no proxy either, and no redirect is
    /// followed: what is known about an incident goes to the configured address and nowhere else.
    ///
    /// # Errors
    /// Where the base URL is no HTTP URL, or holds credentials, a query or a fragment; where the settings of `http`
    /// cannot be used.
    pub fn new(settings: &Settings) -> Result<Self, LlmError> {
        let base = base_url(&settings.base_url)?;
        let mut http = settings.http.clone();
        if let Some(key) = &settings.api_key {
            http.authorization =
                Authorization::Scheme { scheme: "Bearer".to_owned(), credentials: key.clone() };
        }
        let to = Destination { table: "llm.http", url: base.clone(), timeout: None };
        let transport = Transport::new(&http, to).map_err(|error| LlmError::Http(error.to_string()))?;
        let base = base.as_str().trim_end_matches('/');
        let per_minute = NonZeroU32::new(settings.requests_per_minute).unwrap_or(NonZeroU32::MIN);
        Ok(Self {
            settings: Arc::new(settings.clone()),
            base: base.into(),
            transport,
            limiter: Arc::new(RateLimiter::direct(Quota::per_minute(per_minute))),
            dialect: Arc::default(),
        })
    }

    /// The model's name, for the author of a diagnosis.
    pub fn name(&self) -> &str {
        &self.settings.model
    }

    /// Writes the question about a bundle.
    pub fn question(&self, bundle: &Bundle) -> Question {
        let prompt = prompt(bundle);
        let key = Digest::of(&[
            b"question",
            prompt.system.as_bytes(),
            prompt.user.as_bytes(),
            schema().to_string().as_bytes(),
            self.settings.model.as_bytes(),
            &self.settings.temperature.to_be_bytes(),
        ]);
        Question { prompt, key }
    }

    /// Reads an answer that was kept, as strictly as a fresh one.
    ///
    /// # Errors
    /// Where it does not fit the bundle.
    pub fn read_cached(&self, text: &str, bundle: &Bundle) -> Result<Vec<Hypothesis>, ReplyError> {
        parse_reply(text, bundle)
    }

    /// Asks, and comes back before the deadline whatever the other side does.
    pub async fn ask(&self, question: &Question, bundle: &Bundle) -> Outcome {
        let mut tally = Tally::default();
        let deadline = self.settings.deadline;
        let result = match tokio::time::timeout(deadline, self.converse(question, bundle, &mut tally)).await {
            Ok(result) => result,
            Err(_) => {
                let (base, span) = (&self.base, format_duration(deadline));
                Err(Because::Timeout(bounded(&format!("{base} gave no answer within {span}"))))
            }
        };
        let (answer, reply_text) = match result {
            Ok((hypotheses, text)) => (Ok(hypotheses), Some(text)),
            Err(because) => (Err(because), None),
        };
        let Tally { requests, prompt_tokens, completion_tokens, has_retried: _ } = tally;
        Outcome { answer, reply_text, requests, prompt_tokens, completion_tokens }
    }

    async fn converse(
        &self,
        asked: &Question,
        bundle: &Bundle,
        tally: &mut Tally,
    ) -> Result<(Vec<Hypothesis>, String), Because> {
        let line = self.connect().await?;
        let endpoint = line.config();
        let mut messages = question(&asked.prompt);
        let first = self.say(&line, &messages, tally).await.map_err(|error| error.because(endpoint))?;
        let first = first.into_text(endpoint, &self.settings)?;
        let error = match parse_reply(&first, bundle) {
            Ok(hypotheses) => return Ok((hypotheses, first)),
            Err(error) => error,
        };

        messages.extend(repair(&first, &error));
        let second = match self.say(&line, &messages, tally).await {
            Ok(second) => second,
            Err(limit @ CallError::OwnLimit { .. }) => {
                let text = format!("{error}; for a repair {} {limit}", self.base);
                return Err(Because::BadReply(endpoint.detail(&text)));
            }
            Err(error) => return Err(error.because(endpoint)),
        };
        let second = second.into_text(endpoint, &self.settings)?;
        match parse_reply(&second, bundle) {
            Ok(hypotheses) => Ok((hypotheses, second)),
            Err(error) => Err(Because::BadReply(endpoint.detail(&error.to_string()))),
        }
    }

    /// Reads the key anew, so that a rotated one is picked up.
    async fn connect(&self) -> Result<Client<Endpoint>, Because> {
        let ready = self.transport.ready().await.map_err(|error| {
            let text = bounded(&error.to_string());
            match error {
                TransportError::Secret(_) | TransportError::SecretText { .. } => Because::NoKey(text),
                TransportError::Settings(_) | TransportError::Client(_) | TransportError::Worker => {
                    Because::Unavailable(text)
                }
            }
        })?;
        let endpoint = Endpoint::new(&self.base, ready.headers, ready.secrets);
        let line = Line { http: ready.client.clone(), transport: self.transport.clone() };
        Ok(Client::build(ready.client, endpoint).with_http_service(line))
    }

    /// Sends messages, again where that is worth it: once a question after an error of the server, and in another
    /// dialect where the endpoint complains about the first.
    async fn say(
        &self,
        line: &Client<Endpoint>,
        messages: &[ChatCompletionRequestMessage],
        tally: &mut Tally,
    ) -> Result<Completion, CallError> {
        let mut dialect = self.dialect.get();
        let mut before: Option<CallError> = None;
        loop {
            if self.limiter.check().is_err() {
                let per_minute = self.settings.requests_per_minute;
                return Err(before.unwrap_or(CallError::OwnLimit { per_minute }));
            }
            tally.requests += 1;
            let request = request(&self.settings, dialect, messages);
            let answer: Result<Value, _> = line.chat().create_byot(request).await;
            let completion =
                answer.map_err(CallError::from).and_then(|body| Completion::read(&body, line.config()));
            let error = match completion {
                Ok(completion) => {
                    tally.prompt_tokens += completion.prompt_tokens;
                    tally.completion_tokens += completion.completion_tokens;
                    return Ok(completion);
                }
                Err(error) => error,
            };
            if let Some(next) = dialect.after(&error) {
                dialect = next;
                self.dialect.learn(dialect);
            } else if let Some(span) = worth_waiting(&error).filter(|_| !tally.has_retried) {
                tally.has_retried = true;
                pause(span).await;
            } else {
                return Err(error);
            }
            before = Some(error);
        }
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.settings.model).field("base", &self.base).finish()
    }
}

fn base_url(text: &str) -> Result<Url, LlmError> {
    let refuse = |because: &str| Err(LlmError::BaseUrl { because: because.to_owned() });
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return refuse(&format!("cannot be read: {error}")),
    };
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("is neither http nor https");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("holds credentials, which belong into the key");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("has a query or a fragment");
    }
    Ok(url)
}

/// How long to wait before the same request may succeed; `None` where it won't, or not soon.
fn worth_waiting(error: &CallError) -> Option<Duration> {
    match error {
        CallError::Status { status, retry_after, .. } if *status == StatusCode::TOO_MANY_REQUESTS => {
            retry_after.filter(|span| *span <= RETRY_AFTER_MAX)
        }
        CallError::Status { status, .. } if status.is_server_error() => Some(RETRY_PAUSE),
        CallError::Status { .. }
        | CallError::OwnLimit { .. }
        | CallError::Request(_)
        | CallError::Unreachable(_)
        | CallError::TooBig
        | CallError::NotJson
        | CallError::NoCompletion(_) => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "a retry of I/O waits in real time, whatever --speed says")]
async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

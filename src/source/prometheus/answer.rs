//! What comes back: a body within a limit, or an error that says what the backend said.

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;

use crate::source::{Asked, SourceError};
use crate::time::{Timestamp, millis};

/// As much of a refusal's body is read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// As many characters of a refusal are shown.
const REFUSAL_CHARS_MAX: usize = 512;

/// The request that an answer belongs to.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) asked: Arc<Asked>,
    pub(super) timeout: Duration,
    pub(super) bytes_max: usize,
}

/// A successful answer's body.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// The time on the backend's clock, by its `Date`.
    pub(super) served_at: Option<Timestamp>,
}

impl Exchange {
    /// Reads a successful answer's body, which must look like a JSON object.
    pub(super) async fn body(&self, response: Response) -> Result<Body, SourceError> {
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let content_type = header(&response, CONTENT_TYPE.as_str()).unwrap_or("no content type").to_owned();
        let served_at = header(&response, DATE.as_str()).and_then(date);
        let bytes = self.read(response).await?;
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Ok(Body { bytes, served_at }),
            Some(_) => {
                let content_type = shown(&content_type);
                Err(SourceError::NotJson { asked: Arc::clone(&self.asked), content_type })
            }
            None => Err(SourceError::NotJson {
                asked: Arc::clone(&self.asked),
                content_type: "nothing".to_owned(),
            }),
        }
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, SourceError> {
        let too_large =
            || SourceError::TooLarge { asked: Arc::clone(&self.asked), limit_bytes: self.bytes_max };
        let declared = usize::try_from(response.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
        if declared > self.bytes_max {
            return Err(too_large());
        }
        let mut body = Vec::with_capacity(declared);
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failure(&error))? {
            if body.len() + chunk.len() > self.bytes_max {
                return Err(too_large());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// What an unsuccessful answer says.
    async fn refusal(&self, mut response: Response) -> SourceError {
        let status = response.status();
        let retry_after = header(&response, RETRY_AFTER.as_str()).and_then(|text| text.trim().parse().ok());
        let location = header(&response, LOCATION.as_str()).map(without_query);
        let is_text =
            header(&response, CONTENT_TYPE.as_str()).is_none_or(|kind| kind.starts_with("text/plain"));
        let mut body = Vec::new();
        // A body that breaks off still has its status.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend_from_slice(&chunk);
            if body.len() >= REFUSAL_BYTES_MAX {
                break;
            }
        }
        SourceError::Status {
            asked: Arc::clone(&self.asked),
            status: status.as_u16(),
            because: match (location, refusal_text(&body, is_text)) {
                (Some(location), _) => {
                    format!("it redirects to {location}: set source.url to where that leads")
                }
                (None, Some(text)) => text,
                (None, None) => status_text(status),
            },
            retry_after: retry_after.map(Duration::from_secs),
        }
    }

    /// What a request that got no answer, or no complete one, failed on.
    pub(super) fn failure(&self, error: &reqwest::Error) -> SourceError {
        let asked = Arc::clone(&self.asked);
        if error.is_timeout() {
            return SourceError::Timeout { asked, after: self.timeout };
        }
        SourceError::Connect { asked, because: innermost(error) }
    }
}

/// The reason at the bottom of a chain of errors. The outer ones quote the URL.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    // Only the outermost error of the client carries the URL.
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_builder() => "the request cannot be built".to_owned(),
        Some(_) => "the request failed".to_owned(),
        None => shown(&error.to_string()),
    }
}

/// The API's form of an error.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: String,
}

fn refusal_text(body: &[u8], is_text: bool) -> Option<String> {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(body) {
        let text = match refusal.error_type {
            Some(error_type) => format!("{error_type}: {}", refusal.error),
            None => refusal.error,
        };
        return Some(shown(&text));
    }
    let text = shown(String::from_utf8_lossy(body).trim());
    (is_text && !text.is_empty()).then_some(text)
}

fn date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(millis(since)))
}

fn status_text(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("no reason given");
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!("{reason}: check source.basic_auth or source.bearer_token_file")
        }
        StatusCode::NOT_FOUND => format!("{reason}: check the path prefix of source.url"),
        _ => reason.to_owned(),
    }
}

fn header<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    response.headers().get(name)?.to_str().ok()
}

/// A redirect's target; what follows its path may be a token.
fn without_query(location: &str) -> String {
    let path = location.split(['?', '#']).next().unwrap_or_default();
    // A user and a password stand before the last @ of the authority.
    match path.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = authority.rsplit('@').next().unwrap_or_default();
            shown(&format!("{scheme}://{host}/{path}"))
        }
        None => shown(path),
    }
}

fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(REFUSAL_CHARS_MAX).collect()
}

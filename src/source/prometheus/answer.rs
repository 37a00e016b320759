//! What comes back: a body within a limit, or an error that says what the backend said.

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use reqwest::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;

use crate::secret::strike;
use crate::source::{Answer, Asked, DecodeError, SourceError};
use crate::time::Timestamp;
use crate::transport::Transport;

/// As much of a refusal's body is read.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// As many characters of a refusal are shown.
const REFUSAL_CHARS_MAX: usize = 512;

/// The request that an answer belongs to.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) asked: Arc<Asked>,
    pub(super) transport: Transport,
    pub(super) timeout: Duration,
    pub(super) bytes_max: usize,
}

/// A successful answer.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    /// The time on the backend's clock, by its `Date`.
    pub(super) served_at: Option<Timestamp>,
    /// The secrets that the request carried.
    pub(super) secrets: Vec<SecretString>,
}

impl Body {
    /// What the backend says of itself beside the samples, without the request's secrets.
    pub(super) fn strike(
        outcome: Result<Answer, SourceError>,
        secrets: &[SecretString],
    ) -> Result<Answer, SourceError> {
        match outcome {
            Ok(mut answer) => {
                for said in answer.warnings.iter_mut().chain(&mut answer.partial) {
                    *said = strike(said, secrets);
                }
                Ok(answer)
            }
            Err(SourceError::Decode { asked, because: DecodeError::Refused { error_type, text } }) => {
                let (error_type, text) = (strike(&error_type, secrets), strike(&text, secrets));
                Err(SourceError::Decode { asked, because: DecodeError::Refused { error_type, text } })
            }
            Err(other) => Err(other),
        }
    }
}

impl Exchange {
    /// Reads a successful answer's body, which must look like a JSON object. What is not one is told without the secrets
    /// that the request carried: a proxy may show what it was sent.
    pub(super) async fn body(
        &self,
        response: Response,
        secrets: Vec<SecretString>,
    ) -> Result<Body, SourceError> {
        if !response.status().is_success() {
            return Err(self.refusal(response, &secrets).await);
        }
        let content_type = header(&response, CONTENT_TYPE.as_str()).unwrap_or("no content type").to_owned();
        let served_at = header(&response, DATE.as_str()).and_then(date);
        let bytes = self.read(response).await?;
        match bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => Ok(Body { bytes, served_at, secrets }),
            Some(_) => {
                let content_type = shown(&strike(&content_type, &secrets));
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
    async fn refusal(&self, mut response: Response, secrets: &[SecretString]) -> SourceError {
        let status = response.status();
        let served_at = header(&response, DATE.as_str()).and_then(date);
        let retry_after = header(&response, RETRY_AFTER.as_str()).and_then(|text| pause(text, served_at));
        let location =
            header(&response, LOCATION.as_str()).map(|location| without_query(&strike(location, secrets)));
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
            because: match (location, refusal_text(&body, is_text, secrets)) {
                (Some(location), _) => {
                    format!("it redirects to {location}: set source.url to where that leads")
                }
                (None, Some(text)) => text,
                (None, None) => status_text(status),
            },
            retry_after,
        }
    }

    /// What a request that got no answer, or no complete one, failed on.
    pub(super) fn failure(&self, error: &reqwest::Error) -> SourceError {
        let asked = Arc::clone(&self.asked);
        if error.is_timeout() {
            return SourceError::Timeout { asked, after: self.timeout };
        }
        SourceError::Connect { asked, because: self.transport.explain(error) }
    }

    /// A request that could not even be built.
    pub(super) fn broken(&self) -> SourceError {
        SourceError::Connect { asked: Arc::clone(&self.asked), because: "the request failed".to_owned() }
    }
}

/// The time that a header gives, in any of HTTP's three spellings.
fn date(text: &str) -> Option<Timestamp> {
    let since = httpdate::parse_http_date(text.trim()).ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(Timestamp::from_millis(i64::try_from(since.as_millis()).ok()?))
}

/// How long `Retry-After` asks to wait: in seconds, or until a time on the clock of whoever says so.
fn pause(text: &str, served_at: Option<Timestamp>) -> Option<Duration> {
    match text.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(date(text)?.since(served_at?)),
    }
}

/// The API's form of an error.
#[derive(Deserialize)]
struct Refusal {
    #[serde(rename = "errorType")]
    error_type: Option<String>,
    error: String,
}

fn refusal_text(body: &[u8], is_text: bool, secrets: &[SecretString]) -> Option<String> {
    if let Ok(refusal) = serde_json::from_slice::<Refusal>(body) {
        let text = match refusal.error_type {
            Some(error_type) => format!("{error_type}: {}", refusal.error),
            None => refusal.error,
        };
        return Some(shown(&strike(&text, secrets)));
    }
    let text = strike(&String::from_utf8_lossy(body), secrets);
    let plain = shown(text.trim());
    if is_text && !plain.is_empty() {
        // Mimir's and Cortex' words for it.
        let has_no_tenant = plain.contains("no org id");
        return Some(if has_no_tenant { format!("{plain}: set source.http.tenant") } else { plain });
    }
    // What stands in between says in its page's title that it wants a certificate, or does not take ours.
    let title = text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>"));
    let title = title.map(|(title, _)| shown(title)).filter(|title| title.contains("SSL certificate"));
    title.map(|title| format!("{title}: check source.http.tls.cert_file"))
}

fn status_text(status: StatusCode) -> String {
    let reason = status.canonical_reason().unwrap_or("no reason given");
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            format!(
                "{reason}: check source.http.basic_auth, source.http.authorization and source.http.tenant"
            )
        }
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            format!("{reason}: check source.http.proxy_basic_auth")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(retry_after: &str, served_at: Option<&str>, seconds: Option<u64>) {
        let pause = pause(retry_after, served_at.and_then(date));
        assert_eq!(pause, seconds.map(Duration::from_secs), "{retry_after} at {served_at:?}");
    }

    #[test]
    fn a_pause_is_read_in_seconds_and_as_a_date() {
        let now = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        check("7", None, Some(7));
        check("Sun, 06 Nov 1994 08:49:40 GMT", now, Some(3));
        check("Sunday, 06-Nov-94 08:49:40 GMT", now, Some(3));
        check("Sun Nov  6 08:49:40 1994", now, Some(3));
        check("Sun, 06 Nov 1994 08:49:30 GMT", now, Some(0));
    }

    #[test]
    fn a_pause_that_cannot_be_read_is_none() {
        check("soon", Some("Sun, 06 Nov 1994 08:49:37 GMT"), None);
        check("-1", None, None);
        check("Sun, 06 Nov 1994 08:49:40 GMT", None, None);
    }
}

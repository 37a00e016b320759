//! Asks a running agent about its incidents.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use super::certificates::with_certificates;
use super::incident_args::Remote;
use super::incident_text::plain;
use crate::config;
use crate::secret::{Secret, expose};

/// Where an agent listens unless told otherwise.
const URL: &str = "http://127.0.0.1:9098";
/// For one answer, from connecting to its last byte.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of one answer, at most.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// Incidents and events a page.
const PAGE: usize = 200;
/// Events of one incident that are read, at most.
const EVENTS_MAX: usize = 5000;
/// Incidents among which a part of an id is looked for.
const SEARCHED_MAX: usize = 10_000;
/// Digits of a whole id, and the fewest by which one is looked for.
const ID_DIGITS: usize = 20;
const ID_DIGITS_LEAST: usize = 4;

/// A running agent.
pub(super) struct Agent {
    base: String,
    client: Client,
    key: Option<Secret>,
}

/// Why the agent refused, as far as one needs to know.
#[derive(Deserialize)]
struct Refusal {
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    detail: String,
}

/// An answer that may be that there is none.
enum Answer {
    Json(Value),
    NotFound(Refusal),
}

impl Agent {
    pub(super) fn new(remote: &Remote) -> anyhow::Result<Self> {
        let environment = config::environment();
        let from =
            |name: &str| environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let base = remote.url.clone().or_else(|| from("PORTENT_URL")).unwrap_or_else(|| URL.to_owned());
        let parsed =
            Url::parse(&base).with_context(|| format!("{base:?} is no URL: give --url http://HOST:PORT"))?;
        let is_plain = matches!(parsed.scheme(), "http" | "https") && parsed.username().is_empty();
        if !is_plain || parsed.password().is_some() || parsed.query().is_some() {
            bail!("give --url as http://HOST:PORT or https://HOST:PORT, without user, password and query");
        }
        let key_file = remote.key_file.clone().or_else(|| from("PORTENT_KEY_FILE").map(Into::into));
        // A redirect could carry the key elsewhere, and a proxy of the environment is not meant for this machine.
        let builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy();
        let builder =
            with_certificates(builder, remote.ca_file.as_deref(), remote.client_cert_file.as_deref())?;
        let client = builder.build().context("no HTTP client with these certificates")?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client, key: key_file.map(Secret::File) })
    }

    /// The incidents that fit the filters, the newest first, and whether there are more than `limit`.
    pub(super) async fn incidents(
        &self,
        filters: &[(&str, String)],
        limit: usize,
    ) -> anyhow::Result<(Vec<Value>, bool)> {
        self.paged("/api/v1/incidents", "incidents", filters, limit)
            .await?
            .context("the agent has no incidents")
    }

    /// An incident with its newest diagnosis, if there is one, and its events.
    pub(super) async fn incident(&self, id: &str) -> anyhow::Result<Value> {
        let id = self.whole_id(id).await?;
        let path = format!("/api/v1/incidents/{id}");
        let incident = match self.get(&path, &[]).await? {
            Answer::Json(incident) => incident,
            Answer::NotFound(refusal) => bail!("{}", plain(&refusal.detail)),
        };
        let diagnosis = match self.get(&format!("{path}/diagnosis"), &[]).await? {
            Answer::Json(diagnosis) => diagnosis,
            Answer::NotFound(_) => Value::Null,
        };
        let events = self.paged(&format!("{path}/events"), "events", &[], EVENTS_MAX).await?;
        let (events, has_more) = events.unwrap_or_default();
        Ok(json!({
            "incident": incident, "diagnosis": diagnosis, "events": events, "has_more_events": has_more,
        }))
    }

    /// Why a sample opened an anomaly, or did not.
    pub(super) async fn explanation(&self, query: &[(&str, String)]) -> anyhow::Result<Value> {
        match self.get("/api/v1/explain", query).await? {
            Answer::Json(explanation) => Ok(explanation),
            Answer::NotFound(refusal) => bail!("{}", plain(&refusal.detail)),
        }
    }

    /// The id that begins like this, where there is only one.
    async fn whole_id(&self, given: &str) -> anyhow::Result<String> {
        let id = given.to_ascii_lowercase();
        if !id.bytes().all(|byte| byte.is_ascii_hexdigit())
            || !(ID_DIGITS_LEAST..=ID_DIGITS).contains(&id.len())
        {
            bail!(
                "{given:?} is no id of an incident: give its {ID_DIGITS} hex digits, or at least the first {ID_DIGITS_LEAST}"
            );
        }
        if id.len() == ID_DIGITS {
            return Ok(id);
        }
        let (rows, has_more) = self.incidents(&[], SEARCHED_MAX).await?;
        let found = rows.iter().filter_map(|row| row["id"].as_str()).filter(|other| other.starts_with(&id));
        let found: Vec<&str> = found.collect();
        match found.as_slice() {
            [] if has_more => {
                bail!("none of the newest {SEARCHED_MAX} incidents begins with {id}: give the whole id")
            }
            found => only(found, &id),
        }
    }

    /// What all pages of a list hold under `field`, up to `limit`, and whether there is more; `None` where there is no
    /// such list.
    async fn paged(
        &self,
        path: &str,
        field: &str,
        filters: &[(&str, String)],
        limit: usize,
    ) -> anyhow::Result<Option<(Vec<Value>, bool)>> {
        let (mut rows, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut query = filters.to_vec();
            query.push(("limit", PAGE.min(limit - rows.len()).max(1).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let Answer::Json(mut page) = self.get(path, &query).await? else { return Ok(None) };
            let Some(Value::Array(items)) = page.get_mut(field).map(Value::take) else {
                bail!("{}{path} answered without {field:?}: is it a Portent agent?", self.base);
            };
            let is_empty = items.is_empty();
            rows.extend(items);
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() || is_empty || rows.len() >= limit {
                rows.truncate(limit);
                return Ok(Some((rows, cursor.is_some())));
            }
        }
    }

    async fn get(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Answer> {
        let mut request = self.client.get(format!("{}{path}", self.base)).query(query);
        if let Some(key) = &self.key {
            // Read for each request: it may have been rotated in between.
            request = request.bearer_auth(expose(&key.read().context("--key-file")?));
        }
        let mut reply = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = reply.status();
        let mut body = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_BYTES_MAX {
                bail!("{}{path} answered with more than {ANSWER_BYTES_MAX} bytes", self.base);
            }
        }
        if status.is_success() {
            let json = serde_json::from_slice(&body);
            return json.map(Answer::Json).with_context(|| {
                format!("{}{path} answered with what is no JSON: is it a Portent agent?", self.base)
            });
        }
        let refusal: Option<Refusal> = serde_json::from_slice(&body).ok();
        match refusal {
            Some(refusal)
                if status == StatusCode::NOT_FOUND
                    && refusal.kind.starts_with("urn:portent:problem:unknown-")
                    && !refusal.kind.ends_with("-path") =>
            {
                Ok(Answer::NotFound(refusal))
            }
            refusal => {
                Err(self.refused(status, &refusal.map(|refusal| plain(&refusal.detail)).unwrap_or_default()))
            }
        }
    }

    fn refused(&self, status: StatusCode, detail: &str) -> anyhow::Error {
        let base = &self.base;
        match status {
            StatusCode::UNAUTHORIZED if self.key.is_none() => {
                anyhow!("{base} wants an API key: give --key-file FILE or set PORTENT_KEY_FILE")
            }
            StatusCode::UNAUTHORIZED => anyhow!("{base} does not accept the API key: {detail}"),
            StatusCode::FORBIDDEN => anyhow!("{base} does not allow this: {detail}"),
            _ if detail.is_empty() => anyhow!("{base} answered {status}: is it a Portent agent?"),
            _ => anyhow!("{base} answered {status}: {detail}"),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> anyhow::Error {
        let mut because: &dyn std::error::Error = error;
        while let Some(source) = because.source() {
            because = source;
        }
        let because = plain(&because.to_string());
        match error.is_timeout() {
            true => anyhow!("{} did not answer within {} s", self.base, TIMEOUT.as_secs()),
            false => anyhow!(
                "{} is not reached ({because}): is the agent running there? give --url or set PORTENT_URL",
                self.base
            ),
        }
    }
}

/// The one id that was found to begin like this.
fn only(found: &[&str], start: &str) -> anyhow::Result<String> {
    match found {
        [one] => Ok((*one).to_owned()),
        [] => bail!(
            "no incident has an id that begins with {start}; `portent incident list --status all` shows all"
        ),
        several => {
            let shown: Vec<String> = several.iter().take(5).map(|id| plain(id)).collect();
            bail!("{} incidents begin with {start}: {}: give more digits", several.len(), shown.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_several_begin_like_is_not_guessed() {
        assert_eq!(only(&["abcd1"], "abcd").unwrap(), "abcd1");
        let error = only(&["abcd1", "abcd2"], "abcd").unwrap_err().to_string();
        assert_eq!(error, "2 incidents begin with abcd: abcd1, abcd2: give more digits");
        let error = only(&["abcd1"; 9], "abcd").unwrap_err().to_string();
        assert!(error.starts_with("9 incidents") && error.matches("abcd1").count() == 5, "{error}");
    }
}

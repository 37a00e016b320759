//! The parameters of a request, read once at the edge: each by name, with a refusal that says what is allowed.

use std::fmt::Display;
use std::str::FromStr;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use super::problem::{Kind, Problem};
use crate::id::IncidentId;
use crate::time::{Timestamp, parse_timestamp};

/// A value in a refusal is quoted up to here.
const QUOTED_CHARS_MAX: usize = 80;

/// The query parameters that nobody has taken yet.
#[derive(Debug, Clone)]
pub(super) struct Parameters {
    left: Vec<(String, String)>,
    known: Vec<&'static str>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let Query(left) = query.map_err(|error| Problem::new(Kind::InvalidParameter, error.to_string()))?;
        Ok(Self { left, known: Vec::new() })
    }
}

impl Parameters {
    /// Takes a parameter that stands at most once. `read` gives `None` for what is not allowed.
    pub(super) fn one<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let mut values = self.take(name);
        let (value, more) = (values.pop(), values.pop());
        match (value, more) {
            (None, _) => Ok(None),
            (Some(value), None) => read(&value).map(Some).ok_or_else(|| refusal(name, &value, allowed)),
            (Some(_), Some(_)) => {
                let detail = format!("parameter {name:?} stands more than once; allowed: {allowed}");
                Err(Problem::new(Kind::InvalidParameter, detail))
            }
        }
    }

    /// Takes a parameter that may be repeated or hold several values with commas between them.
    pub(super) fn many<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, Problem> {
        let values = self.take(name);
        let parts = values.iter().flat_map(|value| value.split(','));
        parts.map(|part| read(part.trim()).ok_or_else(|| refusal(name, part, allowed))).collect()
    }

    /// Takes a parameter that is text, and not empty.
    pub(super) fn text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.one(name, "a text that is not empty", |text| (!text.is_empty()).then(|| text.to_owned()))
    }

    /// Takes a parameter that is a time.
    pub(super) fn time(&mut self, name: &'static str) -> Result<Option<Timestamp>, Problem> {
        // A plus sign that was not encoded arrives as a space: `...T08:00:00+01:00` is tried as it was meant.
        let read = |text: &str| parse_timestamp(text).or_else(|_| parse_timestamp(&text.replace(' ', "+")));
        self.one(name, "Unix seconds or an RFC 3339 time, such as 2026-01-31T08:00:00Z", |text| {
            read(text).ok()
        })
    }

    /// Takes `limit`.
    pub(super) fn limit(&mut self, default: usize, max: usize) -> Result<usize, Problem> {
        let read = |text: &str| text.parse().ok().filter(|limit| (1..=max).contains(limit));
        Ok(self.one("limit", &format!("a whole number from 1 to {max}"), read)?.unwrap_or(default))
    }

    /// Refuses what is left: a filter with a typing error must not look like one that matches everything.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.left.first() {
            None => Ok(()),
            Some((name, _)) => {
                let allowed = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
                let detail = format!("parameter {:?} is unknown; allowed: {allowed}", clip(name));
                Err(Problem::new(Kind::InvalidParameter, detail))
            }
        }
    }

    /// The same request for the page that begins at `cursor`.
    pub(super) fn next_page(&self, path: &str, cursor: &str) -> String {
        let kept = self.left.iter().filter(|(name, _)| name != "cursor");
        let kept = kept.map(|(name, value)| (name.as_str(), value.as_str()));
        let pairs: Vec<(&str, &str)> = kept.chain([("cursor", cursor)]).collect();
        let mut link = path.to_owned();
        for (place, (name, value)) in pairs.into_iter().enumerate() {
            link.push(if place == 0 { '?' } else { '&' });
            escape(name, &mut link);
            link.push('=');
            escape(value, &mut link);
        }
        link
    }

    fn take(&mut self, name: &'static str) -> Vec<String> {
        self.known.push(name);
        let taken = self.left.extract_if(.., |(other, _)| other == name);
        taken.map(|(_, value)| value).collect()
    }
}

/// A request without query parameters.
#[derive(Debug)]
pub(super) struct NoParameters;

impl<S: Send + Sync> FromRequestParts<S> for NoParameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Parameters::from_request_parts(parts, state).await?.finish().map(|()| Self)
    }
}

/// The incident that the path names.
#[derive(Debug, Clone, Copy)]
pub(super) struct IncidentPath(pub(super) IncidentId);

impl<S: Send + Sync> FromRequestParts<S> for IncidentPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = path_text(Path::from_request_parts(parts, state).await)?;
        match IncidentId::from_str(&text) {
            Ok(id) => Ok(Self(id)),
            Err(_) => Err(refusal("id", &text, "the id of an incident: 20 hex digits in lower case")),
        }
    }
}

/// The text that the path holds.
pub(super) fn path_text(path: Result<Path<String>, PathRejection>) -> Result<String, Problem> {
    let Path(text) = path.map_err(|error| Problem::new(Kind::InvalidParameter, error.to_string()))?;
    Ok(text)
}

/// The refusal of a value: names the parameter, the value and what is allowed.
fn refusal(name: &str, value: &str, allowed: &(impl Display + ?Sized)) -> Problem {
    let detail = format!("parameter {name:?}: saw {:?}; allowed: {allowed}", clip(value));
    Problem::new(Kind::InvalidParameter, detail)
}

/// Writes a text so that it stands for itself in a query: all but unreserved characters as percent and two digits.
fn escape(text: &str, link: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => link.push(byte.into()),
            _ => link.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn clip(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

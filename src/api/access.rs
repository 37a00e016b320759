//! Who may do what: the checks that a request passes before its handler sees it.

use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::body::with_body;
use super::caller::Caller;
use super::entrance::Entrance;
use super::hosts::{Hosts, Misnamed};
use super::keyring::Keyring;
use super::metrics::{Metrics, Refusal};
use super::needs::{Need, Needs};
use super::problem::{Kind, Problem};
use super::scope::Scope;
use super::{Settings, docs};

/// A longer key than any that is made is not even hashed.
const KEY_BYTES_MAX: usize = 512;

/// What the door knows.
#[derive(Debug)]
pub(super) struct Access {
    hosts: Hosts,
    needs: Needs,
    prefix: String,
    keyring: Option<Arc<Keyring>>,
    metrics: Metrics,
}

/// Why a request is not let in, and how it may be.
#[derive(Debug)]
struct Refused {
    why: Refusal,
    problem: Problem,
    /// How to authenticate, for the header; several where there are several ways.
    challenges: Vec<String>,
}

impl Access {
    pub(super) fn new(settings: &Settings, document: &serde_json::Value, entrance: &Entrance) -> Self {
        let mut needs = Needs::of(document);
        for path in docs::PATHS {
            needs.put(path, "GET", Need::Page(Scope::Read));
        }
        Self {
            hosts: Hosts::new(settings),
            needs,
            prefix: settings.route_prefix.trim_end_matches('/').to_owned(),
            keyring: entrance.keyring.clone(),
            metrics: entrance.metrics.clone(),
        }
    }

    /// Who makes the request, if they may.
    fn admit(&self, request: &Request) -> Result<Caller, Refused> {
        let route = request.extensions().get::<MatchedPath>().map(|path| self.below_prefix(path.as_str()));
        let need = self.needs.need(request.method(), route);
        if need == Need::Nothing {
            // Probes and scrapers come by addresses that nobody has written down.
            return Ok(Caller::Anybody);
        }
        self.hosts.check(request.uri(), request.headers()).map_err(misnamed)?;
        match &self.keyring {
            None => Ok(Caller::Anybody),
            Some(keyring) => authenticated(keyring, need, request.headers()),
        }
    }

    fn below_prefix<'a>(&self, path: &'a str) -> &'a str {
        match path.strip_prefix(&self.prefix) {
            Some("") | None => "/",
            Some(below) => below,
        }
    }
}

/// Lets a request pass that may, with who makes it and with its body read.
pub(super) async fn guard(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    match access.admit(&request) {
        Ok(caller) => request.extensions_mut().insert(caller),
        Err(refused) => {
            access.metrics.count(refused.why);
            return refused.into_response();
        }
    };
    match with_body(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => {
            access.metrics.count(Refusal::Body);
            problem.into_response()
        }
    }
}

fn authenticated(keyring: &Keyring, need: Need, headers: &HeaderMap) -> Result<Caller, Refused> {
    let keys = keyring.keys().map_err(|_| {
        // The text of the error names a file: it is in the log.
        let detail = "the keys file can't be used, so that no key counts; the log of the agent says why";
        refused(Refusal::KeysUnusable, Kind::KeysUnusable, detail)
    })?;
    let Some(offered) = offered_key(headers, need) else {
        let detail = "this needs an API key: send it as `Authorization: Bearer KEY`";
        return Err(challenged(Refusal::NoKey, detail, need, "Bearer realm=\"portent\""));
    };
    let Some(entry) = keys.find(&offered) else {
        let detail = "the key is not known; it may have been revoked";
        let challenge = "Bearer realm=\"portent\", error=\"invalid_token\"";
        return Err(challenged(Refusal::UnknownKey, detail, need, challenge));
    };
    match need {
        Need::Scope(scope) | Need::Page(scope) if !entry.scopes.contains(&scope) => {
            let detail =
                format!("the key of {:?} lacks the scope {scope:?}", entry.name, scope = scope.as_str());
            let mut refused = refused(Refusal::MissingScope, Kind::MissingScope, detail);
            refused.challenges =
                vec![format!("Bearer realm=\"portent\", error=\"insufficient_scope\", scope=\"{scope}\"")];
            Err(refused)
        }
        Need::Undeclared => {
            let detail = "this operation does not say which scope it needs, which is a defect of portent";
            Err(refused(Refusal::MissingScope, Kind::MissingScope, detail))
        }
        Need::Scope(_) | Need::Page(_) | Need::AnyKey | Need::Nothing => {
            Ok(Caller::Named(Arc::clone(&entry.name)))
        }
    }
}

/// The key that a request carries. Two are none: it would be anybody's guess which one counts.
fn offered_key(headers: &HeaderMap, need: Need) -> Option<String> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (value, more) = (given.next()?, given.next());
    if more.is_some() || value.len() > 2 * KEY_BYTES_MAX {
        return None;
    }
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    let key = if scheme.eq_ignore_ascii_case("bearer") {
        rest.trim().to_owned()
    } else if scheme.eq_ignore_ascii_case("basic") && matches!(need, Need::Page(_)) {
        let pair = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
        pair.split_once(':')?.1.to_owned()
    } else {
        return None;
    };
    (1..=KEY_BYTES_MAX).contains(&key.len()).then_some(key)
}

fn misnamed(misnamed: Misnamed) -> Refused {
    match misnamed {
        Misnamed::Unclear => {
            let detail = "this request has no Host header, several, or one that is no name";
            refused(Refusal::Host, Kind::InvalidHost, detail)
        }
        Misnamed::Foreign(host) => {
            let detail = format!(
                "nobody has set {host:?} as a name of this agent; if it is one, add it to api.allowed_hosts or set \
                 api.external_url"
            );
            refused(Refusal::Host, Kind::MisdirectedRequest, detail)
        }
    }
}

fn refused(why: Refusal, kind: Kind, detail: impl Into<String>) -> Refused {
    Refused { why, problem: Problem::new(kind, detail), challenges: Vec::new() }
}

fn challenged(why: Refusal, detail: &str, need: Need, challenge: &str) -> Refused {
    let mut refused = refused(why, Kind::Unauthenticated, detail);
    refused.challenges.push(challenge.to_owned());
    if matches!(need, Need::Page(_)) {
        refused.challenges.push("Basic realm=\"portent: a key as password\", charset=\"UTF-8\"".to_owned());
    }
    refused
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.problem.into_response();
        for challenge in self.challenges {
            if let Ok(value) = HeaderValue::try_from(challenge) {
                response.headers_mut().append(header::WWW_AUTHENTICATE, value);
            }
        }
        response
    }
}

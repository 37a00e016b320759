//! What goes out beside the query: the headers that show who asks.

use std::sync::Arc;

use reqwest::Url;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use crate::secret::{Secret, expose};
use crate::source::{Asked, Auth, Mistake, Settings, SourceError};

/// The agent's name in each request.
pub(super) const USER_AGENT: &str = concat!("portent/", env!("CARGO_PKG_VERSION"));

/// Builds the one client. It follows no redirect, since that would turn a POST into a GET of a login page, and hears
/// of no proxy for a backend on the same host.
pub(super) fn http_client(settings: &Settings, base: &Url) -> Result<reqwest::Client, SourceError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .timeout(settings.timeout)
        .redirect(reqwest::redirect::Policy::none());
    if is_loopback(base) {
        builder = builder.no_proxy();
    }
    if base.scheme() == "http" {
        // Without TLS there is nothing to verify, and an image without CA certificates must do.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| {
        let because = format!("no HTTP client can be built: {}", super::answer::innermost(&error));
        SourceError::Settings(Mistake { key: "url", because })
    })
}

fn is_loopback(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Reads the secrets and gives the headers that carry them, marked so that nothing logs them. Files are read each
/// time, so that a rotated secret is picked up; this blocks.
pub(super) fn headers(
    http: &reqwest::Client,
    settings: &Settings,
    asked: &Arc<Asked>,
) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    match &settings.auth {
        Auth::None => {}
        Auth::Basic { user, password } => {
            let password = read(password, asked)?;
            headers.insert(AUTHORIZATION, basic(http, user, &password, asked)?);
        }
        Auth::Bearer { token } => {
            headers.insert(AUTHORIZATION, secret_value("authorization", "Bearer ", token, asked)?);
        }
    }
    for (name, secret) in &settings.headers {
        let value = secret_value(name, "", secret, asked)?;
        let name = HeaderName::try_from(name.as_str()).map_err(|_| secret_text(name, asked))?;
        headers.append(name, value);
    }
    Ok(headers)
}

fn secret_value(
    header: &str,
    before: &str,
    secret: &Secret,
    asked: &Arc<Asked>,
) -> Result<HeaderValue, SourceError> {
    let text = read(secret, asked)?;
    let mut value = HeaderValue::from_str(&format!("{before}{}", expose(&text)))
        .map_err(|_| secret_text(header, asked))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Has the HTTP client spell the header, which is never sent from here.
fn basic(
    http: &reqwest::Client,
    user: &str,
    password: &SecretString,
    asked: &Arc<Asked>,
) -> Result<HeaderValue, SourceError> {
    let request = http.get("http://localhost").basic_auth(user, Some(expose(password))).build();
    let value = request.ok().and_then(|mut request| request.headers_mut().remove(AUTHORIZATION));
    let mut value = value.ok_or_else(|| secret_text("authorization", asked))?;
    value.set_sensitive(true);
    Ok(value)
}

fn read(secret: &Secret, asked: &Arc<Asked>) -> Result<SecretString, SourceError> {
    secret.read().map_err(|because| SourceError::Secret { asked: Arc::clone(asked), because })
}

fn secret_text(header: &str, asked: &Arc<Asked>) -> SourceError {
    SourceError::SecretText { asked: Arc::clone(asked), header: header.to_owned() }
}

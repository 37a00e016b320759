//! The headers that show who asks.

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::SecretString;

use super::client::TransportError;
use super::settings::{Authorization, Settings, TENANT};
use crate::secret::{Secret, expose};

/// Reads the secrets and gives the headers that carry them, marked so that nothing logs them, and the secrets
/// themselves, so that they can be struck out of what the other side says. This blocks where a secret is in a file.
pub(super) fn headers(
    http: &reqwest::Client,
    settings: &Settings,
) -> Result<(HeaderMap, Vec<SecretString>), TransportError> {
    let (mut headers, mut secrets) = (HeaderMap::new(), Vec::new());
    match &settings.authorization {
        Authorization::None => {}
        Authorization::Basic { user, password } => {
            let password = password.read()?;
            let value = basic(http, user, &password)?;
            // As it is sent, nobody would know the password in it.
            let encoded = value.to_str().ok().and_then(|value| value.strip_prefix("Basic "));
            secrets.extend(encoded.map(SecretString::from));
            secrets.push(password);
            headers.insert(AUTHORIZATION, value);
        }
        Authorization::Scheme { scheme, credentials } => {
            let (value, secret) = value("authorization", &format!("{scheme} "), credentials)?;
            headers.insert(AUTHORIZATION, value);
            secrets.push(secret);
        }
    }
    if let Some(tenant) = &settings.tenant {
        let value = HeaderValue::from_str(tenant).map_err(|_| unfit(TENANT))?;
        headers.insert(HeaderName::from_static("x-scope-orgid"), value);
    }
    for (name, secret) in &settings.headers {
        let (value, secret) = value(name, "", secret)?;
        headers.append(HeaderName::try_from(name.as_str()).map_err(|_| unfit(name))?, value);
        secrets.push(secret);
    }
    Ok((headers, secrets))
}

fn value(header: &str, before: &str, secret: &Secret) -> Result<(HeaderValue, SecretString), TransportError> {
    let text = secret.read()?;
    let mut value =
        HeaderValue::from_str(&format!("{before}{}", expose(&text))).map_err(|_| unfit(header))?;
    value.set_sensitive(true);
    Ok((value, text))
}

/// Has the HTTP client spell the header, which is never sent from here.
fn basic(http: &reqwest::Client, user: &str, password: &SecretString) -> Result<HeaderValue, TransportError> {
    let request = http.get("http://localhost").basic_auth(user, Some(expose(password))).build();
    let value = request.ok().and_then(|mut request| request.headers_mut().remove(AUTHORIZATION));
    let mut value = value.ok_or_else(|| unfit("authorization"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unfit(header: &str) -> TransportError {
    TransportError::SecretText { header: header.to_owned() }
}

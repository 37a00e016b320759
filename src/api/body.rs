//! Reads the body of a request before its handler does: within a limit of bytes and of time, and only as JSON.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest as _, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse as _;

use super::problem::{Kind, Problem};

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same request with its body at hand.
///
/// # Errors
/// Where it is too large, too slow, broken off or no JSON by what it says of itself.
pub(super) async fn with_body(request: Request) -> Result<Request, Problem> {
    if request.method().is_safe() {
        return Ok(request);
    }
    let (parts, body) = request.into_parts();
    let mut whole = Request::new(body);
    // The limit of bytes lies among the extensions.
    *whole.extensions_mut() = parts.extensions.clone();
    let Ok(read) = tokio::time::timeout(PATIENCE, Bytes::from_request(whole, &())).await else {
        let detail = format!("the body did not come within {} s", PATIENCE.as_secs());
        return Err(Problem::new(Kind::BodyTooSlow, detail));
    };
    let bytes = read.map_err(|error| match error.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::BodyTooLarge, "the body is larger than any request needs")
        }
        _ => Problem::new(Kind::InvalidBody, "the body broke off"),
    })?;
    if !bytes.is_empty() && !is_json(&parts.headers) {
        let detail = "a body is read as JSON only: send it with `Content-Type: application/json`";
        return Err(Problem::new(Kind::UnsupportedMediaType, detail));
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn is_json(headers: &HeaderMap) -> bool {
    let mut given = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return false };
    let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

//! Refusals as problem documents (RFC 9457).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Why a request was refused: a kind, which fixes type, title and status, and the text for this case.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    InvalidFault,
    InvalidParameter,
    TooLarge,
    TooManyFaults,
    UnknownFault,
    ScheduledFault,
    UnknownPath,
    MethodNotAllowed,
}

impl Kind {
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::InvalidFault => ("invalid-fault", "The fault can't be read", StatusCode::BAD_REQUEST),
            Self::InvalidParameter => {
                ("invalid-parameter", "A parameter is invalid", StatusCode::BAD_REQUEST)
            }
            Self::TooLarge => ("body-too-large", "The body is too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::TooManyFaults => {
                ("too-many-faults", "Too many faults are going on", StatusCode::TOO_MANY_REQUESTS)
            }
            Self::UnknownFault => ("unknown-fault", "There is no such fault", StatusCode::NOT_FOUND),
            Self::ScheduledFault => {
                ("scheduled-fault", "A scheduled fault can't be deleted", StatusCode::CONFLICT)
            }
            Self::UnknownPath => ("unknown-path", "There is nothing here", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "This path has other methods", StatusCode::METHOD_NOT_ALLOWED)
            }
        }
    }
}

impl Problem {
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (name, title, status) = self.kind.parts();
        let document = Document {
            kind: format!("urn:portent:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
        };
        (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(document)).into_response()
    }
}

#[derive(Serialize)]
struct Document {
    #[serde(rename = "type")]
    kind: String,
    title: &'static str,
    status: u16,
    detail: String,
}

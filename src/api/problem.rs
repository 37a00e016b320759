//! Refusals as problem documents (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::error;
use utoipa::ToSchema;

use crate::runtime::Unavailable;
use crate::store::StoreError;

/// Why a request was refused: a kind, which fixes type, title and status, and the text for this case.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    kind: Kind,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidParameter,
    InvalidBody,
    BodyTooLarge,
    BodyTooSlow,
    UnsupportedMediaType,
    InvalidHost,
    MisdirectedRequest,
    Unauthenticated,
    MissingScope,
    KeysUnusable,
    UnknownPath,
    UnknownIncident,
    UnknownDiagnosis,
    UnknownSignal,
    UnknownSeries,
    AmbiguousSeries,
    SeriesAtRest,
    MethodNotAllowed,
    CrossSite,
    IncidentAtRest,
    Unavailable,
    StoreFailed,
    Panicked,
}

impl Kind {
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::InvalidParameter => {
                ("invalid-parameter", "A parameter is invalid", StatusCode::BAD_REQUEST)
            }
            Self::InvalidBody => ("invalid-body", "The body can't be read", StatusCode::BAD_REQUEST),
            Self::BodyTooLarge => ("body-too-large", "The body is too large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::BodyTooSlow => ("body-too-slow", "The body took too long", StatusCode::REQUEST_TIMEOUT),
            Self::UnsupportedMediaType => {
                ("unsupported-media-type", "The body is no JSON", StatusCode::UNSUPPORTED_MEDIA_TYPE)
            }
            Self::InvalidHost => ("invalid-host", "The host is unclear", StatusCode::BAD_REQUEST),
            Self::MisdirectedRequest => (
                "misdirected-request",
                "The agent is not known by this name",
                StatusCode::MISDIRECTED_REQUEST,
            ),
            Self::Unauthenticated => ("unauthenticated", "An API key is needed", StatusCode::UNAUTHORIZED),
            Self::MissingScope => ("missing-scope", "The API key may not do this", StatusCode::FORBIDDEN),
            Self::KeysUnusable => {
                ("keys-unusable", "The keys file can't be used", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::UnknownPath => ("unknown-path", "There is nothing here", StatusCode::NOT_FOUND),
            Self::UnknownIncident => ("unknown-incident", "There is no such incident", StatusCode::NOT_FOUND),
            Self::UnknownDiagnosis => {
                ("unknown-diagnosis", "There is no such diagnosis", StatusCode::NOT_FOUND)
            }
            Self::UnknownSignal => ("unknown-signal", "There is no such signal", StatusCode::NOT_FOUND),
            Self::UnknownSeries => ("unknown-series", "There is no such series", StatusCode::NOT_FOUND),
            Self::AmbiguousSeries => ("ambiguous-series", "Several series are meant", StatusCode::CONFLICT),
            Self::SeriesAtRest => {
                ("series-at-rest", "The series has no baseline to begin anew", StatusCode::CONFLICT)
            }
            Self::MethodNotAllowed => {
                ("method-not-allowed", "This path has other methods", StatusCode::METHOD_NOT_ALLOWED)
            }
            Self::CrossSite => ("cross-site", "Pages of other sites may not do this", StatusCode::FORBIDDEN),
            Self::IncidentAtRest => {
                ("incident-at-rest", "The incident was resolved too long ago", StatusCode::CONFLICT)
            }
            Self::Unavailable => {
                ("unavailable", "This can't be done at the moment", StatusCode::SERVICE_UNAVAILABLE)
            }
            Self::StoreFailed => {
                ("store-failed", "The store can't be read", StatusCode::INTERNAL_SERVER_ERROR)
            }
            Self::Panicked => ("defect", "The agent has a defect", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

/// Seconds after which a client may try again what was refused for lack of room.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

impl Problem {
    pub(super) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// The answer, for a request that was made for `instance`; `passage` fills it in on the way out.
    pub(super) fn respond(self, instance: Option<&str>) -> Response {
        let (name, title, status) = self.kind.parts();
        let document = ProblemDocument {
            kind: format!("urn:portent:problem:{name}"),
            title,
            status: status.as_u16(),
            detail: self.detail,
            instance: instance.map(str::to_owned),
        };
        // Text and numbers always have a JSON form; an empty body would still carry the right status.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
        if self.kind == Kind::Unavailable {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<Unavailable> for Problem {
    fn from(unavailable: Unavailable) -> Self {
        Self::new(Kind::Unavailable, unavailable.to_string())
    }
}

impl From<StoreError> for Problem {
    /// The text of the error names files and statements: it goes to the log.
    fn from(error: StoreError) -> Self {
        error!(error = %error, "answering a request failed: {error}");
        if error.is_retryable() {
            Self::new(Kind::Unavailable, "the store does not answer at the moment; try again")
        } else {
            Self::new(Kind::StoreFailed, "the store could not be read; the log of the agent says why")
        }
    }
}

impl IntoResponse for Problem {
    /// The answer without an instance, with the problem itself beside it for whoever knows the path.
    fn into_response(self) -> Response {
        let mut response = self.clone().respond(None);
        response.extensions_mut().insert(self);
        response
    }
}

/// Why a request was refused, as RFC 9457 has it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(super) struct ProblemDocument {
    /// The kind of problem: a name that never changes.
    #[serde(rename = "type")]
    #[schema(example = "urn:portent:problem:invalid-parameter")]
    kind: String,
    /// The kind of problem in words.
    title: &'static str,
    /// The status of the response.
    status: u16,
    /// What was wrong this time, and what is allowed.
    detail: String,
    /// The path that was asked for.
    #[schema(required = true)]
    instance: Option<String>,
}

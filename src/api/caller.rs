//! Who makes a request.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// Who makes a request, for whoever writes down what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// The owner of a key, by the name that the keys file gives.
    Named(Arc<str>),
    /// Anybody: no keys are set.
    Anybody,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Anybody => f.write_str("anybody"),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or(Self::Anybody))
    }
}

//! What an operator tells the running agent: `POST /-/reload`.
//!
//! It answers in plain text, as Prometheus does, for a person at a terminal and for sidecars that look at the status.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::info;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use crate::runtime::{ReloadError, Reloads};

/// A reload waits for the pipeline, which waits for its store; a client waits for so long.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct Lifecycle {
    pub(super) reloads: Reloads,
}

pub(super) fn routes() -> OpenApiRouter<Lifecycle> {
    OpenApiRouter::default().routes(routes!(reload))
}

/// Reads the config again and goes by it where it is sound; else everything stays as it was.
#[utoipa::path(
    post, path = "/-/reload", tag = "agent", operation_id = "reload", security(("key" = ["admin"])),
    responses(
        (status = 200, description = "The config is in force, with what changed.", body = String,
            content_type = "text/plain"),
        (status = 500, description = "The config is refused, with every mistake; the one before stays in force.",
            body = String, content_type = "text/plain"),
        (status = 503, description = "The agent is stopping, or has too much to do; the status says how it ended.",
            body = String, content_type = "text/plain"),
    )
)]
async fn reload(State(lifecycle): State<Lifecycle>, caller: Caller) -> Response {
    info!(caller = %caller, "{caller} asked for a reload of the config");
    match tokio::time::timeout(PATIENCE, lifecycle.reloads.reload()).await {
        Ok(Ok(changed)) => text(StatusCode::OK, &changed),
        Ok(Err(error @ ReloadError::Refused(_))) => {
            text(StatusCode::INTERNAL_SERVER_ERROR, &format!("failed to reload config: {error}"))
        }
        Ok(Err(error @ (ReloadError::Busy | ReloadError::Stopping))) => {
            text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string())
        }
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            let waits =
                format!("the reload has not ended within {seconds}s; /api/v1/status will say how it did");
            text(StatusCode::SERVICE_UNAVAILABLE, &waits)
        }
    }
}

fn text(status: StatusCode, says: &str) -> Response {
    let retry = (status == StatusCode::SERVICE_UNAVAILABLE).then_some([(header::RETRY_AFTER, "1")]);
    (status, retry, format!("{}\n", says.trim_end())).into_response()
}

//! What orchestrators and Prometheus ask: whether the process lives, whether it is ready, and its metrics. Parameters
//! are ignored here: a probe may carry some to get past a cache.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::runtime::Handle;
use crate::telemetry::CONTENT_TYPE;

/// Writes the agent's own metrics in the text format of OpenMetrics 1.0.
pub type EncodeMetrics = Arc<dyn Fn() -> String + Send + Sync>;

#[derive(Clone)]
pub(super) struct Probes {
    pub(super) pipeline: Handle,
    pub(super) metrics: EncodeMetrics,
}

pub(super) fn routes() -> OpenApiRouter<Probes> {
    OpenApiRouter::default().routes(routes!(healthy)).routes(routes!(ready)).routes(routes!(metrics))
}

/// Says that the process lives and answers.
#[utoipa::path(
    get, path = "/-/healthy", tag = "agent", operation_id = "healthy",
    security(()),
    responses(
        (status = 200, description = "It lives.", body = String, content_type = "text/plain"),
    )
)]
async fn healthy() -> &'static str {
    "Portent is healthy.\n"
}

/// Says whether every signal has read its history and the store takes what is written.
#[utoipa::path(
    get, path = "/-/ready", tag = "agent", operation_id = "ready",
    security(()),
    responses(
        (status = 200, description = "It is ready.", body = String, content_type = "text/plain"),
        (status = 503, description = "It is not ready, with the reason.", body = String,
            content_type = "text/plain"),
    )
)]
async fn ready(State(probes): State<Probes>) -> Response {
    let status = probes.pipeline.status();
    match &status.not_ready_because {
        None if status.is_ready => "Portent is ready.\n".into_response(),
        because => {
            let because = because.as_deref().unwrap_or("it has just started");
            (StatusCode::SERVICE_UNAVAILABLE, format!("Portent is not ready: {because}\n")).into_response()
        }
    }
}

/// Shows the agent's own metrics.
#[utoipa::path(
    get, path = "/metrics", tag = "agent", operation_id = "metrics",
    security(()),
    responses(
        (status = 200, description = "The metrics as OpenMetrics text.", body = String,
            content_type = "application/openmetrics-text"),
    )
)]
async fn metrics(State(probes): State<Probes>) -> Response {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], (probes.metrics)()).into_response()
}

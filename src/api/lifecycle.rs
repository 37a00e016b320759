//! What an operator tells the running agent: `POST /-/reload`.
//!
//! It answers in plain text, as Prometheus does, for a person at a terminal and for sidecars that look at the status.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::info;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::foreseen_view::ForeseenView;
use super::parameters::Parameters;
use super::problem::{Problem, ProblemDocument};
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

/// How a reload is meant.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ReloadQuery {
    /// With true, says what a reload would change and changes nothing.
    #[param(default = false)]
    dry_run: Option<bool>,
}

/// Reads the config again and goes by it where it is sound; else everything stays as it was.
#[utoipa::path(
    post, path = "/-/reload", tag = "agent", operation_id = "reload", security(("key" = ["admin"])),
    params(ReloadQuery),
    responses(
        (status = 200, description = "The config is in force, with what changed; on a dry run what would change, and why \
            it would be refused where it would be.",
            content((String = "text/plain"), (ForeseenView = "application/json"))),
        (status = 400, description = "The parameter is invalid, and nothing is reloaded.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 500, description = "The config is refused, with every mistake; the one before stays in force.",
            body = String, content_type = "text/plain"),
        (status = 503, description = "The agent is stopping, or has too much to do; the status says how it ended.",
            body = String, content_type = "text/plain"),
    )
)]
async fn reload(
    State(lifecycle): State<Lifecycle>,
    caller: Caller,
    mut parameters: Parameters,
) -> Result<Response, Problem> {
    let read = |text: &str| text.parse().ok();
    let dry_run = parameters.one("dry_run", "true, false", read)?;
    let ReloadQuery { dry_run } = ReloadQuery { dry_run };
    // What is misspelt must not reload.
    parameters.finish()?;
    if dry_run == Some(true) {
        return Ok(foresee(&lifecycle).await);
    }
    info!(caller = %caller, "{caller} asked for a reload of the config");
    Ok(match tokio::time::timeout(PATIENCE, lifecycle.reloads.reload()).await {
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
    })
}

async fn foresee(lifecycle: &Lifecycle) -> Response {
    match tokio::time::timeout(PATIENCE, lifecycle.reloads.foresee()).await {
        Ok(Ok(foreseen)) => Json(ForeseenView::from(foreseen)).into_response(),
        Ok(Err(error)) => text(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
        Err(_) => {
            let waits = format!("the config was not read within {}s; try again", PATIENCE.as_secs());
            text(StatusCode::SERVICE_UNAVAILABLE, &waits)
        }
    }
}

fn text(status: StatusCode, says: &str) -> Response {
    let retry = (status == StatusCode::SERVICE_UNAVAILABLE).then_some([(header::RETRY_AFTER, "1")]);
    (status, retry, format!("{}\n", says.trim_end())).into_response()
}

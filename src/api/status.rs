//! How the agent stands: `GET /api/v1/status`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tracing::warn;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::parameters::NoParameters;
use super::problem::ProblemDocument;
use super::signal_view::SignalInfo;
use super::status_view::{LogView, SignalStatusView, StatusView};
use crate::runtime::Handle;
use crate::store::Store;

#[derive(Clone)]
pub(super) struct Agent {
    pub(super) store: Store,
    pub(super) pipeline: Handle,
    pub(super) signals: Arc<[SignalInfo]>,
    pub(super) version: Arc<str>,
    pub(super) config_hash: Arc<str>,
    pub(super) external_url: Option<Arc<str>>,
}

pub(super) fn routes() -> OpenApiRouter<Agent> {
    OpenApiRouter::default().routes(routes!(get_status))
}

/// Shows how the agent stands. It answers although the store fails: this is where one looks then.
#[utoipa::path(
    get, path = "/api/v1/status", tag = "agent", operation_id = "getStatus",
    responses(
        (status = 200, description = "How it stands.", body = StatusView),
        (status = 400, description = "A parameter is unknown.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn get_status(State(agent): State<Agent>, _: NoParameters) -> Json<StatusView> {
    let log = match agent.store.counts().await {
        Ok(counts) => Some(LogView::from(&counts)),
        Err(error) => {
            warn!(error = %error, "the status lacks what the store holds: {error}");
            None
        }
    };
    let status = agent.pipeline.status();
    let signal = |info: &SignalInfo| {
        SignalStatusView::new(info, status.signals.iter().find(|status| status.name == info.name))
    };
    Json(StatusView {
        version: agent.version.to_string(),
        config_hash: agent.config_hash.to_string(),
        external_url: agent.external_url.as_deref().map(str::to_owned),
        started_at: status.started_at.to_string(),
        at: status.at.to_string(),
        is_ready: status.is_ready,
        not_ready_because: status.not_ready_because.clone(),
        source: status.source.into(),
        signals: agent.signals.iter().map(signal).collect(),
        open_incidents: (&status.open_incidents).into(),
        model: (&status.model).into(),
        log,
    })
}

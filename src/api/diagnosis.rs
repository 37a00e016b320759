//! Why an incident happened: `GET /api/v1/incidents/{id}/diagnosis`, `POST /api/v1/incidents/{id}/analyze`.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::info;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::diagnosis_view::DiagnosisView;
use super::incidents::unknown;
use super::links::Links;
use super::parameters::{IncidentPath, NoParameters, Parameters};
use super::patience::within_patience;
use super::problem::{Kind, Problem, ProblemDocument};
use crate::engine::{Command, Reply};
use crate::runtime::Handle;
use crate::store::Store;

#[derive(Clone)]
pub(super) struct Diagnoses {
    pub(super) store: Store,
    pub(super) pipeline: Handle,
    pub(super) links: Links,
}

pub(super) fn routes() -> OpenApiRouter<Diagnoses> {
    OpenApiRouter::default().routes(routes!(get_diagnosis)).routes(routes!(analyze))
}

/// Which diagnosis is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct DiagnosisQuery {
    /// The revision, from 1; the newest one where it is not given.
    #[param(minimum = 1)]
    revision: Option<u32>,
}

/// Shows a diagnosis of an incident: the newest, or that of a revision.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/diagnosis", tag = "incidents", operation_id = "getDiagnosis",
    security(("key" = ["read"])),
    params(("id" = String, Path, description = "The id of the incident: 20 hex digits."), DiagnosisQuery),
    responses(
        (status = 200, description = "The diagnosis.", body = DiagnosisView),
        (status = 400, description = "The id or a parameter is invalid.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such incident, or no such diagnosis of it.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = "5XX", description = "The store can't be read.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn get_diagnosis(
    State(state): State<Diagnoses>,
    IncidentPath(id): IncidentPath,
    mut parameters: Parameters,
) -> Result<Json<DiagnosisView>, Problem> {
    let number = |text: &str| text.parse().ok().filter(|revision| *revision > 0);
    let revision = parameters.one("revision", "a whole number from 1", number)?;
    let DiagnosisQuery { revision } = DiagnosisQuery { revision };
    parameters.finish()?;
    if let Some(diagnosis) = state.store.diagnosis(id, revision).await? {
        return Ok(Json((&diagnosis).into()));
    }
    let incident = state.store.incident(id).await?.ok_or_else(|| unknown(id))?;
    let detail = match (revision, incident.revisions) {
        (_, 0) => format!("incident {id} has no diagnosis yet"),
        (Some(revision), newest) => {
            format!(
                "incident {id} has no diagnosis of revision {revision}; the newest that was asked for is {newest}"
            )
        }
        (None, newest) => format!("the first diagnosis of incident {id} is being made, as revision {newest}"),
    };
    Err(Problem::new(Kind::UnknownDiagnosis, detail))
}

/// A diagnosis that was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = Analysis)]
struct AnalysisView {
    /// The incident.
    incident: String,
    /// The revision that heuristics answer under at once. Where a model is asked, its answer is a later one.
    revision: u32,
    /// Where that diagnosis is.
    diagnosis: String,
}

/// Asks for a new diagnosis of an incident that is open or was resolved lately.
#[utoipa::path(
    post, path = "/api/v1/incidents/{id}/analyze", tag = "incidents", operation_id = "analyze",
    security(("key" = ["operate"])),
    params(("id" = String, Path, description = "The id of the incident: 20 hex digits.")),
    responses(
        (status = 202, description = "A diagnosis is being made.", body = AnalysisView,
            headers(("Location" = String, description = "The diagnosis by its revision."))),
        (status = 400, description = "The id is invalid, or there is a body.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such incident.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "The incident was resolved too long ago.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 408, description = "The body took too long.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is no JSON by its Content-Type.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The pipeline does not take it, or the store can't be read.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn analyze(
    State(state): State<Diagnoses>,
    IncidentPath(id): IncidentPath,
    _: NoParameters,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    no_body(body)?;
    match within_patience(state.pipeline.command(Command::Analyze { incident: id })).await? {
        Reply::Analyzing { revision } => {
            info!(incident.id = %id, caller = %caller, "{caller} asked for a new diagnosis of {id}");
            let path = format!("/api/v1/incidents/{id}/diagnosis?revision={revision}");
            let diagnosis = state.links.to(&path);
            let location = [(header::LOCATION, diagnosis.clone())];
            let view = AnalysisView { incident: id.to_string(), revision, diagnosis };
            Ok((StatusCode::ACCEPTED, location, Json(view)).into_response())
        }
        Reply::UnknownIncident if state.store.incident(id).await?.is_some() => {
            let detail = format!(
                "incident {id} was resolved too long ago: what a diagnosis is made from is no longer at hand"
            );
            Err(Problem::new(Kind::IncidentAtRest, detail))
        }
        Reply::UnknownIncident | Reply::Rebase(_) => Err(unknown(id)),
    }
}

/// What nobody reads is refused, so that a wish in it is not taken for granted.
fn no_body(body: Result<Bytes, BytesRejection>) -> Result<(), Problem> {
    let body = body.map_err(|error| match error.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::BodyTooLarge, "the body is larger than any request needs")
        }
        _ => Problem::new(Kind::InvalidBody, "the body broke off"),
    })?;
    match body.trim_ascii() {
        b"" | b"{}" => Ok(()),
        _ => Err(Problem::new(Kind::InvalidBody, "this request takes no body, or an empty JSON object")),
    }
}

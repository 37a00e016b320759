//! Incidents: `GET /api/v1/incidents`, `GET /api/v1/incidents/{id}`.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::incident_view::{IncidentSummaryView, IncidentView};
use super::links::Links;
use super::parameters::{IncidentPath, NoParameters, Parameters};
use super::problem::{Kind, Problem, ProblemDocument};
use super::vocabulary;
use crate::id::IncidentId;
use crate::incident::{Severity, Source, Subject};
use crate::series::Service;
use crate::store::{Cursor, IncidentFilter, Page, Status, Store};
use crate::time::Timestamp;

const PATH: &str = "/api/v1/incidents";
const PAGE_DEFAULT: usize = 50;
const PAGE_MAX: usize = 200;

#[derive(Clone)]
pub(super) struct Incidents {
    pub(super) store: Store,
    pub(super) links: Links,
}

pub(super) fn routes() -> OpenApiRouter<Incidents> {
    OpenApiRouter::default().routes(routes!(list_incidents)).routes(routes!(get_incident))
}

#[derive(Serialize, ToSchema)]
#[schema(as = IncidentPage)]
struct IncidentPageView {
    /// The newest first.
    incidents: Vec<IncidentSummaryView>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Which incidents are wanted, and which part of the list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct IncidentQuery {
    /// Only those in this state: `open` is every one but `resolved`.
    #[param(value_type = Option<vocabulary::StatusFilter>, inline)]
    status: Option<Status>,
    /// Only those of these severities; repeated, or with commas between them.
    #[param(value_type = Vec<vocabulary::Severity>, inline, required = false)]
    severity: Vec<Severity>,
    /// Only those of this service.
    #[param(value_type = Option<String>)]
    service: Option<Service>,
    /// Only those about this kind of subject.
    #[param(value_type = Option<vocabulary::Subject>, inline)]
    subject: Option<&'static str>,
    /// Only those that came from here.
    #[param(value_type = Option<vocabulary::Source>, inline)]
    source: Option<Source>,
    /// Only those that were opened at this time or later: RFC 3339 or Unix seconds.
    #[param(value_type = Option<String>, example = "2026-01-31T08:00:00Z")]
    since: Option<Timestamp>,
    /// Only those that were opened before this time: RFC 3339 or Unix seconds.
    #[param(value_type = Option<String>, example = "1769846400")]
    until: Option<Timestamp>,
    /// At most so many incidents.
    #[param(minimum = 1, maximum = 200, default = 50, required = false)]
    limit: usize,
    /// Where the page before ended: its `next_cursor`. It stays good whatever is opened meanwhile.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor>,
}

impl IncidentQuery {
    fn read(mut parameters: Parameters) -> Result<Self, Problem> {
        let severity = |text: &str| Severity::ALL.into_iter().find(|severity| severity.as_str() == text);
        let source = |text: &str| Source::ALL.into_iter().find(|source| source.as_str() == text);
        let sources = Source::ALL.map(Source::as_str).join(", ");
        let query = Self {
            status: parameters
                .one("status", "open, detected, analyzing, diagnosed, resolved", |text| text.parse().ok())?,
            severity: parameters.many("severity", "P0, P1, P2, P3", severity)?,
            service: parameters.text("service")?.map(|name| Service::new(&name)),
            subject: parameters.one("subject", &Subject::KINDS.join(", "), |text| {
                Subject::KINDS.into_iter().find(|kind| *kind == text)
            })?,
            source: parameters.one("source", &sources, source)?,
            since: parameters.time("since")?,
            until: parameters.time("until")?,
            limit: parameters.limit(PAGE_DEFAULT, PAGE_MAX)?,
            cursor: parameters
                .one("cursor", "the next_cursor of the page before", |text| text.parse().ok())?,
        };
        parameters.finish()?;
        Ok(query)
    }

    fn filter(&self) -> IncidentFilter {
        IncidentFilter {
            status: self.status,
            // Each once, however often it was repeated.
            severities: self.severity.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(),
            service: self.service.clone(),
            subject: self.subject,
            source: self.source,
            since: self.since,
            until: self.until,
        }
    }
}

/// Lists incidents, the newest first.
#[utoipa::path(
    get, path = "/api/v1/incidents", tag = "incidents", operation_id = "listIncidents",
    params(IncidentQuery),
    responses(
        (status = 200, description = "A page of incidents.", body = IncidentPageView,
            headers(("Link" = String, description = "The next page, with `rel=\"next\"`, where there is one."))),
        (status = 400, description = "A parameter is invalid.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The store can't be read.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn list_incidents(State(state): State<Incidents>, parameters: Parameters) -> Result<Response, Problem> {
    let asked = parameters.clone();
    let query = IncidentQuery::read(parameters)?;
    let page = Page { limit: u32::try_from(query.limit).unwrap_or(u32::MAX), after: query.cursor };
    let (rows, next) = state.store.incidents(&query.filter(), page).await?;
    let next_cursor = next.map(|cursor| cursor.to_string());
    let link = next_cursor.as_ref().map(|cursor| asked.next_page(&state.links.to(PATH), cursor));
    let view = IncidentPageView { incidents: rows.iter().map(Into::into).collect(), next_cursor };
    Ok(with_next(link, Json(view).into_response()))
}

/// Adds the link to the next page, where there is one.
pub(super) fn with_next(link: Option<String>, mut response: Response) -> Response {
    let value = link.and_then(|link| HeaderValue::try_from(format!("<{link}>; rel=\"next\"")).ok());
    if let Some(value) = value {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

/// Shows an incident in full.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}", tag = "incidents", operation_id = "getIncident",
    params(("id" = String, Path, description = "The id of the incident: 20 hex digits.")),
    responses(
        (status = 200, description = "The incident.", body = IncidentView),
        (status = 400, description = "The id or a parameter is invalid.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such incident.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The store can't be read.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn get_incident(
    State(state): State<Incidents>,
    IncidentPath(id): IncidentPath,
    _: NoParameters,
) -> Result<Json<IncidentView>, Problem> {
    let incident = state.store.incident(id).await?.ok_or_else(|| unknown(id))?;
    let newest = state.store.diagnosis(id, None).await?;
    Ok(Json(IncidentView::new(&incident, newest.as_ref())))
}

/// The refusal of an id that no incident has.
pub(super) fn unknown(id: IncidentId) -> Problem {
    Problem::new(Kind::UnknownIncident, format!("no incident has the id {id}"))
}

//! The timeline of an incident: `GET /api/v1/incidents/{id}/events`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::incidents::{Incidents, unknown, with_next};
use super::parameters::{IncidentPath, Parameters};
use super::problem::{Kind, Problem, ProblemDocument};
use crate::engine::Stream;
use crate::store::StoredEvent;

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 500;

pub(super) fn routes() -> OpenApiRouter<Incidents> {
    OpenApiRouter::default().routes(routes!(list_events))
}

#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
struct EventPageView {
    /// The oldest first.
    events: Vec<EventView>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// An event as it stands in the log.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
struct EventView {
    /// Its place in the whole log, from 1.
    seq: i64,
    /// Its place among the events of the incident, from 1. It is the `cursor` for what comes after it.
    stream_seq: i64,
    /// What happened.
    #[serde(rename = "type")]
    #[schema(example = "incident.opened")]
    kind: String,
    /// The version of the body's form.
    v: u32,
    /// When it was decided.
    #[schema(format = DateTime)]
    at: String,
    /// The body, byte for byte as it was hashed.
    #[schema(value_type = Object)]
    body: Box<RawValue>,
    /// The SHA-256 that chains it to the event before it.
    hash: String,
}

impl TryFrom<StoredEvent> for EventView {
    type Error = Problem;

    fn try_from(event: StoredEvent) -> Result<Self, Problem> {
        let StoredEvent { seq, stream: _, stream_seq, at, kind, version, body, hash } = event;
        let body = RawValue::from_string(body).map_err(|error| {
            Problem::new(Kind::StoreFailed, format!("event {seq} has a body that is no JSON: {error}"))
        })?;
        Ok(Self { seq, stream_seq, kind, v: version, at: at.to_string(), body, hash: hash.to_string() })
    }
}

/// Which part of the timeline is wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct EventQuery {
    /// At most so many events.
    #[param(minimum = 1, maximum = 500, default = 100, required = false)]
    limit: usize,
    /// Where the page before ended: its `next_cursor`, or the `stream_seq` of the last event that was seen.
    #[param(value_type = Option<String>)]
    cursor: Option<i64>,
}

impl EventQuery {
    fn read(mut parameters: Parameters) -> Result<Self, Problem> {
        let place = |text: &str| text.parse().ok().filter(|place| *place >= 0);
        let query = Self {
            limit: parameters.limit(PAGE_DEFAULT, PAGE_MAX)?,
            cursor: parameters.one("cursor", "the next_cursor of the page before, or a stream_seq", place)?,
        };
        parameters.finish()?;
        Ok(query)
    }
}

/// Shows what happened to an incident, the oldest first.
#[utoipa::path(
    get, path = "/api/v1/incidents/{id}/events", tag = "incidents", operation_id = "listEvents",
    security(("key" = ["read"])),
    params(("id" = String, Path, description = "The id of the incident: 20 hex digits."), EventQuery),
    responses(
        (status = 200, description = "A page of events.", body = EventPageView,
            headers(("Link" = String, description = "The next page, with `rel=\"next\"`, where there is one."))),
        (status = 400, description = "The id or a parameter is invalid.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such incident.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The store can't be read.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn list_events(
    State(state): State<Incidents>,
    IncidentPath(id): IncidentPath,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let asked = parameters.clone();
    let query = EventQuery::read(parameters)?;
    let (stream, after) = (Stream::Incident(id), query.cursor.unwrap_or(0));
    // One more than asked for tells whether there is a next page.
    let limit = u32::try_from(query.limit + 1).unwrap_or(u32::MAX);
    let mut stored = state.store.events(stream, after, limit).await?;
    if stored.is_empty() && state.store.events(stream, 0, 1).await?.is_empty() {
        return Err(unknown(id));
    }
    let has_more = stored.len() > query.limit;
    stored.truncate(query.limit);
    let end = stored.last().map(|event| event.stream_seq.to_string());
    let next_cursor = end.filter(|_| has_more);
    let path = state.links.to(&format!("/api/v1/incidents/{id}/events"));
    let link = next_cursor.as_ref().map(|cursor| asked.next_page(&path, cursor));
    let events = stored.into_iter().map(EventView::try_from).collect::<Result<_, _>>()?;
    Ok(with_next(link, Json(EventPageView { events, next_cursor }).into_response()))
}

//! What an operator knows about a series: `POST /api/v1/series/rebase`.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::caller::Caller;
use super::in_force::in_force;
use super::member_view::SeriesNameView;
use super::parameters::NoParameters;
use super::patience::within_patience;
use super::problem::{Kind, Problem, ProblemDocument};
use super::signals::{Signals, named};
use crate::detect::NotRebased;
use crate::engine::{Command, Rebase, Rebasing, Reply, SeriesRebased};
use crate::series::{Labels, SeriesKey, Service};
use crate::time::Timestamp;

/// A comment has at most so many characters.
const COMMENT_CHARS_MAX: usize = 1000;

pub(super) fn routes() -> OpenApiRouter<Signals> {
    OpenApiRouter::default().routes(routes!(rebase_series))
}

/// Which baseline is to begin anew, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct RebaseRequest {
    /// The signal of the series.
    #[schema(example = "latency_p95")]
    signal: String,
    /// Its service.
    #[schema(example = "checkout")]
    service: String,
    /// Labels that the series has. Needed where signal and service do not tell it from others.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Why: it stands in the log of events beside who wanted it. 1 to 1000 characters.
    #[schema(min_length = 1, max_length = 1000, example = "moved to larger nodes on purpose")]
    comment: String,
}

/// A baseline that begins anew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Rebase)]
struct RebaseView {
    /// Which series.
    series: SeriesNameView,
    /// The first sample that the new baseline is made of.
    #[schema(format = DateTime)]
    since_at: String,
    /// The last one: what comes later is judged by the new baseline.
    #[schema(format = DateTime)]
    at: String,
    /// The expected value before.
    from: f64,
    /// The mean of those samples.
    to: f64,
    /// How many of them there are.
    points: usize,
    /// How many it takes: with fewer, the baseline warms up and the series is not judged until they are there.
    needed: usize,
    /// Since when it was anomalous, which has ended by this; null where it was not.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    anomalous_since_at: Option<String>,
    /// Who wanted it, as it was written down.
    by: String,
}

/// Begins the baseline of a series anew from its recent samples: what it does is normal now, and its anomaly is over.
#[utoipa::path(
    post, path = "/api/v1/series/rebase", tag = "signals", operation_id = "rebaseSeries",
    security(("key" = ["operate"])),
    request_body = RebaseRequest,
    responses(
        (status = 200, description = "The baseline begins anew, and that is written down.", body = RebaseView),
        (status = 400, description = "The body is not what it must be.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such signal, or no such series of it.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 409, description = "Several series are meant, or the series has no baseline to begin anew: it \
            warms up, is lost, or has only samples that look back over a gap.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 408, description = "The body took too long.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 413, description = "The body is too large.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 415, description = "The body is no JSON by its Content-Type.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = "5XX", description = "The pipeline does not take it, or the signal's history is still being read.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn rebase_series(
    State(state): State<Signals>,
    _: NoParameters,
    caller: Caller,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<RebaseView>, Problem> {
    let request = read(body)?;
    let config = in_force(&state.config);
    let signal = named(&config, &request.signal)?.name.clone();
    let wanted = Rebase {
        signal,
        service: Service::new(&request.service),
        labels: Labels::new(request.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        by: caller.to_string(),
        comment: request.comment.trim().to_owned(),
    };
    let reply = within_patience(state.pipeline.command(Command::Rebase(wanted))).await?;
    let Reply::Rebase(rebasing) = reply else {
        return Err(Problem::new(Kind::Unavailable, "the pipeline gave no answer; try again"));
    };
    match rebasing {
        Rebasing::Done { event, points, needed, ended } => Ok(Json(view(&event, (points, needed), ended))),
        Rebasing::Refused(because) => Err(refusal(&request, because)),
        Rebasing::Ambiguous(keys) => Err(ambiguous(&request, &keys)),
        Rebasing::HistoryUnread => {
            let detail = format!("the history of signal {:?} is still being read; try again", request.signal);
            Err(Problem::new(Kind::Unavailable, detail))
        }
    }
}

/// Reads and checks the body.
fn read(body: Result<Bytes, BytesRejection>) -> Result<RebaseRequest, Problem> {
    let body = body.map_err(|error| match error.into_response().status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(Kind::BodyTooLarge, "the body is larger than any request needs")
        }
        _ => Problem::new(Kind::InvalidBody, "the body broke off"),
    })?;
    let invalid = |detail: String| Problem::new(Kind::InvalidBody, detail);
    let request: RebaseRequest = serde_json::from_slice(&body).map_err(|error| {
        invalid(format!(
            "{error}; it takes an object with signal, service and comment, and labels where these do not tell the series"
        ))
    })?;
    if request.comment.trim().is_empty() {
        return Err(invalid("comment is empty: say why what the series does is normal".to_owned()));
    }
    let length = request.comment.trim().chars().count();
    if length > COMMENT_CHARS_MAX {
        return Err(invalid(format!("comment has {length} characters; allowed: 1 to {COMMENT_CHARS_MAX}")));
    }
    Ok(request)
}

fn view(event: &SeriesRebased, (points, needed): (usize, usize), ended: Option<Timestamp>) -> RebaseView {
    RebaseView {
        series: event.key.as_ref().into(),
        since_at: event.since.to_string(),
        at: event.at.to_string(),
        from: event.from,
        to: event.to,
        points,
        needed,
        anomalous_since_at: ended.map(|onset| onset.to_string()),
        by: event.by.clone(),
    }
}

fn refusal(request: &RebaseRequest, because: NotRebased) -> Problem {
    let series = shown(request);
    match because {
        NotRebased::Unknown => {
            let signal = &request.signal;
            let detail =
                format!("{series} is not known; GET /api/v1/signals/{signal} lists the series of the signal");
            Problem::new(Kind::UnknownSeries, detail)
        }
        NotRebased::Lost => {
            let detail =
                format!("{series} is lost, so there is nothing to begin from: wait until it has samples");
            Problem::new(Kind::SeriesAtRest, detail)
        }
        NotRebased::Warming { points, needed } => {
            let detail = format!(
                "the baseline of {series} is new as it is: it has {points} of {needed} samples, and is not judged \
                 before it has them all"
            );
            Problem::new(Kind::SeriesAtRest, detail)
        }
        NotRebased::Unsettled => {
            let detail = format!(
                "the last samples of {series} look back over a gap and say nothing about its level: try again when \
                 one is judged"
            );
            Problem::new(Kind::SeriesAtRest, detail)
        }
    }
}

fn ambiguous(request: &RebaseRequest, keys: &[std::sync::Arc<SeriesKey>]) -> Problem {
    let labels: Vec<String> = keys.iter().map(|key| key.labels.to_string()).collect();
    let detail = format!(
        "{} are several series: give labels that only one of them has, such as one of {}",
        shown(request),
        labels.join(", ")
    );
    Problem::new(Kind::AmbiguousSeries, detail)
}

/// How the request names the series, clipped.
fn shown(request: &RebaseRequest) -> String {
    let clip = |text: &str| text.chars().take(80).collect::<String>();
    let labels = Labels::new(request.labels.iter().map(|(name, value)| (clip(name), clip(value))));
    let labels = if request.labels.is_empty() { String::new() } else { clip(&labels.to_string()) };
    format!("series {}/{}{labels}", clip(&request.service), request.signal)
}

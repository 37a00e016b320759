//! Why a series opened an anomaly at some time, or did not: `GET /api/v1/explain`.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tokio::sync::Semaphore;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::CurrentConfig;
use super::gates_view::GatesView;
use super::in_force::in_force;
use super::member_view::SeriesNameView;
use super::parameters::Parameters;
use super::problem::{Kind, Problem, ProblemDocument};
use super::signals::named;
use crate::id::Fingerprint;
use crate::incident::{Member, MemberState};
use crate::runtime::{Explained, Handle, NotExplained, Question, SeriesExplained};
use crate::series::{SeriesKey, Service};
use crate::store::{IncidentFilter, Page, Store};
use crate::time::Timestamp;

/// So many answers are worked out at once; whoever comes then is told to try again.
const AT_ONCE: usize = 2;
/// An answer that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(25);
/// An incident that was opened so long before is not looked at.
const INCIDENT_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// So many incidents of the service are looked at, those opened last.
const INCIDENTS_MAX: u32 = 20;
/// An incident may be opened so long after the sample that began it: what is caught up is judged late.
const OPENED_WITHIN: Duration = Duration::from_secs(24 * 3600);

/// What the answer can't know, whatever is asked.
const NOTES: [&str; 3] = [
    "it is judged anew from the samples that the backend holds now, by the config that is in force now",
    "the boundary is that of as many samples a day as all series have now: how many there were then is not kept",
    "whether history was still being read then, baselines that were begun anew by a person, and incidents that the \
     anomaly joined are no gates: the incident says the last",
];

/// Who answers.
#[derive(Clone)]
pub(super) struct Explaining {
    store: Store,
    config: CurrentConfig,
    pipeline: Handle,
    turns: Arc<Semaphore>,
}

impl Explaining {
    pub(super) fn new(store: &Store, config: &CurrentConfig, pipeline: &Handle) -> Self {
        let turns = Arc::new(Semaphore::new(AT_ONCE));
        Self { store: store.clone(), config: config.clone(), pipeline: pipeline.clone(), turns }
    }
}

pub(super) fn routes() -> OpenApiRouter<Explaining> {
    OpenApiRouter::default().routes(routes!(explain_sample))
}

/// Which sample is meant.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExplainQuery {
    /// The signal.
    signal: String,
    /// The service: each of its series is explained.
    service: String,
    /// The time of the sample, or of the step that it lies in: Unix seconds or RFC 3339.
    #[param(value_type = String, format = DateTime)]
    time: Timestamp,
    /// Only the series with this hash: 32 hex digits.
    #[param(value_type = Option<String>)]
    series: Option<Fingerprint>,
}

impl ExplainQuery {
    fn read(mut parameters: Parameters) -> Result<Self, Problem> {
        let missing = |name: &str| {
            let detail = format!("parameter {name:?} is missing: give signal, service and time");
            Problem::new(Kind::InvalidParameter, detail)
        };
        let (signal, service) = (parameters.text("signal")?, parameters.text("service")?);
        let time = parameters.time("time")?;
        let series =
            parameters.one("series", "the hash of a series: 32 hex digits in lower case", |text| {
                text.parse().ok()
            })?;
        parameters.finish()?;
        Ok(Self {
            signal: signal.ok_or_else(|| missing("signal"))?,
            service: service.ok_or_else(|| missing("service"))?,
            time: time.ok_or_else(|| missing("time"))?,
            series,
        })
    }
}

/// Why the samples of a step opened an anomaly, or did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Explanation)]
struct ExplanationView {
    /// The signal.
    signal: String,
    /// The service.
    service: String,
    /// The step that is explained.
    #[schema(format = DateTime)]
    at: String,
    /// The first step of the history that was judged for it.
    #[schema(format = DateTime)]
    history_from_at: String,
    /// Range queries that this took.
    requests: usize,
    /// Samples that were read.
    samples: usize,
    /// Among so many samples a day the expected false openings were shared: those of all series of now.
    samples_a_day: f64,
    /// Whether an answer about that history was partial, so that samples may have been missing.
    is_partial: bool,
    /// The series of the service.
    series: Vec<SeriesExplanationView>,
    /// How many more series the service has.
    left_out: usize,
    /// What the answer can't know.
    notes: Vec<&'static str>,
}

/// Why one series' sample opened an anomaly, or did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeriesExplanation)]
struct SeriesExplanationView {
    /// Which series.
    series: SeriesNameView,
    /// Its sample; null where it has none at that step.
    #[schema(required = true)]
    value: Option<f64>,
    /// Since when an anomaly was open before the sample; null where none was.
    #[schema(required = true, format = DateTime)]
    anomalous_since_at: Option<String>,
    /// What every gate said, judged anew.
    explained: GatesView,
    /// The incident that this series was a part of at that time, by its id; null where there is none.
    #[schema(required = true)]
    incident: Option<String>,
    /// What every gate said of the sample that opened that anomaly, as it was written down then; null where it was not.
    #[schema(required = true)]
    stored: Option<GatesView>,
}

/// Says of a sample what every gate between it and an anomaly went by and decided, in their order.
///
/// It is judged anew: the history of the service's series before that time is read from the backend and goes through
/// the detection that is in force. Nothing later is read. Of one signal about 100,000 samples at most, the newest,
/// within 25 s; two requests at once.
#[utoipa::path(
    get, path = "/api/v1/explain", tag = "signals", operation_id = "explainSample",
    security(("key" = ["read"])),
    params(ExplainQuery),
    responses(
        (status = 200, description = "Every gate, for each series of the service.", body = ExplanationView),
        (status = 400, description = "A parameter is missing or invalid.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such signal, or the backend holds no such series before that time.",
            body = ProblemDocument, content_type = "application/problem+json"),
        (status = "5XX", description = "The backend does not give the history, or others are just being answered.",
            body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
async fn explain_sample(
    State(state): State<Explaining>,
    parameters: Parameters,
) -> Result<Json<ExplanationView>, Problem> {
    let query = ExplainQuery::read(parameters)?;
    let signal = named(&in_force(&state.config), &query.signal)?.name.clone();
    let judged_until = state.pipeline.status().at;
    if query.time > judged_until {
        let detail = format!("{} has not come yet: it is {judged_until}", query.time);
        return Err(Problem::new(Kind::InvalidParameter, detail));
    }
    let Ok(_turn) = state.turns.try_acquire() else {
        let detail = format!("{AT_ONCE} others are being answered; try again");
        return Err(Problem::new(Kind::Unavailable, detail));
    };
    let service = Service::new(&query.service);
    let question = Question { signal, service: service.clone(), series: query.series, at: query.time };
    let explained = match tokio::time::timeout(PATIENCE, state.pipeline.explain(question)).await {
        Ok(explained) => explained.map_err(refusal)?,
        Err(_) => {
            let detail = format!("the history could not be read and judged within {}s", PATIENCE.as_secs());
            return Err(Problem::new(Kind::Unavailable, detail));
        }
    };
    if explained.series.is_empty() {
        let detail = format!(
            "service {:?} has no series with this hash; leave `series` out to see all",
            query.service
        );
        return Err(Problem::new(Kind::UnknownSeries, detail));
    }
    let told = told_of(&state.store, service, explained.at).await?;
    Ok(Json(view(&query, &explained, &told)))
}

fn view(query: &ExplainQuery, explained: &Explained, told: &[(String, Member)]) -> ExplanationView {
    ExplanationView {
        signal: query.signal.clone(),
        service: query.service.clone(),
        at: explained.at.to_string(),
        history_from_at: explained.history_from.to_string(),
        requests: explained.requests,
        samples: explained.samples,
        samples_a_day: explained.samples_a_day,
        is_partial: explained.is_partial,
        series: explained.series.iter().map(|one| series_view(one, told, explained.at)).collect(),
        left_out: explained.left_out,
        notes: NOTES.to_vec(),
    }
}

fn series_view(one: &SeriesExplained, told: &[(String, Member)], at: Timestamp) -> SeriesExplanationView {
    let part = told.iter().find(|(_, member)| member.key.hash == one.key.hash && covers(member, at));
    let stored = part.and_then(|(_, member)| member.why.as_deref()).map(GatesView::from);
    SeriesExplanationView {
        series: SeriesNameView::from(one.key.as_ref() as &SeriesKey),
        value: one.value,
        anomalous_since_at: one.before.map(|anomaly| anomaly.onset.to_string()),
        explained: GatesView::from(&one.trace),
        incident: part.map(|(id, _)| id.clone()),
        stored,
    }
}

fn covers(member: &Member, at: Timestamp) -> bool {
    let until = match member.state {
        MemberState::Active => return member.trouble.onset() <= at,
        MemberState::Ended { until, .. } => until,
    };
    member.trouble.onset() <= at && at <= until.max(member.trouble.detected_at())
}

/// The parts that series of the service have in incidents of about that time.
async fn told_of(store: &Store, service: Service, at: Timestamp) -> Result<Vec<(String, Member)>, Problem> {
    let filter = IncidentFilter {
        service: Some(service),
        since: Some(at.minus(INCIDENT_AGE_MAX)),
        until: Some(at.plus(OPENED_WITHIN)),
        ..IncidentFilter::default()
    };
    let (rows, _) = store.incidents(&filter, Page { limit: INCIDENTS_MAX, after: None }).await?;
    let mut told = Vec::new();
    for row in rows.iter().filter(|row| row.onset <= at) {
        if let Some(incident) = store.incident(row.id).await? {
            told.extend(incident.members.into_iter().map(|member| (row.id.to_string(), member)));
        }
    }
    Ok(told)
}

fn refusal(error: NotExplained) -> Problem {
    let kind = match &error {
        NotExplained::Unwatched(_) => Kind::UnknownSignal,
        NotExplained::Nothing { .. } => Kind::UnknownSeries,
        NotExplained::NoBackend | NotExplained::Unread { .. } | NotExplained::Worker => Kind::Unavailable,
    };
    Problem::new(kind, error.to_string())
}

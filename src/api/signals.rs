//! The signals and their series: `GET /api/v1/signals`, `GET /api/v1/signals/{name}`.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::CurrentConfig;
use super::in_force::{InForce, in_force};
use super::parameters::{NoParameters, Parameters, path_text};
use super::patience::within_patience;
use super::problem::{Kind, Problem, ProblemDocument};
use super::signal_view::{SeriesStateView, SignalInfo, SignalView};
use super::vocabulary;
use crate::detect::{SeriesQuery as Wanted, SeriesState};
use crate::runtime::Handle;
use crate::series::{Service, SignalName};

const SERIES_DEFAULT: usize = 100;
const SERIES_MAX: usize = 1000;

#[derive(Clone)]
pub(super) struct Signals {
    pub(super) config: CurrentConfig,
    pub(super) pipeline: Handle,
}

pub(super) fn routes() -> OpenApiRouter<Signals> {
    OpenApiRouter::default().routes(routes!(list_signals)).routes(routes!(get_signal))
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignalList)]
struct SignalListView {
    /// In the order of the config.
    signals: Vec<SignalView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SignalDetail)]
struct SignalDetailView {
    /// The signal.
    signal: SignalView,
    /// Its series, by service and labels.
    series: Vec<SeriesStateView>,
    /// How many more series match than `limit` let through.
    left_out: usize,
}

/// Which series of a signal are wanted.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct SeriesQuery {
    /// Only series of this service.
    service: Option<String>,
    /// Only series in this state.
    #[param(value_type = Option<vocabulary::SeriesState>, inline)]
    state: Option<SeriesState>,
    /// At most so many series.
    #[param(minimum = 1, maximum = 1000, default = 100, required = false)]
    limit: usize,
}

impl SeriesQuery {
    fn read(mut parameters: Parameters) -> Result<Self, Problem> {
        let query = Self {
            service: parameters.text("service")?,
            state: parameters.one("state", "normal, warming, anomalous, lost", |word| {
                SeriesState::ALL.into_iter().find(|state| state.as_str() == word)
            })?,
            limit: parameters.limit(SERIES_DEFAULT, SERIES_MAX)?,
        };
        parameters.finish()?;
        Ok(query)
    }

    fn of(self, signal: SignalName) -> Wanted {
        let service = self.service.as_deref().map(Service::new);
        Wanted { signal, service, state: self.state, limit: self.limit }
    }
}

/// The signal of that name; the refusal tells which there are.
pub(super) fn named<'a>(config: &'a InForce, name: &str) -> Result<&'a SignalInfo, Problem> {
    config.signals.iter().find(|info| info.name.as_str() == name).ok_or_else(|| {
        let names: Vec<&str> = config.signals.iter().map(|info| info.name.as_str()).collect();
        let shown: String = name.chars().take(80).collect();
        let detail = format!("no signal is called {shown:?}; there are: {}", names.join(", "));
        Problem::new(Kind::UnknownSignal, detail)
    })
}

/// Lists the signals, each with its settings and its number of series.
#[utoipa::path(
    get, path = "/api/v1/signals", tag = "signals", operation_id = "listSignals",
    security(("key" = ["read"])),
    responses(
        (status = 200, description = "Every signal.", body = SignalListView),
        (status = 400, description = "A parameter is unknown.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn list_signals(State(state): State<Signals>, _: NoParameters) -> Json<SignalListView> {
    let status = state.pipeline.status();
    let view = |info: &SignalInfo| {
        SignalView::new(info, status.signals.iter().find(|status| status.name == info.name))
    };
    Json(SignalListView { signals: in_force(&state.config).signals.iter().map(view).collect() })
}

/// Shows a signal with its series as they stand.
#[utoipa::path(
    get, path = "/api/v1/signals/{name}", tag = "signals", operation_id = "getSignal",
    security(("key" = ["read"])),
    params(("name" = String, Path, description = "The name of the signal."), SeriesQuery),
    responses(
        (status = 200, description = "The signal and its series.", body = SignalDetailView),
        (status = 400, description = "A parameter is invalid.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 404, description = "There is no such signal.", body = ProblemDocument,
            content_type = "application/problem+json"),
        (status = 503, description = "The pipeline does not answer.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn get_signal(
    State(state): State<Signals>,
    name: Result<Path<String>, PathRejection>,
    parameters: Parameters,
) -> Result<Json<SignalDetailView>, Problem> {
    let name = path_text(name)?;
    let query = SeriesQuery::read(parameters)?;
    let config = in_force(&state.config);
    let info = named(&config, &name)?;
    let page = within_patience(state.pipeline.series(query.of(info.name.clone()))).await?;
    let status = state.pipeline.status();
    let own = status.signals.iter().find(|status| status.name == info.name);
    Ok(Json(SignalDetailView {
        signal: SignalView::new(info, own),
        left_out: page.left_out,
        series: page.series.iter().map(|(state, view)| SeriesStateView::new(*state, view)).collect(),
    }))
}

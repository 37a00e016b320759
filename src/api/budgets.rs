//! The noise budgets: `GET /api/v1/budgets`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::CurrentConfig;
use super::in_force::in_force;
use super::parameters::NoParameters;
use super::problem::ProblemDocument;
use crate::detect::Scope;
use crate::runtime::{Handle, Standing, Standings};
use crate::series::SignalName;
use crate::store::KeptCalibration;

#[derive(Clone)]
pub(super) struct Budgets {
    pub(super) standings: Standings,
    pub(super) config: CurrentConfig,
    pub(super) pipeline: Handle,
}

/// The noise budgets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BudgetList)]
struct ListView {
    /// The common one first, then those of single signals and those of overrides in the order of the config. At most 201.
    items: Vec<BudgetView>,
}

/// How a noise budget stands. It never mutes: a budget that is burnt hides no incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Budget)]
struct BudgetView {
    /// The signal whose budget it is; `*` for the one that all signals without their own have in common; the matchers of an
    /// override for that of the series that match.
    name: String,
    /// The budget as it is set, such as `2/week`.
    budget: String,
    /// Incidents that it accepts in its window.
    incidents: u32,
    /// The window.
    window_s: f64,
    /// Incidents that opened in the last window.
    burnt: u64,
    /// The burnt part: above 1 more opened than it accepts.
    burn: f64,
    /// The calibration in force; null while the boundaries are those of the defaults.
    #[schema(required = true)]
    calibration: Option<CalibrationView>,
    /// Why the last calibration failed, until one succeeds; the boundaries of before are in force.
    #[schema(required = true)]
    failure: Option<String>,
    /// How many series of its signals an override with this budget holds for now; null where it is no override's.
    #[schema(required = true)]
    matched_series: Option<usize>,
    /// Where the boundary of each of its signals lies now.
    signals: Vec<BoundaryView>,
}

/// What history said about a budget.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Calibration)]
struct CalibrationView {
    /// When it was made.
    #[schema(format = DateTime)]
    at: String,
    /// On how many days of history it rests.
    days: f64,
    /// Incidents a day that are expected.
    expected_per_day: f64,
    /// The rate lies above this with about 97.5 % confidence.
    low_per_day: f64,
    /// The rate lies below this with about 97.5 % confidence.
    high_per_day: f64,
    /// Whether history shows too few incidents that far out, so that the fitted tail leads there.
    is_extrapolated: bool,
    /// Whether even the loosest boundary opened fewer incidents than the budget accepts.
    is_limited: bool,
    /// The SHA-256 of the settings that it was made for.
    config_hash: String,
}

/// Where the boundary of a signal lies.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Boundary)]
struct BoundaryView {
    /// The signal.
    signal: String,
    /// The setting that the calibration stands for: `false_openings_per_day` or `sigma`.
    setting: String,
    /// Its value in force.
    value: f64,
    /// How far out, in standard deviations, normal noise would be as rarely as the boundary is.
    implied_sigma: f64,
}

pub(super) fn routes() -> OpenApiRouter<Budgets> {
    OpenApiRouter::default().routes(routes!(list_budgets))
}

/// Lists the noise budgets: what each was calibrated to, on what, and what of it is burnt.
#[utoipa::path(
    get, path = "/api/v1/budgets", tag = "agent", operation_id = "listBudgets",
    security(("key" = ["read"])),
    responses(
        (status = 200, description = "How they stand.", body = ListView),
        (status = 400, description = "A parameter is unknown.", body = ProblemDocument,
            content_type = "application/problem+json"),
    )
)]
async fn list_budgets(State(budgets): State<Budgets>, _: NoParameters) -> Json<ListView> {
    let standings = budgets.standings.borrow().clone();
    Json(ListView { items: standings.iter().map(|standing| budgets.view(standing)).collect() })
}

impl Budgets {
    fn view(&self, standing: &Standing) -> BudgetView {
        BudgetView {
            name: standing.name.clone(),
            budget: standing.budget.to_string(),
            incidents: standing.budget.incidents(),
            window_s: standing.window().as_secs_f64(),
            burnt: standing.burnt,
            burn: standing.burnt as f64 / f64::from(standing.budget.incidents()),
            calibration: standing.calibration.as_ref().map(CalibrationView::from),
            failure: standing.failure.clone(),
            matched_series: self.matched(standing),
            signals: standing.signals.iter().filter_map(|signal| self.boundary(standing, signal)).collect(),
        }
    }

    /// For how many series an override with a budget holds.
    fn matched(&self, standing: &Standing) -> Option<usize> {
        let Scope::Matcher(entry) = standing.scope else { return None };
        let status = self.pipeline.status();
        let overrides = status.signals.iter().flat_map(|signal| &signal.overridden);
        Some(overrides.filter(|over| over.entry == entry).map(|over| over.series).sum())
    }

    /// `None` for a signal that a reload has just taken away.
    fn boundary(&self, standing: &Standing, signal: &SignalName) -> Option<BoundaryView> {
        let config = in_force(&self.config);
        let plan = &config.signals.iter().find(|info| info.name == *signal)?.plan;
        let settings = match standing.scope {
            Scope::Common | Scope::Signal => plan.settings.clone(),
            Scope::Matcher(entry) => {
                plan.settings_with(plan.overrides.iter().filter(|over| over.entry == entry))
            }
        };
        let status = self.pipeline.status();
        let tally = status.signals.iter().find(|status| status.name == *signal).map(|status| status.tally);
        let boundary = settings.boundary();
        Some(BoundaryView {
            signal: signal.to_string(),
            setting: boundary.kind().to_owned(),
            value: boundary.value(),
            implied_sigma: settings.effective_sigma(tally.unwrap_or_default().samples_a_day as f64),
        })
    }
}

impl From<&KeptCalibration> for CalibrationView {
    fn from(kept: &KeptCalibration) -> Self {
        Self {
            at: kept.at.to_string(),
            days: kept.days,
            expected_per_day: kept.per_day,
            low_per_day: kept.interval.0,
            high_per_day: kept.interval.1,
            is_extrapolated: kept.is_extrapolated,
            is_limited: kept.is_limited,
            config_hash: kept.config_hash.clone(),
        }
    }
}

//! How the budgets stand: what they were calibrated to, and what of them is burnt.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::watch;

use crate::backtest::{Calibration, Scoped, with_boundaries};
use crate::detect::{Boundary, Budget, Scope};
use crate::engine;
use crate::series::{SeriesKey, SignalName};
use crate::store::KeptCalibration;
use crate::telemetry::Registry;
use crate::time::Timestamp;

/// How one budget stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whose budget it is: a signal, `*` for the common one, or the matchers of an override.
    pub name: String,
    /// Over which series it is counted.
    pub scope: Scope,
    /// How much.
    pub budget: Budget,
    /// The signals that it is for.
    pub signals: Vec<SignalName>,
    /// The calibration in force; `None` while the boundary is that of the defaults.
    pub calibration: Option<KeptCalibration>,
    /// Incidents that opened in the time that the budget is for, up to now.
    pub burnt: u64,
    /// Why the last calibration failed, where it did.
    pub failure: Option<String>,
}

/// How all budgets stand, for whoever wants to know. Clones show the same.
pub type Standings = watch::Receiver<Arc<Vec<Standing>>>;

impl Standing {
    /// The budgets of a config with what was kept of them. What was kept for another budget is none.
    pub fn all(settings: &engine::Settings, kept: &[KeptCalibration]) -> Vec<Self> {
        let standing = |scoped: Scoped| {
            let fits = |kept: &&KeptCalibration| kept.name == scoped.name && kept.budget == scoped.budget;
            Self {
                name: scoped.name.clone(),
                scope: scoped.scope,
                budget: scoped.budget,
                signals: scoped.signals().cloned().collect(),
                calibration: kept.iter().find(fits).cloned(),
                burnt: 0,
                failure: None,
            }
        };
        Scoped::all(settings).into_iter().map(standing).collect()
    }

    /// The time that the budget is for.
    pub fn window(&self) -> Duration {
        Duration::from_secs_f64(self.budget.per().days() * 86_400.0)
    }

    /// Counts what is burnt.
    pub fn burn(&mut self, opened: &[(Arc<SeriesKey>, u64)], settings: &engine::Settings) {
        let scoped = Scoped::all(settings).into_iter().find(|scoped| scoped.name == self.name);
        let counts = |key: &SeriesKey| scoped.as_ref().is_some_and(|scoped| scoped.is_of(key, settings));
        self.burnt = opened.iter().filter(|(key, _)| counts(key)).map(|(_, count)| count).sum();
    }
}

/// The settings with the boundaries that the calibrations found, where these are for the same budgets.
pub fn in_force(settings: &engine::Settings, kept: &[KeptCalibration]) -> engine::Settings {
    let standings = Standing::all(settings, kept);
    let found = standings.iter().filter_map(|standing| {
        let of_budget = |(signal, _): &&(SignalName, Boundary)| standing.signals.contains(signal);
        let boundaries = standing.calibration.as_ref()?.boundaries.iter().filter(of_budget);
        Some(boundaries.map(|boundary| (standing.scope, boundary)))
    });
    with_boundaries(settings, found.flatten())
}

impl KeptCalibration {
    /// A calibration as it is kept.
    pub fn of(calibration: &Calibration, at: Timestamp, config_hash: &str) -> Self {
        let fitted = &calibration.fitted;
        Self {
            name: calibration.name.clone(),
            budget: calibration.budget,
            boundaries: calibration.boundaries.clone(),
            per_day: fitted.per_day,
            interval: fitted.interval,
            is_extrapolated: fitted.is_extrapolated,
            is_limited: fitted.limit.is_some(),
            days: calibration.days,
            at,
            config_hash: config_hash.to_owned(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByBudget {
    budget: String,
}

const BUDGET: &[&str] = &["budget"];

type Float = Family<ByBudget, Gauge<f64, AtomicU64>>;

/// What is told about the budgets, by the name of each. Clones tell the same.
#[derive(Debug, Clone, Default)]
pub struct BudgetMetrics {
    incidents: Float,
    burnt: Float,
    window: Float,
    calibrated_at: Float,
    failed: Float,
}

impl BudgetMetrics {
    /// Registers them.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, family) in [
            ("budget_incidents", "Incidents that the noise budget accepts in its window", &metrics.incidents),
            (
                "budget_burnt_incidents",
                "Incidents that opened in the last window of the noise budget",
                &metrics.burnt,
            ),
            ("budget_window_seconds", "The time that the noise budget is for", &metrics.window),
            (
                "budget_calibrated_timestamp_seconds",
                "When the boundary in force was calibrated from the noise budget; 0 while it is the default",
                &metrics.calibrated_at,
            ),
            (
                "budget_calibration_failed",
                "1 where the last calibration of the noise budget failed, so that the boundary of before is in force",
                &metrics.failed,
            ),
        ] {
            registry.register_family(name, BUDGET, help, family.clone());
        }
        metrics
    }

    /// Shows how the budgets stand, and no others.
    pub fn show(&self, standings: &[Standing]) {
        for family in [&self.incidents, &self.burnt, &self.window, &self.calibrated_at, &self.failed] {
            family.clear();
        }
        for standing in standings {
            let by = || ByBudget { budget: standing.name.clone() };
            let calibrated_at = standing.calibration.as_ref().map_or(0.0, |kept| kept.at.as_seconds());
            self.incidents.get_or_create(&by()).set(f64::from(standing.budget.incidents()));
            self.burnt.get_or_create(&by()).set(standing.burnt as f64);
            self.window.get_or_create(&by()).set(standing.window().as_secs_f64());
            self.calibrated_at.get_or_create(&by()).set(calibrated_at);
            self.failed.get_or_create(&by()).set(f64::from(u8::from(standing.failure.is_some())));
        }
    }
}

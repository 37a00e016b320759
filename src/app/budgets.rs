//! Keeps the noise budgets: calibrates them at the start, after a reload, and once a day; counts what of them is burnt.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tracing::{info, warn};

use super::{candidate, engine_settings};
use crate::config::Config;
use crate::runtime::{
    BudgetMetrics, Calibrated, Clock, Effort, Handle, Reloads, Span, Standing, Supervisor, calibrate,
};
use crate::store::{KeptCalibration, Store};
use crate::time::Timestamp;

/// What is burnt is counted so often.
const EVERY: Duration = Duration::from_secs(60);
/// A calibration of the same config is good for so long.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);
/// One that failed is tried again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// So much of the past is looked at, and no less.
const HISTORY: (Duration, Duration) = (Duration::from_secs(28 * 86_400), Duration::from_secs(6 * 3600));
/// So many samples are read at most: each is judged by eight engines, some minutes of one core in all.
const SAMPLES_MAX: f64 = 60e6;
/// So many series have state at once, over all engines.
const SERIES_MAX: usize = 20_000;

/// Keeps the budgets of a running agent.
pub(super) struct Keeper {
    pub(super) configs: watch::Receiver<Arc<Config>>,
    pub(super) handle: Handle,
    pub(super) reloads: Reloads,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) metrics: BudgetMetrics,
    pub(super) shown: watch::Sender<Arc<Vec<Standing>>>,
    /// What is in force.
    pub(super) kept: Vec<KeptCalibration>,
    /// The last calibration that failed.
    pub(super) failure: Option<Failure>,
}

/// A calibration that failed.
pub(super) struct Failure {
    at: Timestamp,
    config_hash: String,
    because: String,
    /// The budgets that it is about; none for all.
    of: Vec<String>,
    again_after: Duration,
}

impl Keeper {
    /// Keeps them until the agent stops.
    pub(super) async fn run(mut self, supervisor: Supervisor) {
        let cancelled = supervisor.cancelled();
        tokio::select! {
            () = self.keep() => {}
            () = cancelled.cancelled() => {}
        }
    }

    async fn keep(&mut self) {
        loop {
            let config = Arc::clone(&self.configs.borrow_and_update());
            if !self.show(&config).await {
                if self.configs.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let mut configs = self.configs.clone();
            let _awake = self.clock.awake();
            if self.is_due(&config) {
                tokio::select! {
                    () = self.calibrate(&config) => {}
                    changed = configs.changed() => if changed.is_err() { return },
                }
                self.show(&config).await;
            }
            tokio::select! {
                () = self.clock.sleep(EVERY) => {}
                changed = configs.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Shows how the budgets stand, and says whether there is any.
    async fn show(&self, config: &Config) -> bool {
        let settings = settings(config);
        let mut standings = Standing::all(&settings, &self.kept);
        for standing in &mut standings {
            let since = self.clock.now().minus(standing.window());
            match self.store.opened_since(since).await {
                Ok(opened) => standing.burn(&opened, &settings),
                Err(error) => warn!("what is burnt of the budget {} is not counted: {error}", standing.name),
            }
            standing.failure = self.failure_of(standing);
        }
        self.metrics.show(&standings);
        let is_any = !standings.is_empty();
        self.shown.send_replace(Arc::new(standings));
        is_any
    }

    /// Whether a calibration is wanted now: not before the pipeline has read its own history.
    fn is_due(&self, config: &Config) -> bool {
        let (now, hash) = (self.clock.now(), config.hash());
        if !self.handle.status().is_ready {
            return false;
        }
        if let Some(failure) = &self.failure
            && failure.config_hash == hash
            && now.since(failure.at) < failure.again_after
        {
            return false;
        }
        let is_good = |standing: &Standing| {
            let kept = standing.calibration.as_ref();
            kept.is_some_and(|kept| kept.config_hash == hash && now.since(kept.at) < GOOD_FOR)
        };
        !Standing::all(&settings(config), &self.kept).iter().all(is_good)
    }

    async fn calibrate(&mut self, config: &Config) {
        let (now, hash) = (self.clock.now(), config.hash());
        match self.attempt(config, now, &hash).await {
            Ok(unmatched) if unmatched.is_empty() => self.failure = None,
            Ok(of) => {
                let because = format!(
                    "no series that history has counts toward {}: correct the matchers, or take the override out",
                    of.join(", ")
                );
                warn!("a noise budget is not calibrated: {because}");
                self.failure =
                    Some(Failure { at: now, config_hash: hash, because, of, again_after: GOOD_FOR });
            }
            Err(error) => {
                let because = format!("{error:#}");
                warn!(
                    "the noise budgets are not calibrated, the boundaries of before stay in force: {because}"
                );
                let (of, again_after) = (Vec::new(), AGAIN_AFTER);
                self.failure = Some(Failure { at: now, config_hash: hash, because, of, again_after });
            }
        }
    }

    /// Why the calibration of a budget is not what it should be.
    fn failure_of(&self, standing: &Standing) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let concerns = failure.of.is_empty() || failure.of.contains(&standing.name);
        concerns.then(|| failure.because.clone())
    }

    /// Calibrates, and gives the budgets that are those of no series.
    async fn attempt(&mut self, config: &Config, now: Timestamp, hash: &str) -> anyhow::Result<Vec<String>> {
        let (series, samples_a_day) = self.load(config);
        let days = (SAMPLES_MAX / samples_a_day.max(1.0)).min(400.0);
        let history = Duration::from_secs_f64(days * 86_400.0).clamp(HISTORY.1, HISTORY.0);
        let effort = Effort { engines: SERIES_MAX / series.max(1), known: Vec::new() };
        let span = Span { since: now.minus(history), until: now };
        let candidate = candidate(config);
        let found = calibrate(&config.source, &self.clock, &candidate, (span, &effort), |_| {}).await?;
        let Some(Calibrated { calibrations, unmatched, .. }) = found else { return Ok(Vec::new()) };
        anyhow::ensure!(
            !calibrations.is_empty() || !unmatched.is_empty(),
            "the backend holds less than an hour of the signals from {} to {now}",
            span.since
        );
        let kept: Vec<_> =
            calibrations.iter().map(|calibration| KeptCalibration::of(calibration, now, hash)).collect();
        self.store.keep_budgets(&kept).await?;
        self.reloads.recalibrate(kept.clone()).await?;
        for kept in &kept {
            info!(
                budget = %kept.name,
                "the noise budget {} of {} is calibrated on {:.1} days: {:.3} incidents a day are expected, {:.3} to {:.3}{}",
                kept.budget, kept.name, kept.days, kept.per_day, kept.interval.0, kept.interval.1,
                if kept.is_extrapolated { ", extrapolated" } else { "" }
            );
        }
        self.kept = kept;
        Ok(unmatched)
    }

    /// How many series there are, and how many samples of them a day.
    fn load(&self, config: &Config) -> (usize, f64) {
        let status = self.handle.status();
        let of = |signal: &crate::config::Signal| {
            let known = status.signals.iter().find(|status| status.name == signal.query.signal);
            let series = known.map_or(0, |status| status.tally.series);
            (series, series as f64 * 86_400.0 / signal.query.step.as_secs_f64().max(1.0))
        };
        let of_signals = config.signals.iter().map(of);
        of_signals.fold((0, 0.0), |(series, samples), (more, of_them)| (series + more, samples + of_them))
    }
}

fn settings(config: &Config) -> crate::engine::Settings {
    engine_settings(config, config.signals.iter().map(|signal| signal.query.signal.clone()))
}

//! Wires the rooms together. This is the only place, beside the command line, that names implementations.

mod budgets;
mod reload;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::budgets::Keeper;
use self::reload::Reloader;
pub use self::reload::{Load, Reloading};
use crate::api::{Entrance, InForce, SignalInfo};
use crate::config::{self, Config};
use crate::llm::Model;
use crate::runtime::{
    BudgetMetrics, Candidate, Clock, ConfigMetrics, Handle, Parts, Polled, Reloads, Started, Supervisor,
};
use crate::series::SignalName;
use crate::store::{KeptCalibration, Store};
use crate::telemetry::Registry;
use crate::time::Timestamp;
use crate::{api, detect, engine, runtime};

/// How long a stop may take.
const GRACE: Duration = Duration::from_secs(15);
/// Of these, so long may closing the store take.
const CLOSING: Duration = Duration::from_secs(3);

/// The running agent.
#[derive(Debug)]
pub struct App {
    /// What can be asked of its pipeline.
    pub handle: Handle,
    /// Has its config read again.
    pub reloads: Reloads,
    /// What it has written.
    pub store: Store,
    /// Where its API listens.
    pub address: SocketAddr,
    scheme: &'static str,
    supervisor: Supervisor,
}

impl App {
    /// Starts everything: the store, the pipeline, the API. Its config stays as it is.
    ///
    /// # Errors
    /// Names what cannot start, and why.
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Self> {
        Self::start_with(config, clock, Reloading::default()).await
    }

    /// Starts an agent whose config can be read again while it runs.
    ///
    /// # Errors
    /// As [`App::start`].
    pub async fn start_with(config: &Config, clock: Clock, reloading: Reloading) -> anyhow::Result<Self> {
        let address = config.api.listen_address;
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("api.listen_address: nothing can listen on {address}; is another agent running there?")
        })?;
        let address = listener.local_addr()?;
        let store = Store::open(&config.store).await?;
        let model = match config.llm.enabled {
            true => Some((Model::new(&config.llm)?, config.llm.cache_for)),
            false => None,
        };
        let mut registry = Registry::new();
        let entrance = Entrance::open(&config.api, &mut registry)?;
        let supervisor = Supervisor::new();
        let kept = store.budgets().await?;
        let signals = config.signals.iter().map(|signal| signal.query.signal.clone());
        let parts = Parts {
            settings: config.runtime.clone(),
            engine: runtime::in_force(&engine_settings(config, signals), &kept),
            signals: polled(config),
            source: config.source.clone(),
            model,
            store: store.clone(),
            clock: clock.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: config.hash(),
        };
        let started = runtime::start(parts, &mut registry, &supervisor).await;
        let Started { handle, reconfigurer } = match started {
            Ok(started) => started,
            Err(error) => {
                supervisor.stop(GRACE).await;
                return Err(error.into());
            }
        };
        let now = clock.now();
        let metrics = ConfigMetrics::new(&mut registry, &config.hash(), now);
        let (shown, in_force) = watch::channel(Arc::new(in_force(config, &kept, now)));
        let (reloads, reload_queue) = Reloads::channel();
        let (configs, configs_shown) = watch::channel(Arc::new(config.clone()));
        let (standings, budgets) = watch::channel(Arc::default());
        let keeper = Keeper {
            configs: configs_shown,
            handle: handle.clone(),
            reloads: reloads.clone(),
            store: store.clone(),
            clock: clock.clone(),
            metrics: BudgetMetrics::new(&mut registry),
            shown: standings,
            kept: kept.clone(),
            failure: None,
        };
        supervisor.spawn("budgets", keeper.run(supervisor.clone()));
        let reloader = Reloader {
            reloading,
            config: config.clone(),
            configs,
            kept,
            reconfigurer,
            shown,
            metrics,
            clock,
            supervisor: supervisor.clone(),
        };
        supervisor.spawn("reloads", reloader.run(reload_queue));
        let registry = Arc::new(registry);
        let parts = api::Parts {
            pipeline: handle.clone(),
            store: store.clone(),
            config: in_force,
            reloads: reloads.clone(),
            budgets,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            metrics: Arc::new(move || registry.encode()),
        };
        let router = api::router(parts, &config.api, &entrance);
        // Each request goes by the router that was sent last.
        let (_, routes) = watch::channel(router);
        let cancelled = supervisor.cancelled();
        // The pipeline takes what requests bring it until the last of them has its answer.
        let held = handle.hold();
        supervisor.spawn("api", async move {
            let _held = held;
            if let Err(error) = api::serve(listener, routes, entrance, cancelled).await {
                tracing::error!("the API has ended: {error}");
            }
        });
        let scheme = if config.api.tls.is_some() { "https" } else { "http" };
        Ok(Self { handle, reloads, store, address, scheme, supervisor })
    }

    /// Where people reach the API.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Waits until the agent ends by itself, which it does only because of a defect.
    pub async fn failed(&self) {
        self.supervisor.cancelled().cancelled().await;
    }

    /// Stops within 15 s: polls and questions to the model end at once (one that is out is asked again at the next
    /// start); no new request is taken and those that are open get their answer; then what waits for the engine is
    /// decided and written down; then the store is closed.
    ///
    /// # Errors
    /// Where something did not end in time or had ended by a defect.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { handle, store, supervisor, .. } = self;
        drop(handle);
        let has_ended = supervisor.stop(GRACE - CLOSING).await;
        // A disk that hangs does not hold up the end: what was acknowledged is written.
        let _ = tokio::time::timeout(CLOSING, store.close()).await;
        anyhow::ensure!(has_ended, "not everything ended within {} s", (GRACE - CLOSING).as_secs());
        anyhow::ensure!(
            !supervisor.has_failed(),
            "a part of the agent ended by a defect; the log says which"
        );
        Ok(())
    }
}

/// What readers see of a config that is in force since `at`.
fn in_force(config: &Config, kept: &[KeptCalibration], at: Timestamp) -> InForce {
    let signals = config.signals.iter().map(|signal| signal.query.signal.clone());
    let engine = runtime::in_force(&engine_settings(config, signals), kept);
    let info = |(signal, (_, plan)): (&config::Signal, &(SignalName, detect::SignalPlan))| SignalInfo {
        name: signal.query.signal.clone(),
        promql: signal.query.promql.clone(),
        interval: signal.interval,
        plan: plan.clone(),
    };
    InForce {
        signals: config.signals.iter().zip(&engine.signals).map(info).collect(),
        config_hash: config.hash(),
        loaded_at: at,
        refusal: None,
    }
}

fn polled(config: &Config) -> Vec<Polled> {
    let polled = |signal: &config::Signal| Polled { query: signal.query.clone(), interval: signal.interval };
    config.signals.iter().map(polled).collect()
}

/// What an agent with this config would go by, for a run over the past.
pub fn candidate(config: &Config) -> Candidate {
    let signals = config.signals.iter().map(|signal| signal.query.signal.clone());
    Candidate {
        engine: engine_settings(config, signals),
        signals: polled(config),
        history: config.runtime.history,
    }
}

/// What the engine is told of a config, for these signals.
pub fn engine_settings(config: &Config, signals: impl IntoIterator<Item = SignalName>) -> engine::Settings {
    engine::Settings {
        signals: signals.into_iter().map(|signal| (signal.clone(), config.plan_for(&signal))).collect(),
        correlate: config.correlate.clone(),
        incident: config.incident.clone(),
        source_lost_after: config.source_lost_after,
        questions_per_incident: if config.llm.enabled { config.llm.questions_per_incident } else { 0 },
    }
}

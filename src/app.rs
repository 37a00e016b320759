//! Wires the rooms together. This is the only place, beside the command line, that names implementations.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::api::SignalInfo;
use crate::config::{self, Config};
use crate::llm::Model;
use crate::runtime::{Clock, Handle, Parts, Polled, Supervisor};
use crate::series::SignalName;
use crate::store::Store;
use crate::telemetry::Registry;
use crate::{api, engine, runtime};

/// How long tasks may take to end after a stop.
const GRACE: Duration = Duration::from_secs(15);

/// The running agent.
#[derive(Debug)]
pub struct App {
    /// What can be asked of its pipeline.
    pub handle: Handle,
    /// What it has written.
    pub store: Store,
    /// Where its API listens.
    pub address: SocketAddr,
    supervisor: Supervisor,
}

impl App {
    /// Starts everything: the store, the pipeline, the API.
    ///
    /// # Errors
    /// Names what cannot start, and why.
    pub async fn start(config: &Config, clock: Clock) -> anyhow::Result<Self> {
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
        let supervisor = Supervisor::new();
        let parts = Parts {
            settings: config.runtime.clone(),
            engine: engine_settings(config, config.signals.iter().map(|signal| signal.query.signal.clone())),
            signals: config
                .signals
                .iter()
                .map(|signal| Polled { query: signal.query.clone(), interval: signal.interval })
                .collect(),
            source: config.source.clone(),
            model,
            store: store.clone(),
            clock,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config_hash: config.hash(),
        };
        let started = runtime::start(parts, &mut registry, &supervisor).await;
        let handle = match started {
            Ok(handle) => handle,
            Err(error) => {
                supervisor.stop(GRACE).await;
                return Err(error.into());
            }
        };
        let registry = Arc::new(registry);
        let router = api::router(api_parts(config, &handle, &store, registry), &config.api);
        let cancelled = supervisor.cancelled();
        supervisor.spawn("api", async move {
            if let Err(error) = api::serve(listener, router, cancelled).await {
                tracing::error!("the API has ended: {error}");
            }
        });
        Ok(Self { handle, store, address, supervisor })
    }

    /// Where people reach the API.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until the agent ends by itself, which it does only because of a defect.
    pub async fn failed(&self) {
        self.supervisor.cancelled().cancelled().await;
    }

    /// Stops: pollers first, then what they handed over is written, then the store is closed.
    ///
    /// # Errors
    /// Where something did not end in time or had ended by a defect.
    pub async fn stop(self) -> anyhow::Result<()> {
        let Self { handle, store, supervisor, .. } = self;
        drop(handle);
        let has_ended = supervisor.stop(GRACE).await;
        // A disk that hangs does not hold up the end: what was acknowledged is written.
        let _ = tokio::time::timeout(GRACE, store.close()).await;
        anyhow::ensure!(has_ended, "not everything ended within {} s", GRACE.as_secs());
        anyhow::ensure!(
            !supervisor.has_failed(),
            "a part of the agent ended by a defect; the log says which"
        );
        Ok(())
    }
}

fn api_parts(config: &Config, handle: &Handle, store: &Store, registry: Arc<Registry>) -> api::Parts {
    let info = |signal: &config::Signal| SignalInfo {
        name: signal.query.signal.clone(),
        promql: signal.query.promql.clone(),
        interval: signal.interval,
        plan: signal.plan.clone(),
    };
    api::Parts {
        pipeline: handle.clone(),
        store: store.clone(),
        signals: config.signals.iter().map(info).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_hash: config.hash(),
        metrics: Arc::new(move || registry.encode()),
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

//! Reads the config again while the agent runs: everything that can fail is tried before anything changes.

use std::fmt;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tracing::warn;

use super::{engine_settings, in_force, polled};
use crate::api::{InForce, Refusal};
use crate::config::{Changes, Config, KeyChange};
use crate::engine::{self, ConfigChange};
use crate::llm::Model;
use crate::runtime;
use crate::runtime::{
    Change, Clock, ConfigMetrics, Fate, Foreseen, ModelChange, Reconfigurer, ReloadAsked as Asked,
    ReloadError, ReloadQueue, SignalForeseen, Supervisor,
};
use crate::series::SignalName;
use crate::source::Prometheus;
use crate::store::KeptCalibration;
use crate::telemetry::Level;

/// Of the text of a refusal, so much is stored and shown; the reply to whoever asked has all of it.
const BECAUSE_CHARS_MAX: usize = 4_000;

/// Where a config can be read again, and what beside the pipeline goes by it. By default there is nothing to read.
#[derive(Clone, Default)]
pub struct Reloading {
    /// Reads the config with the layers that it had at the start.
    pub load: Option<Load>,
    /// The level of the log.
    pub level: Option<Level>,
}

/// Reads and checks a config. It may block.
pub type Load = Arc<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

impl fmt::Debug for Reloading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reloading {{ load: {}, level: {:?} }}", self.load.is_some(), self.level)
    }
}

/// Does one reload at a time.
pub(super) struct Reloader {
    pub(super) reloading: Reloading,
    pub(super) config: Config,
    /// For whoever goes by the config as a whole.
    pub(super) configs: watch::Sender<Arc<Config>>,
    /// What the budgets were calibrated to.
    pub(super) kept: Vec<KeptCalibration>,
    pub(super) reconfigurer: Reconfigurer,
    pub(super) shown: watch::Sender<Arc<InForce>>,
    pub(super) metrics: ConfigMetrics,
    pub(super) clock: Clock,
    pub(super) supervisor: Supervisor,
}

impl Reloader {
    /// Reloads as often as somebody asks, until the agent stops. A stop does not wait for it: what the pipeline has not
    /// written down by then did not happen.
    pub(super) async fn run(mut self, mut queue: ReloadQueue) {
        let cancelled = self.supervisor.cancelled();
        let serving = async {
            while let Some(asked) = queue.next().await {
                let reply = match asked {
                    Asked::Reload(reply) => reply,
                    Asked::Foresee(reply) => {
                        let _ = reply.send(self.foresee().await);
                        continue;
                    }
                    Asked::Recalibrate(kept, reply) => {
                        let _ = reply.send(self.recalibrate(kept).await);
                        continue;
                    }
                };
                let outcome = self.reload().await;
                let refusal = outcome.as_ref().err().cloned();
                // Whoever asked may have gone: the status tells it as well.
                let _ = reply.send(outcome);
                if let Some(ReloadError::Refused(because)) = refusal {
                    self.reconfigurer.note_refusal(self.config.hash(), shortened(&because)).await;
                }
            }
            // Nobody can ask any more; the pollers go on all the same.
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = serving => {}
            () = cancelled.cancelled() => {}
        }
    }

    async fn reload(&mut self) -> Result<String, ReloadError> {
        let outcome = self.attempt().await;
        let now = self.clock.now();
        match outcome {
            Ok(changes) => {
                self.metrics.loaded(&self.config.hash(), now);
                self.shown.send_replace(Arc::new(in_force(&self.config, &self.kept, now)));
                self.configs.send_replace(Arc::new(self.config.clone()));
                Ok(told(&changes))
            }
            Err(error) => {
                // All of an error's lines: a report has one for each mistake.
                let because = format!("{error:#}");
                warn!("the config is not reloaded, the one before stays in force: {because}");
                self.metrics.refused();
                let refusal = Refusal { at: now, because: shortened(&because) };
                self.shown.send_modify(|shown| {
                    *shown = Arc::new(InForce { refusal: Some(refusal), ..InForce::clone(shown) });
                });
                Err(ReloadError::Refused(because))
            }
        }
    }

    /// Reads the config as it stands now.
    async fn read(&self) -> anyhow::Result<Config> {
        let load = self.reloading.load.clone();
        let load = load.context("this agent runs without a config file: there is nothing to read again")?;
        let loaded = self.supervisor.compute(move || load()).await;
        loaded.context("reading the config ended by a defect")?
    }

    /// What a reload would change, and everything for which it would be refused.
    async fn foresee(&self) -> Foreseen {
        let hash_before = self.config.hash();
        let config = match self.read().await {
            Ok(config) => config,
            Err(error) => {
                let refused = format!("{error:#}").lines().map(str::to_owned).collect();
                return Foreseen { hash_before, refused, ..Foreseen::default() };
            }
        };
        let changes = config.changes_since(&self.config);
        let (change, refused) = match self.try_out(&config, &changes) {
            Ok(change) => (Some(change), Vec::new()),
            Err(mistakes) => (None, mistakes),
        };
        let told = &changes.told;
        let kept = |signal: &SignalName| {
            let because = change.as_ref().and_then(|change| self.reconfigurer.begins_anew(change, signal));
            because.map_or(Fate::Kept, |because| Fate::Anew { because })
        };
        let plain = |changes: Vec<KeyChange>| {
            changes.into_iter().map(|change| (change.key, change.before, change.after)).collect()
        };
        let foreseen = |signal: &SignalName, fate: Fate| SignalForeseen {
            signal: signal.clone(),
            settings: match fate {
                Fate::Added | Fate::Removed => Vec::new(),
                Fate::Kept | Fate::Anew { .. } => plain(config.signal_changes_since(&self.config, signal)),
            },
            fate,
        };
        let added = told.added.iter().map(|signal| foreseen(signal, Fate::Added));
        let removed = told.removed.iter().map(|signal| foreseen(signal, Fate::Removed));
        let changed = told.changed.iter().map(|signal| foreseen(signal, kept(signal)));
        Foreseen {
            hash_before,
            config_hash: Some(config.hash()),
            signals: added.chain(removed).chain(changed).collect(),
            unchanged: config.signals.len() - told.added.len() - told.changed.len(),
            keys: plain(config.key_changes_since(&self.config, &changes.keys)),
            refused,
        }
    }

    /// Makes everything that can fail; nothing is changed yet.
    fn try_out(&self, config: &Config, changes: &Changes) -> Result<Change, Vec<String>> {
        let mut mistakes: Vec<String> = changes.at_start_only().into_iter().map(needs_a_restart).collect();
        let client = changes.touch("source").then(|| Prometheus::new(&config.source)).transpose();
        let client = client.map_err(|error| mistakes.push(error.to_string())).unwrap_or_default();
        let model = model(config, changes).map_err(|error| mistakes.push(error.to_string()));
        let model = match model {
            Ok(model) if mistakes.is_empty() => model,
            Ok(_) | Err(()) => return Err(mistakes),
        };
        Ok(Change {
            settings: config.runtime.clone(),
            engine: self.engine(config),
            signals: polled(config),
            source: config.source.clone(),
            client,
            model,
            told: changes.told.clone(),
        })
    }

    /// How the engine decides by a config, with the boundaries that its budgets were calibrated to.
    fn engine(&self, config: &Config) -> engine::Settings {
        let signals = config.signals.iter().map(|signal| signal.query.signal.clone());
        runtime::in_force(&engine_settings(config, signals), &self.kept)
    }

    /// Goes by other boundaries. Nothing else changes, and no state is lost.
    async fn recalibrate(&mut self, kept: Vec<KeptCalibration>) -> Result<(), ReloadError> {
        let before = self.engine(&self.config);
        let kept = std::mem::replace(&mut self.kept, kept);
        let engine = self.engine(&self.config);
        let pairs = before.signals.iter().zip(&engine.signals);
        let moved = pairs.filter(|(before, after)| before != after).map(|(_, (signal, _))| signal.clone());
        let hash = self.config.hash();
        let told = ConfigChange {
            hash_before: hash.clone(),
            config_hash: hash,
            changed: moved.collect(),
            sections: vec!["budget".to_owned()],
            ..ConfigChange::default()
        };
        if told.changed.is_empty() {
            return Ok(());
        }
        let change = Change {
            settings: self.config.runtime.clone(),
            engine,
            signals: polled(&self.config),
            source: self.config.source.clone(),
            client: None,
            model: ModelChange::Keep,
            told,
        };
        if let Err(unavailable) = self.reconfigurer.apply(change).await {
            self.kept = kept;
            return Err(ReloadError::Refused(unavailable.to_string()));
        }
        self.shown.send_modify(|shown| {
            let now = in_force(&self.config, &self.kept, shown.loaded_at);
            *shown = Arc::new(InForce { signals: now.signals, ..InForce::clone(shown) });
        });
        Ok(())
    }

    async fn attempt(&mut self) -> anyhow::Result<Changes> {
        let config = self.read().await?;
        let changes = config.changes_since(&self.config);
        let change =
            self.try_out(&config, &changes).map_err(|mistakes| anyhow::anyhow!(mistakes.join("\n")))?;
        let applied = self.reconfigurer.apply(change).await;
        applied.context("the store does not take the change, so the config of before stays in force")?;
        if let Some(level) = self.reloading.level.as_ref().filter(|_| changes.touch("log.level")) {
            level.set(&config.log.level)?;
        }
        self.config = config;
        Ok(changes)
    }
}

fn needs_a_restart(key: &str) -> String {
    format!("{key}: is read at the start only: restart the agent, or set it back to what it was then")
}

fn model(config: &Config, changes: &Changes) -> Result<ModelChange, crate::llm::LlmError> {
    Ok(match (changes.touch("llm"), config.llm.enabled) {
        (false, _) => ModelChange::Keep,
        (true, false) => ModelChange::Off,
        (true, true) => ModelChange::Ask(Box::new(Model::new(&config.llm)?), config.llm.cache_for),
    })
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(BECAUSE_CHARS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// What a reload changed, in words for whoever asked for it.
fn told(changes: &Changes) -> String {
    let mut text = format!("the config is reloaded; its hash is {}\n", changes.told.config_hash);
    let names = |names: &[crate::series::SignalName]| {
        names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    for (what, list) in [
        ("signals added", names(&changes.told.added)),
        ("signals removed", names(&changes.told.removed)),
        ("signals changed", names(&changes.told.changed)),
        ("keys changed", changes.keys.join(", ")),
    ] {
        if !list.is_empty() {
            text.push_str(&format!("{what}: {list}\n"));
        }
    }
    if changes.keys.is_empty() {
        text.push_str("nothing has changed\n");
    }
    text
}

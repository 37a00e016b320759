//! Finds out which backend answers: at first contact, and again when it is back from an outage.
//!
//! Not knowing is never a reason not to ask: a proxy may hide what the backend says about itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tracing::{info, warn};

use super::backend::{Backend, BackendKind};
use super::client::Prometheus;
use crate::source::{Asked, DecodeError, Flaw, SourceError};
use crate::time::format_duration;

/// A backend that hangs holds up its first answer by no more than this.
const PATIENCE: Duration = Duration::from_secs(5);

/// What VictoriaMetrics puts in the head of each answer.
const VICTORIA_HEADER: &str = "x-server-hostname";

/// What a backend says about itself. Those that only speak Prometheus' API leave parts out.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct BuildInfo {
    /// The version, such as `2.42.0`.
    #[serde(default)]
    pub version: String,
    /// The revision that it was built from.
    #[serde(default)]
    pub revision: String,
    /// The name that Mimir gives.
    #[serde(default)]
    pub application: String,
    /// The compiler that it was built by.
    #[serde(default, rename = "goVersion")]
    pub go_version: String,
}

#[derive(Deserialize)]
struct BuildInfoAnswer {
    data: BuildInfo,
}

/// What is known about the backend, and whether it is to be asked.
#[derive(Debug, Default)]
pub(super) struct Identity {
    state: Mutex<State>,
    /// One asks; those who come meanwhile wait for what it finds.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    backend: Option<Backend>,
    next: Next,
}

/// When the backend is asked who it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Next {
    /// Before the next query.
    #[default]
    Now,
    /// Once it has answered a query: it is away.
    AfterAnAnswer,
    /// Not before it has been away.
    Never,
}

impl Identity {
    /// Knows from the start.
    pub(super) fn fixed(kind: BackendKind) -> Self {
        let backend = Some(Backend { kind, version: None });
        Self {
            state: Mutex::new(State { backend, next: Next::Never }),
            asking: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prometheus {
    /// What is known about the backend; `None` before it has said anything, or where it does not say.
    pub fn backend(&self) -> Option<Backend> {
        self.shared.identity.state().backend.clone()
    }

    /// How far behind the clock the newest step lies that is asked for: what is configured, or more where the backend
    /// wants more. Asks the backend who it is where that is not known; lasts at most 5 s and is no error.
    pub async fn query_delay(&self) -> Duration {
        self.kind().await;
        self.delay()
    }

    /// The same by what is known now.
    pub fn delay(&self) -> Duration {
        let least = self.backend().map_or(Duration::ZERO, |backend| backend.kind.delay_least());
        self.shared.settings.query_delay.max(least)
    }

    /// Which kind to speak to; Prometheus' own where the backend does not say.
    pub(super) async fn kind(&self) -> BackendKind {
        let identity = &self.shared.identity;
        if identity.state().next == Next::Now {
            let _turn = identity.asking.lock().await;
            if identity.state().next == Next::Now {
                self.identify().await;
            }
        }
        identity.state().backend.as_ref().map_or(BackendKind::Prometheus, |backend| backend.kind)
    }

    async fn identify(&self) {
        let identity = &self.shared.identity;
        let asked = Asked::build_info(Arc::clone(&self.shared.name));
        let outcome = match tokio::time::timeout(PATIENCE, self.build_info_once(&asked)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SourceError::Timeout { asked, after: PATIENCE }),
        };
        let (build, kind) = match outcome {
            Ok(found) => found,
            Err(error) => {
                let is_away = error.is_retryable();
                identity.state().next = if is_away { Next::AfterAnAnswer } else { Next::Never };
                if !is_away {
                    info!(
                        "which backend it is stays unknown, and it is taken for a Prometheus: {error}; source.kind tells it"
                    );
                }
                return;
            }
        };
        // What VictoriaMetrics tells is the version of the Prometheus that it gives itself out for.
        let version =
            Some(build.version).filter(|text| !text.is_empty() && kind != BackendKind::VictoriaMetrics);
        let found = Backend { kind, version };
        let mut state = identity.state();
        state.next = Next::Never;
        if state.backend.as_ref() != Some(&found) {
            self.tell(&found);
            state.backend = Some(found);
        }
    }

    fn tell(&self, found: &Backend) {
        let (kind, name) = (found.kind.as_str(), &self.shared.name);
        let version = found.version.as_deref().unwrap_or("unknown");
        info!(kind, version, "the backend at {name} is {kind}, version {version}");
        let (configured, least) = (self.shared.settings.query_delay, found.kind.delay_least());
        if configured < least {
            let [configured, least] = [configured, least].map(format_duration);
            warn!(
                "source.query_delay of {configured} is taken for {least}: {kind} repeats older values at newer steps; \
                 set it to {least} to hear no more of this"
            );
        }
    }

    /// Notes how a query went: a backend that was away may be another when it is back.
    pub(super) fn note(&self, outcome: Result<(), &SourceError>) {
        if self.shared.settings.kind.is_some() {
            return;
        }
        let mut state = self.shared.identity.state();
        state.next = match (outcome, state.next) {
            (Ok(()), Next::AfterAnAnswer) => Next::Now,
            (Err(error), Next::Never) if error.is_retryable() => Next::AfterAnAnswer,
            (_, next) => next,
        };
    }

    /// Asks which backend this is and in which version.
    ///
    /// # Errors
    /// As [`Prometheus::range`].
    pub async fn build_info(&self) -> Result<BuildInfo, SourceError> {
        let asked = Asked::build_info(Arc::clone(&self.shared.name));
        let once = || self.build_info_once(&asked);
        let (build, _) = super::retry::with_retries(&self.shared.settings, &asked, once).await?;
        Ok(build)
    }

    async fn build_info_once(&self, asked: &Arc<Asked>) -> Result<(BuildInfo, BackendKind), SourceError> {
        let exchange = self.exchange(asked);
        let mut url = self.shared.base.clone();
        url.set_path(&format!("{}/api/v1/status/buildinfo", url.path().trim_end_matches('/')));
        let ready = self.prepare(&exchange).await?;
        let response = ready.client.get(url).headers(ready.headers).send().await;
        let response = response.map_err(|error| exchange.failure(&error))?;
        let signs_as_victoria = response.headers().contains_key(VICTORIA_HEADER);
        let body = exchange.body(response, ready.secrets).await?.bytes;
        let answer: BuildInfoAnswer = serde_json::from_slice(&body).map_err(|error| {
            let flaw = Flaw { at: byte_of(&body, &error), because: "no build information is found" };
            SourceError::Decode { asked: Arc::clone(asked), because: DecodeError::Malformed(flaw) }
        })?;
        let kind = BackendKind::of(&answer.data, signs_as_victoria);
        Ok((answer.data, kind))
    }
}

/// Where in a text serde stopped; it counts lines and columns from one.
fn byte_of(body: &[u8], error: &serde_json::Error) -> usize {
    let lines_before = error.line().saturating_sub(1);
    let lines = body.split_inclusive(|byte| *byte == b'\n');
    let start: usize = lines.take(lines_before).map(<[u8]>::len).sum();
    start + error.column().saturating_sub(1)
}

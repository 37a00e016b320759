//! The API on a free port of the loopback, with a real store in a temporary folder and a test that speaks for the
//! pipeline.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Method, Response, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::schema::misfit;
use crate::api::serve::CONNECTIONS_MAX;
use crate::api::{Entrance, InForce, Parts, Settings, SignalInfo, openapi, router, serve};
use crate::detect::{self, Kind, SignalPlan};
use crate::runtime::{Rehearsal, ReloadQueue, Reloads, rehearse};
use crate::series::SignalName;
use crate::store::{self, Commit, Store};
use crate::telemetry::Registry;
use crate::time::Timestamp;

/// Requests that wait for the pipeline, at most.
const REQUESTS_MAX: usize = 2;

pub(super) struct Server {
    pub(super) url: String,
    pub(super) client: Client,
    pub(super) store: Store,
    pub(super) pipeline: Rehearsal,
    pub(super) config: watch::Sender<Arc<InForce>>,
    /// Where it is dropped, the agent stops.
    pub(super) reload_queue: Option<ReloadQueue>,
    pub(super) document: Value,
    /// The router as it prints itself, with the paths that it has.
    pub(super) printed: String,
    pub(super) cancel: DropGuard,
    pub(super) task: JoinHandle<io::Result<()>>,
    _folder: TempDir,
}

pub(super) fn settings() -> Settings {
    Settings::at(SocketAddr::from(([127, 0, 0, 1], 0)))
}

pub(super) fn signal(name: &str) -> SignalInfo {
    SignalInfo {
        name: SignalName::new(name),
        promql: format!("demo_{name}"),
        interval: Duration::from_secs(60),
        plan: SignalPlan {
            settings: detect::Settings::classic(),
            kind: Kind::of_name(name),
            step: Duration::from_secs(15),
            window: Duration::ZERO,
            series_limit: 100,
            overrides: Vec::new(),
        },
    }
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::start_with(settings()).await
    }

    pub(super) async fn start_with(settings: Settings) -> Self {
        Self::start_limited(settings, CONNECTIONS_MAX).await
    }

    /// Starts one that takes only so many connections at once.
    pub(super) async fn start_limited(settings: Settings, connections_max: usize) -> Self {
        let (handle, pipeline) = rehearse(REQUESTS_MAX);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portent.db");
        let store = Store::open(&store::Settings { path }).await.unwrap();
        let registry = &mut Registry::new();
        let entrance = Entrance { connections_max, ..Entrance::open(&settings, registry).unwrap() };
        let registry = Arc::new(std::mem::take(registry));
        let (reloads, reload_queue) = Reloads::channel();
        let (config, shown) = watch::channel(Arc::new(InForce {
            signals: Arc::new([signal("error_rate"), signal("latency_p95")]),
            config_hash: "c0ffee".to_owned(),
            loaded_at: Timestamp::from_millis(0),
            refusal: None,
        }));
        let parts = Parts {
            store: store.clone(),
            pipeline: handle,
            config: shown,
            reloads,
            budgets: watch::channel(Arc::default()).1,
            version: "1.2.3".to_owned(),
            metrics: Arc::new(move || registry.encode()),
        };
        let listener = TcpListener::bind(settings.listen_address).await.unwrap();
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let cancel = CancellationToken::new();
        let router = router(parts, &settings, &entrance);
        let printed = format!("{router:?}");
        let (_, routes) = watch::channel(router);
        let task = spawn(serve(listener, routes, entrance, cancel.clone()));
        let document = serde_json::from_str(&openapi()).unwrap();
        let (client, cancel) = (Client::new(), cancel.drop_guard());
        Self {
            url,
            client,
            store,
            pipeline,
            config,
            reload_queue: Some(reload_queue),
            document,
            printed,
            cancel,
            task,
            _folder: folder,
        }
    }

    pub(super) async fn send(&self, method: Method, path: &str) -> Response {
        let reply = self.client.request(method, format!("{}{path}", self.url)).send().await.unwrap();
        for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
            assert_eq!(reply.headers()[name], value, "{path}");
        }
        reply
    }

    pub(super) async fn get(&self, path: &str) -> Response {
        self.send(Method::GET, path).await
    }

    /// The JSON of a reply that succeeds, held to the schema of the operation.
    pub(super) async fn json(&self, operation: &str, path: &str) -> Value {
        let reply = self.get(path).await;
        let status = reply.status();
        let text = reply.text().await.unwrap();
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        let body: Value = serde_json::from_str(&text).unwrap();
        self.hold("get", operation, "200", &body);
        body
    }

    /// Writes down what happened.
    pub(super) async fn tell(&self, commit: &Commit) {
        self.store.commit(commit).await.unwrap();
    }

    /// Holds a body to the schema that the document promises for an operation.
    #[track_caller]
    pub(super) fn hold(&self, method: &str, operation: &str, status: &str, body: &Value) {
        let content = &self.document["paths"][operation][method]["responses"][status]["content"];
        let schema = content.as_object().and_then(|content| content.values().next());
        let schema = schema.unwrap_or_else(|| panic!("{method} {operation} {status} is not documented"));
        assert_eq!(misfit(&self.document, &schema["schema"], body, operation), None, "{body:#}");
    }
}

/// Holds a refusal to its form: the status, the path that was asked for, and words that its detail has.
pub(super) async fn refused(reply: Response, status: u16, kind: &str, words: &[&str]) -> Value {
    let path = reply.url().path().to_owned();
    let types: Vec<_> = reply.headers().get_all("content-type").iter().cloned().collect();
    let (seen, text) = (reply.status().as_u16(), reply.text().await.unwrap());
    assert_eq!(seen, status, "{path}: {text}");
    assert_eq!(types, ["application/problem+json"], "{path}: {text}");
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["type"], format!("urn:portent:problem:{kind}"), "{body:#}");
    assert_eq!((&body["status"], &body["instance"]), (&status.into(), &path.into()), "{body:#}");
    assert!(body["title"].as_str().is_some_and(|title| !title.is_empty()), "{body:#}");
    for word in words {
        assert!(body["detail"].as_str().unwrap().contains(word), "{body:#} lacks {word:?}");
    }
    body
}

#[expect(clippy::disallowed_methods, reason = "a test has no supervisor")]
pub(super) fn spawn<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
    tokio::spawn(future)
}

//! All routes, each with the part of the agent that it needs.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::response::Redirect;
use axum::routing::get;

use super::access::{Access, guard};
use super::budgets::Budgets;
use super::diagnosis::Diagnoses;
use super::entrance::Entrance;
use super::explain::Explaining;
use super::incidents::Incidents;
use super::index::Index;
use super::lifecycle::Lifecycle;
use super::links::Links;
use super::openapi::document;
use super::passage::{Site, other_method, pass, unknown_path};
use super::probes::{EncodeMetrics, Probes};
use super::signals::Signals;
use super::status::Agent;
use super::{
    CurrentConfig, Settings, budgets, diagnosis, docs, events, explain, incidents, index, lifecycle, probes,
    series, signals, status,
};
use crate::runtime::{Handle, Reloads, Standings};
use crate::store::Store;

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// What the API shows and speaks to.
#[derive(Clone)]
pub struct Parts {
    /// What was written down.
    pub store: Store,
    /// The running pipeline.
    pub pipeline: Handle,
    /// The config that is in force.
    pub config: CurrentConfig,
    /// Has the config read again.
    pub reloads: Reloads,
    /// How the noise budgets stand.
    pub budgets: Standings,
    /// The release that is running.
    pub version: String,
    /// Writes the agent's own metrics.
    pub metrics: EncodeMetrics,
}

/// All routes, below the route prefix, each for those who may.
pub fn router(parts: Parts, settings: &Settings, entrance: &Entrance) -> Router {
    let Parts { store, pipeline, config, reloads, budgets, version, metrics } = parts;
    let links = Links::new(settings);
    let agent = Agent {
        store: store.clone(),
        pipeline: pipeline.clone(),
        config: config.clone(),
        version: version.as_str().into(),
        external_url: settings.external_url.as_deref().map(Arc::from),
    };
    // A document of texts and numbers always has a JSON form; without one, nobody would be let in.
    let told = serde_json::to_value(document()).unwrap_or_default();
    let access = Arc::new(Access::new(settings, &told, entrance));
    let budgets = Budgets { standings: budgets, config: config.clone(), pipeline: pipeline.clone() };
    let index = Index::new(&version, document(), &links);
    let docs = docs::routes(&links, index.document());
    let explaining = Explaining::new(&store, &config, &pipeline);
    let incidents = Incidents { store: store.clone(), links: links.clone() };
    let router = Router::new()
        .merge(index::routes().with_state(index))
        .merge(probes::routes().with_state(Probes { pipeline: pipeline.clone(), metrics }))
        .merge(lifecycle::routes().with_state(Lifecycle { reloads }))
        .merge(incidents::routes().merge(events::routes()).with_state(incidents))
        .merge(diagnosis::routes().with_state(Diagnoses { store, pipeline: pipeline.clone(), links }))
        .merge(signals::routes().merge(series::routes()).with_state(Signals { config, pipeline }))
        .merge(explain::routes().with_state(explaining))
        .merge(status::routes().with_state(agent))
        .merge(budgets::routes().with_state(budgets))
        .merge(docs)
        .method_not_allowed_fallback(other_method);
    below(&settings.route_prefix, router)
        .fallback(unknown_path)
        .layer(from_fn_with_state(access, guard))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(from_fn_with_state(Site::new(settings), pass))
}

fn below(prefix: &str, router: Router) -> Router {
    match prefix.trim_matches('/') {
        "" => router,
        prefix => {
            let (root, index) = (format!("/{prefix}"), format!("/{prefix}/"));
            let to_root = Redirect::permanent(&root);
            Router::new().nest(&root, router).route(&index, get(async || to_root))
        }
    }
}

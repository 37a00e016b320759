//! The HTTP service: all paths, and the loop that serves them until it is told to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{Method, Uri};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::faults::World;
use crate::problem::{Kind, Problem};
use crate::{control, exposition, query};

/// Tells the time in Unix milliseconds. It is passed in, so that it can run faster than the wall clock, or stand still.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The largest body that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// How long open connections may take to finish once it is told to stop.
const GRACE: Duration = Duration::from_secs(5);

const INDEX: &str = "\
Portent demo service: five simulated services with a known fault schedule.

GET  /metrics                      gauges and counters to scrape
GET  /api/v1/query, query_range    Prometheus API for plain selectors, by POST too
GET  /faults                       ground truth: past, active and planned faults
POST /faults                       start a fault: {\"scenario\": \"bad_deployment\"}
DELETE /faults/{id}                end a posted fault
GET  /scenarios                    what can be started by name, and the call graph
GET  /-/healthy, /-/ready
";

/// All paths of the service. The counters on `/metrics` start from zero now.
pub fn router(world: World, clock: Clock) -> Router {
    Router::new()
        .route("/", get(async || INDEX))
        .route("/-/healthy", get(async || "Portent demo service is healthy.\n"))
        .route("/-/ready", get(async || "Portent demo service is ready.\n"))
        .merge(exposition::router(world.clone(), clock.clone()))
        .merge(query::router(world.clone(), clock.clone()))
        .merge(control::router(world, clock))
        .fallback(unknown_path)
        .method_not_allowed_fallback(other_method)
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
}

async fn unknown_path(uri: Uri) -> Problem {
    Problem::new(Kind::UnknownPath, format!("there is no {:?}; / lists what there is", uri.path()))
}

async fn other_method(method: Method, uri: Uri) -> Problem {
    Problem::new(Kind::MethodNotAllowed, format!("{method} is not possible on {:?}", uri.path()))
}

/// Serves all paths on a listener until it is cancelled, then lets open connections finish for 5 s.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    world: World,
    clock: Clock,
    cancel: CancellationToken,
) -> io::Result<()> {
    let stop = cancel.clone().cancelled_owned();
    let server = axum::serve(listener, router(world, clock)).with_graceful_shutdown(stop);
    let mut server = std::pin::pin!(server.into_future());
    tokio::select! {
        ended = &mut server => return ended,
        () = cancel.cancelled() => {}
    }
    // A client that never finishes its request must not hold up the stop.
    tokio::time::timeout(GRACE, server).await.unwrap_or(Ok(()))
}

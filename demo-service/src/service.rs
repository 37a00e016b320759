//! The HTTP service: all paths, and the loop that serves them until it is told to stop.

use std::io;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, Method, Uri, header};
use axum::middleware::map_response;
use axum::response::Response;
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

/// An HTTP date has a year of four digits.
const DATE_MAX: Duration = Duration::from_secs(253_402_300_799);

const INDEX: &str = "\
Portent demo service: five simulated services with a known fault schedule.

GET  /metrics                      gauges and counters to scrape
GET  /api/v1/query, query_range    Prometheus API for plain selectors and sums, by POST too
GET  /faults                       ground truth: past, active and planned faults
POST /faults                       start a fault: {\"scenario\": \"bad_deployment\"}
DELETE /faults/{id}                end a posted fault
GET  /scenarios                    what can be started by name, and the call graph
GET  /-/healthy, /-/ready
";

/// All paths of the service. The counters on `/metrics` start from zero now.
pub fn router(world: World, clock: Clock) -> Router {
    let time = clock.clone();
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
        .layer(map_response(move |response: Response| std::future::ready(dated(response, time()))))
}

/// Stamps a response with the service's own time, which may run faster than the wall clock: whoever compares it with
/// the time of the samples must find one clock. The server leaves a `Date` alone that is there.
fn dated(mut response: Response, now_ms: i64) -> Response {
    let since = Duration::from_millis(now_ms.max(0).unsigned_abs());
    let date = httpdate::fmt_http_date(UNIX_EPOCH + since.min(DATE_MAX));
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(header::DATE, date);
    }
    response
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

//! The loop that serves a router until it is told to stop.

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// How long open connections may take to finish once it is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves on a listener until it is cancelled, then takes no new connection and lets the open ones finish for 5 s.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, router: Router, cancel: CancellationToken) -> io::Result<()> {
    let stop = cancel.clone().cancelled_owned();
    let mut server = pin!(axum::serve(listener, router).with_graceful_shutdown(stop).into_future());
    tokio::select! {
        ended = &mut server => return ended,
        () = cancel.cancelled() => {}
    }
    // A client that never finishes its request must not hold up the stop.
    tokio::time::timeout(GRACE, server).await.unwrap_or(Ok(()))
}

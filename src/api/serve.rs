//! The loop that takes connections until it is told to stop.
//!
//! Nothing that a client does or fails to do holds it up: each connection has a task of its own, their number is
//! bounded, and so is the time for a handshake, for the head of a request and for taking in an answer.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::entrance::Entrance;
use super::metrics::Metrics;
use super::tls::Certificates;

/// How long open connections may take to finish once it is told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// Connections at once; further ones are closed.
pub(super) const CONNECTIONS_MAX: usize = 512;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// How long the head of a request may take, from the end of the answer before.
const HEAD: Duration = Duration::from_secs(30);
/// How long a client may take nothing of an answer.
const STALLED: Duration = Duration::from_secs(30);
/// The bytes of a request's head, at most.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long it waits when the system has no room for a connection.
const NO_ROOM: Duration = Duration::from_millis(200);

/// Serves on a listener until it is cancelled, then takes no new connection and lets the open ones finish for 5 s.
/// Each request goes by the routes that `routes` shows then.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: TcpListener,
    routes: watch::Receiver<Router>,
    entrance: Entrance,
    cancel: CancellationToken,
) -> io::Result<()> {
    let Entrance { certificates, metrics, connections_max, .. } = entrance;
    let mut open = JoinSet::new();
    loop {
        let count = i64::try_from(open.len()).unwrap_or(i64::MAX);
        metrics.connections.set(count);
        let accepted = tokio::select! {
            () = cancel.cancelled() => break,
            Some(_) = open.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        // Those that have ended make room before the next one is judged.
        while open.try_join_next().is_some() {}
        match accepted {
            Ok(_) if open.len() >= connections_max => drop(metrics.connections_refused.inc()),
            Ok((stream, _)) => {
                let connection = Connection {
                    routes: routes.clone(),
                    certificates: certificates.clone(),
                    metrics: metrics.clone(),
                    cancel: cancel.clone(),
                };
                open.spawn(connection.run(stream));
            }
            Err(error) if is_of_the_peer(&error) => {}
            Err(error) => {
                warn!(error = %error, "no connection could be taken: {error}");
                let _ = timeout(NO_ROOM, cancel.cancelled()).await;
            }
        }
    }
    drop(listener);
    // A client that never finishes its request must not hold up the stop: what is left is ended with the set.
    let _ = timeout(GRACE, async { while open.join_next().await.is_some() {} }).await;
    Ok(())
}

/// Whether a connection broke before it was taken, which says nothing about the listener.
fn is_of_the_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// What one connection is served with.
struct Connection {
    routes: watch::Receiver<Router>,
    certificates: Option<Arc<Certificates>>,
    metrics: Metrics,
    cancel: CancellationToken,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(STALLED));
        let stream = Box::pin(stream);
        let Some(certificates) = &self.certificates else {
            return self.answer(stream).await;
        };
        let acceptor = TlsAcceptor::from(certificates.config());
        match timeout(HANDSHAKE, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => self.answer(stream).await,
            Ok(Err(error)) => {
                self.metrics.handshakes_failed.inc();
                debug!(error = %error, "a TLS handshake failed: {error}");
            }
            Err(_) => {
                self.metrics.handshakes_failed.inc();
                debug!("a TLS handshake took more than {} s", HANDSHAKE.as_secs());
            }
        }
    }

    async fn answer(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let routes = self.routes.clone();
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let router = routes.borrow().clone();
            TowerToHyperService::new(router).call(request)
        });
        let mut builder = http1::Builder::new();
        // The buffer alone is no bound: what one read has put into its spare room is parsed however long it is.
        builder.max_header_size(HEAD_BYTES_MAX).max_buf_size(HEAD_BYTES_MAX);
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        tokio::select! {
            _ = connection.as_mut() => return,
            () = self.cancel.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

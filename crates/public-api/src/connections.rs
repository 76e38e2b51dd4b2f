//! HTTP/1 connections: accepted up to a limit, tracked, and ended with their listener.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::ServeError;

/// How long requests that are under way may go on after a listener was told to end.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// Serve `router` on `listener` until `shutdown`, then drain for [`SHUTDOWN_GRACE`].
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let tracker = TaskTracker::new();
    let draining = shutdown.child_token();
    let abort = CancellationToken::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let outcome = loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break Ok(()),
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let connection = Connection {
                    router: router.clone(),
                    draining: draining.clone(),
                    abort: abort.clone(),
                    _slot: slot,
                };
                tracker.spawn(connection.run(stream));
            }
            Err(source) => break Err(ServeError::Accept { source }),
        }
    };
    // A listener that failed ends its connections like one that was told to.
    drop(listener);
    draining.cancel();
    drain(&tracker, &abort).await;
    outcome
}

async fn drain(tracker: &TaskTracker, abort: &CancellationToken) {
    tracker.close();
    if tokio::time::timeout(SHUTDOWN_GRACE, tracker.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            connections = tracker.len(),
            "connections cut after the grace period"
        );
        abort.cancel();
        tracker.wait().await;
    }
}

/// The next connection, once there is room for it. Whoever comes beyond the limit waits in the
/// backlog of the kernel, which is bounded too.
pub(crate) async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, Option<OwnedSemaphorePermit>)> {
    // The semaphore is never closed, so there always is a permit in the end.
    let slot = Arc::clone(slots).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are written whole; waiting to fill a segment only delays them. Where it
                // fails the peer is gone, which reading from it will tell.
                let _ = stream.set_nodelay(true);
                return Ok((stream, slot));
            }
            Err(error) if passes(&error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether an accept error concerns one connection, or a shortage that may end, rather than the
/// listening socket.
fn passes(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    let one_connection = matches!(
        error.kind(),
        Kind::ConnectionAborted | Kind::ConnectionReset | Kind::Interrupted | Kind::TimedOut
    );
    one_connection || matches!(error.raw_os_error(), Some(code) if SHORTAGES.contains(&code))
}

struct Connection {
    router: Router,
    draining: CancellationToken,
    abort: CancellationToken,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let mut builder = Builder::new(TokioExecutor::new()).http1_only();
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_READ_TIMEOUT);
        let service = TowerToHyperService::new(self.router);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
        let served = tokio::select! {
            served = connection.as_mut() => Some(served),
            () = self.draining.cancelled() => None,
        };
        let served = match served {
            Some(served) => served,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    served = connection => served,
                    () = self.abort.cancelled() => return,
                }
            }
        };
        if let Err(error) = served {
            tracing::debug!(error, "connection ended");
        }
    }
}

/// Enough for every client of a node and its load balancer; each costs a few kilobytes.
pub(crate) const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take for the head of a request, which is also how long a connection
/// may idle between two of them.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Out of file descriptors there is nothing to do but to wait; without a pause the loop would
/// spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// ENOMEM, ENFILE, EMFILE, ENOBUFS on Linux.
const SHORTAGES: [i32; 4] = [12, 23, 24, 105];

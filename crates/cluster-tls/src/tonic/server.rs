//! Serving with tonic, and ending each connection in its own time.

use std::future::Future;
use std::pin::pin;

use ::tonic::transport::server::Router;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::{StreamExt, once, pending};

use super::incoming::Incoming;
use super::stream::NodeStream;

/// Serves `router` on every connection of `incoming` until `shutdown`, and then until the last
/// connection has ended.
///
/// tonic ends connections gracefully when a whole server ends, or at one age for all. Here every
/// connection has its own end, so every connection is a tonic server of its own.
pub(super) async fn serve(
    mut incoming: Incoming,
    router: Router,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopped) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(Ok(stream)) = incoming.next() => {
                connections.spawn(serve_one(stream, router.clone(), stopped.clone()));
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
    // Nobody new gets in while the others finish.
    drop(incoming);
    drop(stop);
    while connections.join_next().await.is_some() {}
}

/// Serves one connection until it ends by itself, or has been asked to and done so.
async fn serve_one(mut stream: NodeStream, router: Router, mut stopped: watch::Receiver<()>) {
    let (draining, gone) = (stream.draining(), stream.gone());
    let end = async move {
        tokio::select! {
            () = draining => {}
            () = gone => {}
            // Nothing is ever sent: the end of the sender is the sign.
            _ = stopped.changed() => {}
        }
    };
    // A stream that ends is taken for the end of the server, so it goes on without a further item.
    let connection = once(Ok::<_, std::io::Error>(stream)).chain(pending());
    // The error is about the connection, which is over in any case.
    let _ = router.serve_with_incoming_shutdown(connection, end).await;
}

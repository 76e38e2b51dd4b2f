//! The accept loop.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;

use super::stream::NodeStream;
use super::transport::{Mode, Mutual};

/// The connections of a listener whose peers have proven themselves; see
/// [`NodeTransport::incoming`](super::NodeTransport::incoming).
///
/// It must be polled within a tokio runtime.
pub struct Incoming {
    mode: Mode,
    listener: TcpListener,
    handshakes: JoinSet<Option<NodeStream>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Incoming {
    pub(super) fn new(mode: Mode, listener: TcpListener) -> Self {
        Self {
            mode,
            listener,
            handshakes: JoinSet::new(),
            pause: None,
        }
    }

    /// The next finished handshake, unless none is under way. A refused one has told the events
    /// why and is of no further interest.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<NodeStream> {
        loop {
            match self.handshakes.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Some(stream)))) => return Poll::Ready(stream),
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The next TCP connection, if there is room for one and the last error is long enough ago.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            if self.handshakes.len() >= self.mode.pending_connections() {
                return Poll::Pending;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok(accepted) => return Poll::Ready(accepted),
                Err(error) if is_about_one_connection(&error) => {}
                Err(error) => {
                    self.mode.accept_failed(&error);
                    self.pause = Some(Box::pin(sleep(ACCEPT_PAUSE)));
                }
            }
        }
    }
}

impl Stream for Incoming {
    type Item = Result<NodeStream, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(stream) = self.poll_finished(cx) {
                return Poll::Ready(Some(Ok(stream)));
            }
            let (tcp, remote) = ready!(self.poll_accept(cx));
            // Nagle's delay would slow down small requests; a socket that refuses is used as is.
            let _ = tcp.set_nodelay(true);
            match &self.mode {
                Mode::Plaintext { .. } => {
                    return Poll::Ready(Some(Ok(NodeStream::plaintext(tcp, remote))));
                }
                Mode::Mutual(mutual) => {
                    let handshake = handshake(Arc::clone(mutual), tcp, remote);
                    self.handshakes.spawn(handshake);
                }
            }
        }
    }
}

impl Debug for Incoming {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("listener", &self.listener)
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}

impl Mode {
    fn pending_connections(&self) -> usize {
        let limits = match self {
            Self::Mutual(mutual) => mutual.acceptor.limits(),
            Self::Plaintext { accept, .. } => *accept,
        };
        limits.pending_connections.max(1)
    }

    fn accept_failed(&self, error: &io::Error) {
        if let Self::Mutual(mutual) = self {
            mutual.acceptor.events().accept_failed(error);
        }
    }
}

async fn handshake(mutual: Arc<Mutual>, tcp: TcpStream, remote: SocketAddr) -> Option<NodeStream> {
    let stream = mutual.acceptor.accept(tcp, remote).await.ok()?;
    Some(NodeStream::mutual(stream, remote))
}

/// A peer that is gone again before it was accepted says nothing about the listener.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}

/// Without descriptors or memory the next attempt fails as well, and at once: spinning would take
/// the time that other tasks need to give some back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

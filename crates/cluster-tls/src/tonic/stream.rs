//! A connection between nodes, as tonic sees it.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::tonic::transport::server::Connected;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::connections::Draining;
use crate::identity::PeerIdentity;
use crate::stream::PeerStream;

/// A connection to a peer, proven or plaintext as its transport is.
#[derive(Debug)]
pub struct NodeStream {
    io: Io,
    connection: Connection,
    alive: Option<oneshot::Sender<Infallible>>,
}

#[derive(Debug)]
enum Io {
    Mutual(Box<PeerStream<TcpStream>>),
    Plaintext(TcpStream),
}

/// What is known about the connection a request came in on.
///
/// tonic puts it into the extensions of every request; it is the only place from which a handler
/// may take a peer's identity.
///
/// # Examples
///
/// ```
/// use cluster_tls::tonic::Connection;
///
/// fn caller<T>(request: &tonic::Request<T>) -> Option<&str> {
///     let connection = request.extensions().get::<Connection>()?;
///     connection.peer()?.uri()
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Connection {
    remote: SocketAddr,
    peer: Option<Arc<PeerIdentity>>,
    draining: Draining,
}

impl Connection {
    /// The peer's end of the TCP connection.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Who the peer is; `None` only on a plaintext transport.
    #[must_use]
    pub fn peer(&self) -> Option<&Arc<PeerIdentity>> {
        self.peer.as_ref()
    }

    /// Ends when the connection should come to its end: a handler whose stream would never end by
    /// itself ends it then, so that its caller opens another one on a new connection and nothing
    /// is cut. It never ends on a plaintext transport.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.draining.clone().begun()
    }
}

impl NodeStream {
    pub(super) fn mutual(stream: PeerStream<TcpStream>) -> Self {
        let remote = stream.remote();
        let connection = Connection {
            remote,
            peer: Some(Arc::clone(stream.peer())),
            draining: stream.drain_signal(),
        };
        Self {
            io: Io::Mutual(Box::new(stream)),
            connection,
            alive: None,
        }
    }

    pub(super) fn plaintext(stream: TcpStream, remote: SocketAddr) -> Self {
        Self {
            io: Io::Plaintext(stream),
            connection: Connection {
                remote,
                peer: None,
                draining: Draining::never(),
            },
            alive: None,
        }
    }

    /// Ends when the connection should come to its end; see [`PeerStream::draining`]. A plaintext
    /// connection has no such end.
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        self.connection.draining()
    }

    /// Ends when the stream is dropped.
    pub(super) fn gone(&mut self) -> impl Future<Output = ()> + Send + use<> {
        let (alive, gone) = oneshot::channel::<Infallible>();
        self.alive = Some(alive);
        async move {
            let _ = gone.await;
        }
    }

    /// What is known about the peer.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Connected for NodeStream {
    type ConnectInfo = Connection;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.connection.clone()
    }
}

impl AsyncRead for NodeStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Mutual(stream) => Pin::new(stream).poll_read(cx, buf),
            Io::Plaintext(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for NodeStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Mutual(stream) => Pin::new(stream).poll_write(cx, buf),
            Io::Plaintext(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Mutual(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Io::Plaintext(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Mutual(stream) => stream.is_write_vectored(),
            Io::Plaintext(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Mutual(stream) => Pin::new(stream).poll_flush(cx),
            Io::Plaintext(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Mutual(stream) => Pin::new(stream).poll_shutdown(cx),
            Io::Plaintext(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

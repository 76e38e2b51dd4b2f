//! Accepted connections, as tonic's own servers take them.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::net::TcpListener;
use tokio_stream::Stream;

use super::stream::NodeStream;
use super::transport::Mode;
use crate::accept::{Listener, TcpConnections};
use crate::event::NoEvents;

/// The connections of a listener whose peers have proven themselves; see
/// [`NodeTransport::incoming`](super::NodeTransport::incoming).
///
/// It must be polled within a tokio runtime. Every item is `Ok`: the error type is what tonic's
/// servers ask for.
pub struct Incoming {
    listener: Kind,
}

enum Kind {
    Mutual(Listener),
    Plaintext(TcpConnections),
}

impl Incoming {
    pub(super) fn new(mode: &Mode, listener: TcpListener) -> Self {
        let listener = match mode {
            Mode::Mutual(mutual) => Kind::Mutual(Listener::new(listener, mutual.acceptor.clone())),
            Mode::Plaintext { .. } => Kind::Plaintext(TcpConnections::new(listener)),
        };
        Self { listener }
    }
}

impl Stream for Incoming {
    type Item = Result<NodeStream, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = match &mut self.listener {
            Kind::Mutual(listener) => NodeStream::mutual(ready!(listener.poll_accept(cx))),
            Kind::Plaintext(listener) => {
                let (tcp, remote) = ready!(listener.poll_accept(cx, &NoEvents));
                NodeStream::plaintext(tcp, remote)
            }
        };
        Poll::Ready(Some(Ok(stream)))
    }
}

impl Debug for Incoming {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.listener {
            Kind::Mutual(listener) => listener.fmt(f),
            Kind::Plaintext(listener) => listener.fmt(f),
        }
    }
}

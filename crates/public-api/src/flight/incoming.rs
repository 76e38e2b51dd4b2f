//! Connections for the gRPC server, counted.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::transport::server::{Connected, TcpConnectInfo};

use crate::connections::{MAX_CONNECTIONS, accept};

/// Every connection of `listener`, at most [`MAX_CONNECTIONS`] of them at a time.
///
/// The server's own incoming stream ends at the first shortage of file descriptors and has no
/// limit; this one waits both out.
pub(super) fn incoming(listener: TcpListener) -> impl Stream<Item = io::Result<Counted>> {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    stream::try_unfold((listener, slots), async |(listener, slots)| {
        let (stream, slot) = accept(&listener, &slots).await?;
        let counted = Counted {
            stream,
            _slot: slot,
        };
        Ok(Some((counted, (listener, slots))))
    })
}

/// A connection that holds its place until it is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    stream: TcpStream,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Connected for Counted {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

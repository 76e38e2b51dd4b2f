//! An authenticated connection.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::CommonState;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::accept::{AgeLimits, Replayed};
#[cfg(feature = "tonic")]
use crate::connections::Draining;
use crate::connections::{Admission, CloseCause, Cut, Half, Live};
use crate::credentials::Credentials;
use crate::event::{Events, Side};
use crate::identity::PeerIdentity;
use crate::refusal::{Refusal, RefusalReason};
use crate::snapshot::Snapshot;
use crate::verify::{Verdict, Verified};

/// A TLS connection whose peer has proven who it is.
///
/// It is one of the [live connections](crate::Connections) until it is dropped. When its time has
/// come, or its peer is no longer believed, reads and writes fail with
/// [`ConnectionAborted`](io::ErrorKind::ConnectionAborted) and a [`Cut`](crate::Cut) inside.
pub struct PeerStream<IO> {
    stream: TlsStream<Replayed<IO>>,
    live: Live,
}

/// A handshake that has just succeeded.
pub(crate) struct Handshaken<IO> {
    pub(crate) stream: TlsStream<Replayed<IO>>,
    pub(crate) side: Side,
    pub(crate) remote: SocketAddr,
    pub(crate) verdict: Verdict,
}

impl<IO> Handshaken<IO> {
    /// Names the peer and enters the connection among the live ones.
    pub(crate) fn establish(
        self,
        snapshot: &Snapshot,
        credentials: &Credentials,
        age: AgeLimits,
        events: &Arc<dyn Events>,
    ) -> Result<PeerStream<IO>, Refusal> {
        let connection = self.stream.get_ref().1;
        let Some(Ok(verified)) = self.verdict.take() else {
            let detail = "the peer showed no certificate";
            return Err(Refusal::new(RefusalReason::NoCertificate, detail));
        };
        must_speak(connection, snapshot, &verified)?;
        if self.side == Side::Dialled && !self.verdict.was_asked() {
            return Err(Refusal::not_mutual().claiming(verified.certificate.claims()));
        }
        let peer = PeerIdentity::new(
            verified.claims,
            &verified.certificate,
            snapshot.generation(),
        );
        let admission = Admission {
            side: self.side,
            remote: self.remote,
            lifetime: age.lifetime(&peer, snapshot.verifier().now()),
            peer: Arc::new(peer),
            chain: connection.peer_certificates().unwrap_or_default().to_vec(),
            connections_per_peer: age.connections_per_peer,
            events: Arc::clone(events),
        };
        let live = credentials
            .registry()
            .enter(admission, credentials)
            .map_err(|refusal| refusal.claiming(verified.certificate.claims()))?;
        Ok(PeerStream {
            stream: self.stream,
            live,
        })
    }
}

/// rustls refuses a peer whose offers do not include our protocol, but lets one pass that offers
/// nothing at all.
fn must_speak(
    connection: &CommonState,
    snapshot: &Snapshot,
    verified: &Verified,
) -> Result<(), Refusal> {
    let wanted = snapshot.protocol().as_str();
    if connection.alpn_protocol() == Some(wanted.as_bytes()) {
        return Ok(());
    }
    let detail = format!("the peer did not negotiate {wanted}");
    let refusal = Refusal::new(RefusalReason::Alpn, detail);
    Err(refusal.claiming(verified.certificate.claims()))
}

impl<IO> PeerStream<IO> {
    /// Who the peer is.
    #[must_use]
    pub fn peer(&self) -> &Arc<PeerIdentity> {
        self.live.peer()
    }

    /// The peer's end of the TCP connection.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.live.remote()
    }

    /// The negotiated key exchange group under its IANA name, for example `X25519MLKEM768`.
    #[must_use]
    pub fn key_exchange(&self) -> Option<String> {
        let group = self.stream.get_ref().1.negotiated_key_exchange_group()?;
        Some(format!("{:?}", group.name()))
    }

    /// Ends when the connection should come to its end: finish what is under way, then drop it.
    /// It is cut when the grace period is over. The future does not borrow the stream.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # async fn answer(mut stream: cluster_tls::PeerStream<tokio::net::TcpStream>) -> std::io::Result<()> {
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    ///
    /// let mut draining = std::pin::pin!(stream.draining());
    /// loop {
    ///     let byte = tokio::select! {
    ///         byte = stream.read_u8() => byte?,
    ///         // Between two requests is a good moment to end.
    ///         () = &mut draining => return stream.shutdown().await,
    ///     };
    ///     stream.write_u8(byte).await?;
    /// }
    /// # }
    /// ```
    pub fn draining(&self) -> impl Future<Output = ()> + Send + 'static + use<IO> {
        self.live.draining().begun()
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn drain_signal(&self) -> Draining {
        self.live.draining()
    }

    fn poll_half<T>(
        &mut self,
        cx: &mut Context<'_>,
        half: Half,
        poll: impl FnOnce(Pin<&mut TlsStream<Replayed<IO>>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>>
    where
        IO: Unpin,
    {
        if let Some(cause) = self.live.cut() {
            return Poll::Ready(Err(cut(cause)));
        }
        match poll(Pin::new(&mut self.stream), cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => match self.live.cut_or_wake(half, cx) {
                Some(cause) => Poll::Ready(Err(cut(cause))),
                None => Poll::Pending,
            },
        }
    }
}

fn cut(cause: CloseCause) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, Cut(cause))
}

impl<IO> Debug for PeerStream<IO> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerStream")
            .field("peer", self.peer())
            .field("remote", &self.remote())
            .finish_non_exhaustive()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for PeerStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_half(cx, Half::Read, |stream, cx| stream.poll_read(cx, buf))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PeerStream<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_half(cx, Half::Write, |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_half(cx, Half::Write, |stream, cx| {
            stream.poll_write_vectored(cx, bufs)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_half(cx, Half::Write, TlsStream::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_half(cx, Half::Write, TlsStream::poll_shutdown)
    }
}

//! An authenticated connection.

use std::fmt::{self, Debug, Formatter};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::CommonState;
use rustls_pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use crate::accept::Replayed;
use crate::certificate::Certificate;
use crate::config::ALPN_H2;
use crate::identity::PeerIdentity;
use crate::refusal::{Refusal, RefusalReason};

/// A TLS connection whose peer has proven who it is.
pub struct PeerStream<IO> {
    stream: TlsStream<Replayed<IO>>,
    peer: Arc<PeerIdentity>,
    remote: SocketAddr,
}

impl<IO> PeerStream<IO> {
    /// Takes over a connection whose handshake has just succeeded under snapshot `generation`.
    pub(crate) fn establish(
        stream: TlsStream<Replayed<IO>>,
        remote: SocketAddr,
        generation: u64,
    ) -> Result<Self, Refusal> {
        let peer = Arc::new(identify(stream.get_ref().1, generation)?);
        Ok(Self {
            stream,
            peer,
            remote,
        })
    }

    /// Who the peer is.
    #[must_use]
    pub fn peer(&self) -> &Arc<PeerIdentity> {
        &self.peer
    }

    /// The peer's end of the TCP connection.
    #[must_use]
    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// The negotiated key exchange group under its IANA name, for example `X25519MLKEM768`.
    #[must_use]
    pub fn key_exchange(&self) -> Option<String> {
        let group = self.stream.get_ref().1.negotiated_key_exchange_group()?;
        Some(format!("{:?}", group.name()))
    }
}

fn identify(connection: &CommonState, generation: u64) -> Result<PeerIdentity, Refusal> {
    let leaf: &CertificateDer<'_> = connection
        .peer_certificates()
        .and_then(<[_]>::first)
        .ok_or_else(|| {
            Refusal::new(
                RefusalReason::NoCertificate,
                "the peer showed no certificate",
            )
        })?;
    let certificate = Certificate::parse(leaf)
        .map_err(|detail| Refusal::new(RefusalReason::BadCertificate, detail))?;
    if connection.alpn_protocol() != Some(ALPN_H2) {
        // rustls refuses a peer whose offers do not include h2, but lets one pass that offers
        // nothing at all.
        let refusal = Refusal::new(RefusalReason::Alpn, "the peer did not negotiate h2");
        return Err(refusal.claiming(certificate.claims()));
    }
    PeerIdentity::of_verified(&certificate, generation)
}

impl<IO> Debug for PeerStream<IO> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerStream")
            .field("peer", &self.peer)
            .field("remote", &self.remote)
            .finish_non_exhaustive()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for PeerStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for PeerStream<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

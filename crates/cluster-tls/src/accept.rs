//! The accepting side of a handshake.

mod first_bytes;
mod replay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsStream};

use crate::credentials::Credentials;
use crate::event::{Events, HandshakeEvent, Side};
use crate::refusal::{Refusal, RefusalReason};
use crate::stream::PeerStream;

pub(crate) use self::replay::Replayed;

/// How much a node lets strangers cost it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptLimits {
    /// From the TCP connection to the proven peer; [`HANDSHAKE_TIMEOUT`] by default.
    pub handshake_timeout: Duration,
    /// Handshakes computed at the same time; [`CONCURRENT_HANDSHAKES`] by default. More wait, and
    /// are dropped when their time is up.
    pub concurrent_handshakes: usize,
    /// Connections that have not proven anything yet, waiting ones included;
    /// [`PENDING_CONNECTIONS`] by default. More stay in the listener's backlog.
    pub pending_connections: usize,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            handshake_timeout: HANDSHAKE_TIMEOUT,
            concurrent_handshakes: CONCURRENT_HANDSHAKES,
            pending_connections: PENDING_CONNECTIONS,
        }
    }
}

/// A handshake takes milliseconds; ten seconds forgive a lost packet or two and a busy machine.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Enough for a whole cluster that reconnects at once, at a few milliseconds of CPU each.
pub const CONCURRENT_HANDSHAKES: usize = 64;

/// Silent connections cost a descriptor each, and a common limit on those is 1024.
pub const PENDING_CONNECTIONS: usize = 512;

/// Turns accepted connections into authenticated ones; cheap to clone, and clones share the bound
/// on concurrent handshakes.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn serve(credentials: cluster_tls::Credentials) -> std::io::Result<()> {
/// use cluster_tls::{AcceptLimits, Acceptor, NoEvents};
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let acceptor = Acceptor::new(credentials, AcceptLimits::default(), Arc::new(NoEvents));
/// let (tcp, remote) = listener.accept().await?;
/// match acceptor.accept(tcp, remote).await {
///     Ok(stream) => println!("hello, {}", stream.peer()),
///     Err(error) => println!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Acceptor {
    credentials: Credentials,
    limits: AcceptLimits,
    events: Arc<dyn Events>,
    slots: Arc<Semaphore>,
}

impl Acceptor {
    /// An acceptor that reads `credentials` anew for each connection.
    #[must_use]
    pub fn new(credentials: Credentials, limits: AcceptLimits, events: Arc<dyn Events>) -> Self {
        Self {
            credentials,
            limits,
            events,
            slots: Arc::new(Semaphore::new(limits.concurrent_handshakes.max(1))),
        }
    }

    /// Runs the handshake on a connection from `remote`.
    ///
    /// # Errors
    ///
    /// Fails if the peer does not prove within the handshake timeout that it belongs to the
    /// cluster. The [`Events`] have been told by then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; no event is sent in that case.
    pub async fn accept<IO>(
        &self,
        io: IO,
        remote: SocketAddr,
    ) -> Result<PeerStream<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let started = Instant::now();
        let outcome = self.handshake(io, remote, started).await;
        self.events.handshake(&HandshakeEvent {
            side: Side::Accepted,
            remote,
            duration: started.elapsed(),
            outcome: outcome.as_ref().map(|stream| stream.peer().as_ref()),
        });
        outcome.map_err(|refusal| AcceptError::Refused { remote, refusal })
    }

    /// A peer takes one of the slots only once it has said something, so that silent connections
    /// do not keep talking ones waiting.
    async fn handshake<IO>(
        &self,
        io: IO,
        remote: SocketAddr,
        started: Instant,
    ) -> Result<PeerStream<IO>, Refusal>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let deadline = started + self.limits.handshake_timeout;
        let late = |reason, detail: &str| {
            let limit = self.limits.handshake_timeout;
            Refusal::new(reason, format!("{detail} within {limit:?}"))
        };
        let io = timeout_at(deadline, first_bytes::expect_tls(io))
            .await
            .map_err(|_| late(RefusalReason::Timeout, "the peer did not begin a handshake"))??;
        let _slot = timeout_at(deadline, self.slots.acquire())
            .await
            .map_err(|_| late(RefusalReason::Overloaded, "no handshake slot became free"))?;
        let snapshot = self.credentials.current();
        let acceptor = TlsAcceptor::from(snapshot.server_config());
        let stream = timeout_at(deadline, acceptor.accept(io))
            .await
            .map_err(|_| late(RefusalReason::Timeout, "the peer did not end the handshake"))?
            .map_err(|error| Refusal::from_handshake(&error))?;
        PeerStream::establish(TlsStream::Server(stream), remote, snapshot.generation())
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn limits(&self) -> AcceptLimits {
        self.limits
    }

    #[cfg(feature = "tonic")]
    pub(crate) fn events(&self) -> &Arc<dyn Events> {
        &self.events
    }
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Why an accepted connection came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// The handshake did not succeed.
    #[error("no handshake with {remote}")]
    Refused {
        /// The peer's end of the TCP connection.
        remote: SocketAddr,
        /// What stopped it.
        #[source]
        refusal: Refusal,
    },
}

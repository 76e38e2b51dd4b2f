//! The accepting side of a handshake.

mod first_bytes;
mod limits;
mod listener;
mod replay;
mod sources;
mod tcp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsStream};

use self::sources::{Sources, Ticket};
use crate::credentials::Credentials;
use crate::event::{DropReason, DroppedEvent, Events, HandshakeEvent, Side};
use crate::refusal::{Refusal, RefusalReason};
use crate::stream::{Handshaken, PeerStream};
use crate::verify::Verdict;

#[cfg(fuzzing)]
pub(crate) use self::first_bytes::judge as judge_first_bytes;
pub(crate) use self::limits::AgeLimits;
pub use self::limits::{
    AcceptLimits, CONCURRENT_HANDSHAKES, CONNECTIONS_PER_PEER, DRAIN_GRACE, FAILURE_BURST,
    FAILURES_PER_SECOND, HANDSHAKE_TIMEOUT, HANDSHAKES_PER_SOURCE, MAX_AGE, PENDING_CONNECTIONS,
    PENDING_PER_SOURCE,
};
pub use self::listener::Listener;
pub(crate) use self::replay::Replayed;
#[cfg(feature = "tonic")]
pub(crate) use self::tcp::TcpConnections;

/// Turns accepted connections into authenticated ones; cheap to clone, and clones share all
/// bounds.
///
/// A [`Listener`] runs the loop around it.
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
    sources: Arc<Sources>,
}

/// Whether a peer has said anything yet. Silent ones are the first to go when it gets crowded.
#[derive(Clone, Debug, Default)]
struct Spoken(Arc<AtomicBool>);

impl Spoken {
    fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn has_spoken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Acceptor {
    /// An acceptor that reads `credentials` anew for each connection.
    #[must_use]
    pub fn new(credentials: Credentials, limits: AcceptLimits, events: Arc<dyn Events>) -> Self {
        let limits = limits.within_reason();
        Self {
            credentials,
            limits,
            events,
            slots: Arc::new(Semaphore::new(limits.concurrent_handshakes.max(1))),
            sources: Arc::new(Sources::new(limits)),
        }
    }

    /// Runs the handshake on a connection from `remote`.
    ///
    /// # Errors
    ///
    /// Fails if the peer does not prove within the handshake timeout that it belongs to the
    /// cluster, and at once if its address has used up what a source may. The [`Events`] have been
    /// told by then.
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
        let ticket = self.admit(remote)?;
        self.accept_admitted(io, ticket, &Spoken::default()).await
    }

    /// Lets a connection from `remote` begin, if its source may.
    fn admit(&self, remote: SocketAddr) -> Result<Ticket, AcceptError> {
        self.sources
            .admit(remote, Instant::now())
            .map_err(|reason| self.dropped(remote, reason))
    }

    fn dropped(&self, remote: SocketAddr, reason: DropReason) -> AcceptError {
        self.events.dropped(&DroppedEvent { remote, reason });
        AcceptError::Dropped { remote, reason }
    }

    async fn accept_admitted<IO>(
        &self,
        io: IO,
        ticket: Ticket,
        spoken: &Spoken,
    ) -> Result<PeerStream<IO>, AcceptError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let remote = ticket.remote();
        let started = Instant::now();
        let outcome = self.handshake(io, &ticket, spoken, started).await;
        if outcome.is_err() {
            ticket.failed(Instant::now());
        }
        self.events.handshake(&HandshakeEvent {
            side: Side::Accepted,
            remote,
            duration: started.elapsed(),
            outcome: outcome.as_ref().map(|stream| stream.peer().as_ref()),
        });
        outcome.map_err(|refusal| AcceptError::Refused { remote, refusal })
    }

    /// A peer takes one of the slots only once it has said something, so that silent connections
    /// do not keep talking ones waiting; and of its source's slots first, so that one source
    /// cannot keep all others waiting by stalling in the middle.
    async fn handshake<IO>(
        &self,
        io: IO,
        ticket: &Ticket,
        spoken: &Spoken,
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
        spoken.note();
        let slots = async { (ticket.slot().await, self.slots.acquire().await) };
        let _slots = timeout_at(deadline, slots)
            .await
            .map_err(|_| late(RefusalReason::Overloaded, "no handshake slot became free"))?;
        let snapshot = self.credentials.current();
        let verdict = Verdict::default();
        let config = snapshot
            .server_config(verdict.clone())
            .map_err(|error| Refusal::new(RefusalReason::Incompatible, error.to_string()))?;
        let stream = timeout_at(deadline, TlsAcceptor::from(config).accept(io))
            .await
            .map_err(|_| late(RefusalReason::Timeout, "the peer did not end the handshake"))?
            .map_err(|error| Refusal::of_handshake(&error, &verdict))?;
        let handshaken = Handshaken {
            stream: TlsStream::Server(stream),
            side: Side::Accepted,
            remote: ticket.remote(),
            verdict,
        };
        handshaken.establish(
            &snapshot,
            &self.credentials,
            self.limits.age(),
            &self.events,
        )
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
    /// The connection was dropped before its handshake.
    #[error("connection from {remote} dropped ({})", .reason.as_str())]
    Dropped {
        /// The peer's end of the TCP connection.
        remote: SocketAddr,
        /// What there was too much of.
        reason: DropReason,
    },
}

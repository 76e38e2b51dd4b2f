//! The accept loop.

use std::collections::{HashMap, VecDeque};
use std::fmt::{self, Debug, Formatter};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;

use super::sources::Source;
use super::tcp::TcpConnections;
use super::{Acceptor, Spoken};
use crate::event::DropReason;
use crate::stream::PeerStream;

/// The connections of a TCP listener whose peers have proven themselves.
///
/// Handshakes run beside each other, within the [`AcceptLimits`](super::AcceptLimits), and none
/// holds up another: when there are too many, one of the source that crowds most goes. Failures go to
/// the events and never end the loop. It must be used within a tokio runtime, and takes unfinished
/// handshakes with it when it is dropped.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # use cluster_tls::{AcceptLimits, Acceptor, Credentials, Listener, NoEvents};
/// # async fn serve(credentials: Credentials) -> std::io::Result<()> {
/// use tokio::io::AsyncWriteExt;
///
/// let acceptor = Acceptor::new(credentials, AcceptLimits::default(), Arc::new(NoEvents));
/// let tcp = tokio::net::TcpListener::bind("0.0.0.0:7000").await?;
/// let mut listener = Listener::new(tcp, acceptor);
/// loop {
///     let mut stream = listener.accept().await;
///     tokio::spawn(async move {
///         let greeting = format!("hello, {}\n", stream.peer());
///         stream.write_all(greeting.as_bytes()).await
///     });
/// }
/// # }
/// ```
pub struct Listener {
    tcp: TcpConnections,
    acceptor: Acceptor,
    handshakes: JoinSet<Option<PeerStream<TcpStream>>>,
    /// Oldest first; may hold some that have ended.
    pending: VecDeque<Pending>,
}

/// A connection that has not proven anything yet.
struct Pending {
    remote: SocketAddr,
    spoken: Spoken,
    handshake: AbortHandle,
}

impl Listener {
    /// A loop over the connections of `listener`.
    #[must_use]
    pub fn new(listener: TcpListener, acceptor: Acceptor) -> Self {
        Self {
            tcp: TcpConnections::new(listener),
            acceptor,
            handshakes: JoinSet::new(),
            pending: VecDeque::new(),
        }
    }

    /// The next connection whose peer has proven itself.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: handshakes that are under way go on when it is called again.
    pub async fn accept(&mut self) -> PeerStream<TcpStream> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for the next connection; see [`accept`](Self::accept).
    pub fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<PeerStream<TcpStream>> {
        loop {
            if let Poll::Ready(stream) = self.poll_finished(cx) {
                return Poll::Ready(stream);
            }
            let events = &self.acceptor.events;
            let (tcp, remote) = ready!(self.tcp.poll_accept(cx, events.as_ref()));
            self.begin(tcp, remote);
        }
    }

    /// The next finished handshake, unless none is under way. A refused one has told the events
    /// why and is of no further interest.
    fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<PeerStream<TcpStream>> {
        loop {
            match self.handshakes.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Some(stream)))) => return Poll::Ready(stream),
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn begin(&mut self, tcp: TcpStream, remote: SocketAddr) {
        let Ok(ticket) = self.acceptor.admit(remote) else {
            return;
        };
        if self.handshakes.len() >= self.acceptor.limits.pending_connections.max(1) {
            self.evict();
        }
        let (acceptor, spoken) = (self.acceptor.clone(), Spoken::default());
        let noted = spoken.clone();
        let handshake = self.handshakes.spawn(async move {
            let accepted = acceptor.accept_admitted(tcp, ticket, &noted).await;
            accepted.ok()
        });
        self.forget_ended();
        self.pending.push_back(Pending {
            remote,
            spoken,
            handshake,
        });
    }

    /// Drops a connection of the source that has most of them: the oldest that has not said
    /// anything, or else the oldest. A member that has just arrived is never the one that crowds.
    /// It counts as a failure, so that a source does not crowd for ever.
    fn evict(&mut self) {
        self.pending.retain(Pending::is_under_way);
        let mut crowds: HashMap<Source, usize> = HashMap::new();
        for pending in &self.pending {
            *crowds.entry(Source::of(pending.remote.ip())).or_default() += 1;
        }
        let largest = crowds.values().copied().max().unwrap_or_default();
        let of_crowd =
            |pending: &Pending| crowds.get(&Source::of(pending.remote.ip())) == Some(&largest);
        let silent = |pending: &Pending| of_crowd(pending) && !pending.spoken.has_spoken();
        let oldest = self.pending.iter().position(silent);
        let oldest = oldest.or_else(|| self.pending.iter().position(of_crowd));
        if let Some(pending) = oldest.and_then(|oldest| self.pending.remove(oldest)) {
            pending.handshake.abort();
            self.acceptor.sources.failed(pending.remote, Instant::now());
            let _ = self.acceptor.dropped(pending.remote, DropReason::Evicted);
        }
    }

    /// Keeps the queue in proportion to what is under way: cleaning costs its length, so it is
    /// done when at least half of it has ended.
    fn forget_ended(&mut self) {
        if self.pending.len() > 2 * self.handshakes.len() {
            self.pending.retain(Pending::is_under_way);
        }
    }
}

impl Pending {
    fn is_under_way(&self) -> bool {
        !self.handshake.is_finished()
    }
}

impl Debug for Listener {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("tcp", &self.tcp)
            .field("handshakes", &self.handshakes.len())
            .finish_non_exhaustive()
    }
}

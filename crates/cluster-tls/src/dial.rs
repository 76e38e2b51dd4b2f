//! The dialling side of a handshake.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::accept::{AgeLimits, HANDSHAKE_TIMEOUT, Replayed};
use crate::address::NodeAddress;
use crate::credentials::Credentials;
use crate::event::{Events, HandshakeEvent, Side};
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;
use crate::snapshot::Snapshot;
use crate::stream::{Handshaken, PeerStream};
use crate::timestamp::Timestamp;
use crate::verify::Verdict;

/// How long dialling may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialLimits {
    /// From the name to the TCP connection, all of its addresses together; [`CONNECT_TIMEOUT`] by
    /// default.
    pub connect_timeout: Duration,
    /// From the TCP connection to the proven peer; [`HANDSHAKE_TIMEOUT`] by default.
    pub handshake_timeout: Duration,
}

impl Default for DialLimits {
    fn default() -> Self {
        Self {
            connect_timeout: CONNECT_TIMEOUT,
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

/// Long enough for two lost SYN packets (retried after 1 s and 3 s).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Dials nodes and proves who answers; cheap to clone.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn dial(credentials: cluster_tls::Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// use cluster_tls::{DialLimits, Dialer, NoEvents, Role};
///
/// let dialer = Dialer::new(credentials, DialLimits::default(), Arc::new(NoEvents));
/// let address = "scheduler1.cluster.local:50052".parse()?;
/// let stream = dialer.connect(&address, Role::Scheduler).await?;
/// println!("connected to {}", stream.peer());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Dialer {
    credentials: Credentials,
    limits: DialLimits,
    events: Arc<dyn Events>,
}

impl Dialer {
    /// A dialler that reads `credentials` anew for each connection.
    #[must_use]
    pub fn new(credentials: Credentials, limits: DialLimits, events: Arc<dyn Events>) -> Self {
        Self {
            credentials,
            limits,
            events,
        }
    }

    /// Connects to the node at `to`, which must be allowed to act as `expected`.
    ///
    /// In TLS 1.3 a client is done before the server has seen its certificate: a server that
    /// refuses us shows that at the first read, with an alert.
    ///
    /// # Errors
    ///
    /// Fails if our own certificate is outside its dates, if there is no TCP connection in time, or
    /// if what answers does not prove in time that it is that node.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection; no event is sent in that case.
    pub async fn connect(
        &self,
        to: &NodeAddress,
        expected: Role,
    ) -> Result<PeerStream<TcpStream>, DialError> {
        must_be_current(&self.credentials.current()).map_err(DialError::OwnCertificate)?;
        let (tcp, remote) = connect_tcp(to, self.limits).await?;
        let started = Instant::now();
        let outcome = self.handshake(tcp, remote, to, expected).await;
        self.events.handshake(&HandshakeEvent {
            side: Side::Dialled,
            remote,
            duration: started.elapsed(),
            outcome: outcome.as_ref().map(|stream| stream.peer().as_ref()),
        });
        outcome.map_err(|refusal| DialError::Refused {
            to: to.clone(),
            refusal,
        })
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        to: &NodeAddress,
        expected: Role,
    ) -> Result<PeerStream<TcpStream>, Refusal> {
        let snapshot = self.credentials.current();
        let name = to
            .name()
            .to_server_name()
            .map_err(|error| Refusal::new(RefusalReason::WrongName, error.to_string()))?;
        let verdict = Verdict::default();
        let config = snapshot
            .client_config(expected, verdict.clone())
            .map_err(|error| Refusal::new(RefusalReason::Incompatible, error.to_string()))?;
        let handshake = TlsConnector::from(config).connect(name, Replayed::new(Vec::new(), tcp));
        let limit = self.limits.handshake_timeout;
        let stream = timeout(limit, handshake)
            .await
            .map_err(|_| {
                let detail = format!("the peer did not end the handshake within {limit:?}");
                Refusal::new(RefusalReason::Timeout, detail)
            })?
            .map_err(|error| Refusal::of_handshake(&error, &verdict))?;
        let handshaken = Handshaken {
            stream: TlsStream::Client(stream),
            side: Side::Dialled,
            remote,
            verdict,
        };
        handshaken.establish(
            &snapshot,
            &self.credentials,
            AgeLimits::DIALLED,
            &self.events,
        )
    }
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Everything else about our own certificate was verified when it was loaded; its dates pass.
///
/// The peer would refuse it with an alert that arrives, in TLS 1.3, after the handshake is over
/// here and looks like a broken connection: better not to dial at all.
fn must_be_current(own: &Snapshot) -> Result<(), Refusal> {
    let (now, own) = (own.verifier().now(), own.own());
    let reason = if now < own.not_before() {
        RefusalReason::NotYetValid
    } else if now > own.not_after() {
        RefusalReason::Expired
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        reason,
        format!(
            "our own certificate is valid from {} to {}; the clock says {}",
            Timestamp(own.not_before()),
            Timestamp(own.not_after()),
            Timestamp(now)
        ),
    ))
}

/// Opens the TCP connection, without Nagle's delay: requests between nodes are small and waited
/// for.
pub(crate) async fn connect_tcp(
    to: &NodeAddress,
    limits: DialLimits,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let connecting = async {
        let tcp = TcpStream::connect((to.host(), to.port())).await?;
        tcp.set_nodelay(true)?;
        let remote = tcp.peer_addr()?;
        Ok((tcp, remote))
    };
    match timeout(limits.connect_timeout, connecting).await {
        Ok(connected) => connected.map_err(|source| DialError::Connect {
            to: to.clone(),
            source,
        }),
        Err(_) => Err(DialError::ConnectTimeout {
            to: to.clone(),
            after: limits.connect_timeout,
        }),
    }
}

/// Why dialling a node came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// The name did not resolve, or nobody answered there.
    #[error("no connection to {to}")]
    Connect {
        /// Who was dialled.
        to: NodeAddress,
        /// What the operating system says.
        source: io::Error,
    },
    /// The TCP connection did not come up in time.
    #[error("no connection to {to} within {after:?}")]
    ConnectTimeout {
        /// Who was dialled.
        to: NodeAddress,
        /// The limit.
        after: Duration,
    },
    /// Our own certificate is outside its dates, so that no peer would accept it.
    #[error("this node cannot prove who it is")]
    OwnCertificate(#[source] Refusal),
    /// The handshake did not succeed.
    #[error("no handshake with {to}")]
    Refused {
        /// Who was dialled.
        to: NodeAddress,
        /// What stopped it.
        #[source]
        refusal: Refusal,
    },
}

//! The one value that decides how nodes talk to each other.

use std::fmt::{self, Debug, Formatter};
use std::sync::Arc;

use ::tonic::transport::{Channel, Endpoint};
use tokio::net::TcpListener;

use super::channel::{self, ChannelOptions};
use super::endpoint::{self, EndpointError};
use super::incoming::Incoming;
use crate::accept::{AcceptLimits, Acceptor};
use crate::address::NodeAddress;
use crate::credentials::Credentials;
use crate::dial::{DialLimits, Dialer};
use crate::event::Events;
use crate::role::Role;

/// How this node serves and dials its peers: mutual TLS, or plaintext by explicit
/// [`danger`](crate::danger). Cheap to clone.
///
/// # Examples
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn serve(credentials: cluster_tls::Credentials) -> Result<(), Box<dyn std::error::Error>> {
/// use cluster_tls::tonic::{ChannelOptions, NodeTransport};
/// use cluster_tls::{AcceptLimits, DialLimits, NoEvents, Role};
///
/// let transport = NodeTransport::mutual(
///     credentials,
///     AcceptLimits::default(),
///     DialLimits::default(),
///     Arc::new(NoEvents),
/// );
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// // Give it to tonic's `Server::serve_with_incoming_shutdown`.
/// let incoming = transport.incoming(listener);
/// let scheduler = "scheduler1.cluster.local:50052".parse()?;
/// let channel = transport.channel(&scheduler, Role::Scheduler, &ChannelOptions::default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NodeTransport {
    mode: Mode,
}

#[derive(Clone)]
pub(super) enum Mode {
    Mutual(Arc<Mutual>),
    Plaintext {
        accept: AcceptLimits,
        dial: DialLimits,
    },
}

/// The parts of a transport with mutual TLS.
pub(super) struct Mutual {
    pub(super) credentials: Credentials,
    pub(super) acceptor: Acceptor,
    pub(super) dialer: Dialer,
    pub(super) dial: DialLimits,
}

/// Whether peers are proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Security {
    /// Both ends show certificates.
    Mutual,
    /// Nobody shows anything.
    Plaintext,
}

impl NodeTransport {
    /// A transport on which both ends prove who they are.
    ///
    /// `credentials` are read anew for every connection, accepted or dialled.
    #[must_use]
    pub fn mutual(
        credentials: Credentials,
        accept: AcceptLimits,
        dial: DialLimits,
        events: Arc<dyn Events>,
    ) -> Self {
        let mutual = Mutual {
            acceptor: Acceptor::new(credentials.clone(), accept, Arc::clone(&events)),
            dialer: Dialer::new(credentials.clone(), dial, events),
            credentials,
            dial,
        };
        Self {
            mode: Mode::Mutual(Arc::new(mutual)),
        }
    }

    pub(crate) fn plaintext(accept: AcceptLimits, dial: DialLimits) -> Self {
        Self {
            mode: Mode::Plaintext { accept, dial },
        }
    }

    /// Whether peers are proven on this transport.
    #[must_use]
    pub fn security(&self) -> Security {
        match self.mode {
            Mode::Mutual(_) => Security::Mutual,
            Mode::Plaintext { .. } => Security::Plaintext,
        }
    }

    /// The credentials in use; none on a plaintext transport.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match &self.mode {
            Mode::Mutual(mutual) => Some(&mutual.credentials),
            Mode::Plaintext { .. } => None,
        }
    }

    /// The generation of the current snapshot, 0 on a plaintext transport. Pools of connections
    /// made through [`endpoint`](Self::endpoint) belong to one generation: put it into their key.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.credentials()
            .map_or(0, |credentials| credentials.current().generation())
    }

    /// The connections of `listener` whose peers have proven themselves.
    ///
    /// Handshakes run beside each other, within the accept limits. Failures go to the events and
    /// never end the stream; it ends when it is dropped, and takes unfinished handshakes with it.
    #[must_use]
    pub fn incoming(&self, listener: TcpListener) -> Incoming {
        Incoming::new(self.mode.clone(), listener)
    }

    /// A channel to the node at `to`, which must be allowed to act as `expected`.
    ///
    /// It connects at its first use and again whenever the connection is lost, each time with the
    /// newest credentials. Message size limits belong to the generated clients.
    #[must_use]
    pub fn channel(&self, to: &NodeAddress, expected: Role, options: &ChannelOptions) -> Channel {
        channel::lazy(&self.mode, to, expected, options)
    }

    /// Secures an endpoint for code that insists on calling `Endpoint::connect` itself.
    ///
    /// tonic then makes the connection: the peer is verified as everywhere else, with the
    /// credentials of this moment and not of the later connect, and no handshake event is sent.
    /// tonic keeps its own copy of the private key for as long as the endpoint lives. Prefer
    /// [`channel`](Self::channel).
    ///
    /// # Errors
    ///
    /// Refuses endpoints whose scheme does not say what the transport does: anything but `https`
    /// with mutual TLS, where tonic would connect in plaintext without a word, and anything but
    /// `http` on a plaintext transport.
    pub fn endpoint(&self, endpoint: Endpoint, expected: Role) -> Result<Endpoint, EndpointError> {
        endpoint::secure(&self.mode, endpoint, expected)
    }
}

impl Debug for NodeTransport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeTransport")
            .field("security", &self.security())
            .finish_non_exhaustive()
    }
}

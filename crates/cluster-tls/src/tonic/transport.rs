//! The one value that decides how nodes talk to each other.

use std::fmt::{self, Debug, Formatter};
use std::future::Future;
use std::sync::Arc;

use ::tonic::transport::Endpoint;
use ::tonic::transport::server::Router;
use tokio::net::TcpListener;

use super::channel::{ChannelOptions, Recipe};
use super::endpoint::{self, EndpointError};
use super::incoming::Incoming;
use super::node_channel::NodeChannel;
use super::server;
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
/// # let routes = tonic::service::Routes::default();
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let router = cluster_tls::tonic::server_builder().add_routes(routes);
/// transport.serve(listener, router, async { /* until told to stop */ }).await;
///
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
    Plaintext { dial: DialLimits },
}

impl Mode {
    /// The generation of our own certificate, 0 without one.
    pub(super) fn identity_generation(&self) -> u64 {
        match self {
            Self::Mutual(mutual) => mutual.credentials.current().identity_generation(),
            Self::Plaintext { .. } => 0,
        }
    }

    /// The generation of the current snapshot, 0 without one.
    pub(super) fn generation(&self) -> u64 {
        match self {
            Self::Mutual(mutual) => mutual.credentials.current().generation(),
            Self::Plaintext { .. } => 0,
        }
    }
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

    pub(crate) fn plaintext(dial: DialLimits) -> Self {
        Self {
            mode: Mode::Plaintext { dial },
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
        self.mode.generation()
    }

    /// The generation since which this node shows the certificate that it shows, 0 on a plaintext
    /// transport. Channels move on to a new connection when it changes.
    #[must_use]
    pub fn identity_generation(&self) -> u64 {
        self.mode.identity_generation()
    }

    /// Ends when [`identity_generation`](Self::identity_generation) is no longer `generation`: a
    /// stream that would never end by itself is opened again then, on a connection that shows the
    /// new certificate. It never ends on a plaintext transport.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn identity_changed_from(&self, generation: u64) {
        match self.credentials() {
            Some(credentials) => credentials.identity_changed_from(generation).await,
            None => std::future::pending().await,
        }
    }

    /// The connections of `listener` whose peers have proven themselves.
    ///
    /// Handshakes run beside each other, within the accept limits. Failures go to the events and
    /// never end the stream; it ends when it is dropped, and takes unfinished handshakes with it.
    ///
    /// It is for a server that you run yourself, which must then look after
    /// [`NodeStream::draining`](super::NodeStream::draining): without that, connections that reach
    /// their age are cut in the middle of what they do. Prefer [`serve`](Self::serve).
    #[must_use]
    pub fn incoming(&self, listener: TcpListener) -> Incoming {
        Incoming::new(&self.mode, listener)
    }

    /// Serves `router` on `listener` until `shutdown` ends, and then until the last call has.
    ///
    /// It stops accepting at once when `shutdown` ends; bound the rest with a timeout. A connection
    /// that comes of age, or whose peer's certificate ends, is asked to finish (HTTP/2 GOAWAY) and
    /// cut after the grace period. Handlers find a [`Connection`](super::Connection) in the
    /// extensions of each request.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops accepting and asks every connection to finish.
    pub async fn serve(
        &self,
        listener: TcpListener,
        router: Router,
        shutdown: impl Future<Output = ()>,
    ) {
        server::serve(self.incoming(listener), router, shutdown).await;
    }

    /// A channel to the node at `to`, which must be allowed to act as `expected`.
    ///
    /// It connects at its first use and again whenever the connection is lost or our own
    /// certificate changes, each time with the newest credentials. Message size limits belong to the generated clients.
    #[must_use]
    pub fn channel(
        &self,
        to: &NodeAddress,
        expected: Role,
        options: &ChannelOptions,
    ) -> NodeChannel {
        NodeChannel::new(Recipe {
            mode: self.mode.clone(),
            to: to.clone(),
            expected,
            options: *options,
        })
    }

    /// Secures an endpoint for code that insists on calling `Endpoint::connect` itself.
    ///
    /// tonic then makes the connection: the peer is verified as everywhere else, with the
    /// credentials of this moment and not of the later connect, and no handshake event is sent.
    /// tonic keeps its own copy of the private key for as long as the endpoint lives, and takes its
    /// key exchange groups from the process's default provider, if one is installed. The connection
    /// is not among the [live ones](crate::Connections): it is neither verified again nor cut when
    /// its peer is revoked. Prefer [`channel`](Self::channel).
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

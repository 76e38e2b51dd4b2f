//! Deciding which role may call which method, so that forgetting to ask does not compile.
//!
//! The table is the owner's: one [`Method`] type per gRPC method, with the roles that may call
//! it. Handlers take a [`Permit`] of that type, and only an [`Authorizer`] can make one, from
//! the identity that the handshake of the request's own connection proved.

use std::fmt;
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::sync::Arc;

use tonic::{Request, Status};

use super::{AuthorizationLayer, Connection, MethodTable};
use crate::{PeerIdentity, Role};

/// One gRPC method and who may call it. Implemented on an empty type per method.
pub trait Method: 'static {
    /// The full path, `/package.Service/Method`.
    const PATH: &'static str;
    /// The roles that may call it; nobody else may.
    const ROLES: &'static [Role];
    /// What happens on a transport without identities.
    const WITHOUT_IDENTITY: WithoutIdentity;
}

/// What a method does on a plaintext transport, where nobody can be told from anybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WithoutIdentity {
    /// Callable: the operator chose insecure mode and with it this.
    Admit,
    /// Never callable without a proven identity.
    Refuse,
}

/// Proof that the sender of one request may call the method `M`.
///
/// There is no constructor but [`Authorizer::permit`].
pub struct Permit<M> {
    peer: Option<Arc<PeerIdentity>>,
    method: PhantomData<fn() -> M>,
}

impl<M: Method> Permit<M> {
    /// The identity that the handshake proved; `None` on a plaintext transport.
    pub fn peer(&self) -> Option<&Arc<PeerIdentity>> {
        self.peer.as_ref()
    }

    /// Whether the sender may speak for the node that is reached at `host`: one of the names
    /// of its certificate is that host. Without identities every host passes.
    pub fn speaks_for(&self, host: &str) -> bool {
        self.peer.as_ref().is_none_or(|peer| peer.has_name(host))
    }
}

impl<M: Method> fmt::Debug for Permit<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("method", &M::PATH)
            .field("peer", &self.peer)
            .finish()
    }
}

/// Makes permits and reports every decision; see [the module](crate::tonic#decide) for a handler.
#[derive(Clone)]
pub struct Authorizer {
    decisions: Arc<dyn Decisions>,
}

impl Authorizer {
    /// An authorizer that reports to `decisions`.
    pub fn new(decisions: Arc<dyn Decisions>) -> Self {
        Self { decisions }
    }

    /// Asks whether the sender of `request` may call `M`.
    ///
    /// # Errors
    ///
    /// [`Denied`] when the role of the peer is not in the method's row, when the transport
    /// carries no identity and the method needs one, or when the request did not arrive over
    /// a connection of this crate.
    pub fn permit<M: Method, T>(&self, request: &Request<T>) -> Result<Permit<M>, Denied> {
        let connection = request.extensions().get::<Connection>();
        let outcome = decide::<M>(connection);
        self.decisions.decided(&Decision {
            method: M::PATH,
            remote: connection.map(Connection::remote),
            peer: connection.and_then(|c| c.peer()).map(Arc::as_ref),
            outcome: outcome.as_ref().map(|_| ()).map_err(|denied| *denied),
        });
        outcome
    }

    /// A gate for in front of services whose handlers ask this authorizer for permits.
    ///
    /// A handler is reached when its message has been read, so whoever is denied there has cost
    /// the memory for it. The gate denies by `table` when the headers are there. It reports
    /// denials only, since what it lets through is reported with its permit; the permit stays the
    /// proof. Take the rows from the types that permits are asked for, with
    /// [`MethodTable::method`]: then both decide alike.
    #[must_use]
    pub fn gate(&self, table: MethodTable) -> AuthorizationLayer {
        AuthorizationLayer::before_permits(table, Arc::clone(&self.decisions))
    }

    /// Reports and refuses a request that names somebody else than its sender.
    pub fn refuse_foreign_sender<M: Method>(&self, permit: &Permit<M>) -> Denied {
        self.decisions.decided(&Decision {
            method: M::PATH,
            remote: None,
            peer: permit.peer().map(Arc::as_ref),
            outcome: Err(Denied::ForeignSender),
        });
        Denied::ForeignSender
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").finish_non_exhaustive()
    }
}

/// Why a call was denied. Of who may call what, the caller is told nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Denied {
    /// The role of the peer is not in the method's row.
    Role,
    /// The transport proves nobody's identity and the method needs one.
    NoIdentity,
    /// The request names a node that the sender may not speak for.
    ForeignSender,
    /// The request did not arrive over a connection of this crate.
    UnknownConnection,
    /// The method has no row in the table.
    UnknownMethod,
    /// The peer may call the method, and has more calls under way than it may have.
    TooManyCalls,
    /// The peer may call the method, and its call was not answered within the time that one may
    /// take: its message did not arrive whole, or took too long to deal with.
    NotInTime,
}

impl Denied {
    /// A stable code for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Role => "role",
            Self::NoIdentity => "no_identity",
            Self::ForeignSender => "foreign_sender",
            Self::UnknownConnection => "unknown_connection",
            Self::UnknownMethod => "unknown_method",
            Self::TooManyCalls => "too_many_calls",
            Self::NotInTime => "not_in_time",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for Denied {}

impl From<Denied> for Status {
    /// The same constant answer for whatever a peer may not: a prober learns nothing from it. One
    /// that asks for too much at once, or too slowly, may ask again, and is told so.
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::TooManyCalls => Self::resource_exhausted("too many calls at a time"),
            Denied::NotInTime => Self::deadline_exceeded("the call took too long"),
            _ => Self::permission_denied("permission denied"),
        }
    }
}

/// One decision, for audit and counting.
#[derive(Debug)]
pub struct Decision<'a> {
    /// Full path of the method; `(no row)` where a table does not know it.
    pub method: &'static str,
    /// Where the request came from, where known.
    pub remote: Option<SocketAddr>,
    /// The proven identity of the sender; `None` on a plaintext transport.
    pub peer: Option<&'a PeerIdentity>,
    /// Granted, or denied and why.
    pub outcome: Result<(), Denied>,
}

/// Receives every decision of an [`Authorizer`]. Must not block.
pub trait Decisions: Send + Sync + 'static {
    /// Called once per decision, on the task that serves the request.
    fn decided(&self, decision: &Decision<'_>);
}

fn decide<M: Method>(connection: Option<&Connection>) -> Result<Permit<M>, Denied> {
    let connection = connection.ok_or(Denied::UnknownConnection)?;
    may_call(connection, M::ROLES, M::WITHOUT_IDENTITY)?;
    Ok(Permit {
        peer: connection.peer().cloned(),
        method: PhantomData,
    })
}

/// Whether whoever is at the other end has one of `roles`.
pub(super) fn may_call(
    connection: &Connection,
    roles: &[Role],
    without_identity: WithoutIdentity,
) -> Result<(), Denied> {
    match (connection.peer(), without_identity) {
        (Some(peer), _) if roles.iter().any(|role| peer.role().may_act_as(*role)) => Ok(()),
        (Some(_), _) => Err(Denied::Role),
        (None, WithoutIdentity::Admit) => Ok(()),
        (None, WithoutIdentity::Refuse) => Err(Denied::NoIdentity),
    }
}

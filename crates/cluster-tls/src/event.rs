//! What an observer is told: meaning, not metric names.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use crate::identity::PeerIdentity;
use crate::refusal::Refusal;

/// Receives what happens on this node's connections.
///
/// Methods are called on async workers and must not block. Every method does nothing by default.
///
/// # Examples
///
/// ```
/// use cluster_tls::{Events, HandshakeEvent};
///
/// struct Printed;
///
/// impl Events for Printed {
///     fn handshake(&self, event: &HandshakeEvent<'_>) {
///         match event.outcome {
///             Ok(peer) => println!("{} is {peer}", event.remote),
///             Err(refusal) => println!("{} refused: {refusal}", event.remote),
///         }
///     }
/// }
/// ```
pub trait Events: Send + Sync + 'static {
    /// A handshake ended, well or not.
    fn handshake(&self, _event: &HandshakeEvent<'_>) {}

    /// The listener could not accept a connection, for example because the process has no file
    /// descriptors left. Accepting is tried again after a pause.
    fn accept_failed(&self, _error: &io::Error) {}
}

/// An observer that looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl Events for NoEvents {}

/// A handshake that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct HandshakeEvent<'a> {
    /// Which part this node played.
    pub side: Side,
    /// The other end of the TCP connection.
    pub remote: SocketAddr,
    /// From the established TCP connection to the outcome.
    pub duration: Duration,
    /// The proven peer, or why there is none; [`Refusal::claimed`] holds the names that a refused
    /// peer's certificate carried.
    pub outcome: Result<&'a PeerIdentity, &'a Refusal>,
}

/// Which part this node played in a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The peer dialled this node.
    Accepted,
    /// This node dialled the peer.
    Dialled,
}

impl Side {
    /// The side as one word, for logs and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dialled => "dialled",
        }
    }
}

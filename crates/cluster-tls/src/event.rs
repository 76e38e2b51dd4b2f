//! What an observer is told: meaning, not metric names.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use crate::connections::CloseCause;
use crate::identity::PeerIdentity;
use crate::load::{CredentialFile, LoadError};
use crate::refusal::Refusal;
use crate::snapshot::Snapshot;
use crate::timestamp::Timestamp;

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

    /// A connection was dropped before its handshake, because its source or all sources together
    /// had more under way than they may.
    fn dropped(&self, _event: &DroppedEvent) {}

    /// A live connection ended, by itself or cut by this node.
    fn closed(&self, _event: &ClosedEvent<'_>) {}

    /// The credentials were read again.
    fn reloaded(&self, _event: &ReloadEvent<'_>) {}

    /// A certificate or revocation list in use is about to end, or has ended.
    fn expiring(&self, _event: &ExpiryEvent) {}

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

/// A connection that was dropped before its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DroppedEvent {
    /// The other end of the TCP connection.
    pub remote: SocketAddr,
    /// What there was too much of.
    pub reason: DropReason,
}

/// Why a connection was dropped before its handshake.
///
/// The codes of [`as_str`](Self::as_str) are stable: dashboards and alerts are built on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DropReason {
    /// Handshakes of this source failed too often lately.
    FailureRate,
    /// This source has too many connections that have not proven anything.
    SourcePending,
    /// All sources together have, and this one's source has most of them.
    Evicted,
}

impl DropReason {
    /// The stable code, for logs and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FailureRate => "failure_rate",
            Self::SourcePending => "source_pending",
            Self::Evicted => "evicted",
        }
    }
}

/// A live connection that ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ClosedEvent<'a> {
    /// Which part this node played.
    pub side: Side,
    /// The other end of the TCP connection.
    pub remote: SocketAddr,
    /// Who the peer was.
    pub peer: &'a PeerIdentity,
    /// What ended it.
    pub cause: CloseCause,
    /// From the end of the handshake on.
    pub age: Duration,
}

/// The credentials were read again.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum ReloadEvent<'a> {
    /// They had changed, and are in use.
    Swapped {
        /// What is in use now.
        snapshot: &'a Snapshot,
    },
    /// They are what is in use already. Told only when it is news: after a reload that was asked
    /// for, or after a fault that has gone.
    Unchanged,
    /// They cannot be used; what was in use stays. Told once per distinct fault.
    Rejected {
        /// What is wrong with them.
        error: &'a LoadError,
    },
}

impl ReloadEvent<'_> {
    /// The outcome as one word, for logs and metric labels.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Swapped { .. } => "swapped",
            Self::Unchanged => "unchanged",
            Self::Rejected { .. } => "rejected",
        }
    }
}

/// A certificate or revocation list in use that is about to end, or has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExpiryEvent {
    /// What ends.
    pub file: CredentialFile,
    /// Whose it is.
    pub subject: String,
    /// When it ends.
    pub not_after: SystemTime,
    /// How near that is.
    pub stage: ExpiryStage,
}

impl ExpiryEvent {
    /// When it ends, as RFC 3339 in UTC, for messages.
    #[must_use]
    pub fn ends_at(&self) -> String {
        Timestamp(self.not_after).to_string()
    }
}

/// How near the end of a certificate is. Each stage is told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ExpiryStage {
    /// Less than a third of its validity is left: time to renew.
    Due,
    /// Less than a tenth is left: renewal has not happened.
    Late,
    /// It has ended.
    Expired,
}

impl ExpiryStage {
    /// The stage as one word, for logs and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Late => "late",
            Self::Expired => "expired",
        }
    }
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

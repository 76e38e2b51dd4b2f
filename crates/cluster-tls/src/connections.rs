//! The live connections of a node, and what ends them.
//!
//! Every connection that a node accepts or dials is entered here for as long as it lives. When the
//! credentials change all of them are verified again, and those whose peers are no longer believed
//! are cut; when they have lived long enough, or their peer's certificate ends, they are asked to
//! drain and then closed.

mod closing;
mod lifetime;
mod recheck;
mod registry;
mod watcher;

use std::fmt::{self, Debug, Display, Formatter};
use std::sync::Weak;

use crate::event::Side;
use crate::role::Role;

#[cfg(feature = "tonic")]
pub(crate) use self::closing::Draining;
pub(crate) use self::closing::Half;
pub(crate) use self::lifetime::Lifetime;
pub(crate) use self::registry::{Admission, Live, Registry};

/// A view of the live connections of one set of credentials; see
/// [`Credentials::connections`](crate::Credentials::connections).
///
/// # Examples
///
/// ```no_run
/// # fn status(credentials: &cluster_tls::Credentials) {
/// use cluster_tls::{Role, Side};
///
/// let connections = credentials.connections();
/// let executors = connections.count(Side::Accepted, Role::Executor);
/// println!("{executors} executors of {} connections", connections.total());
/// # }
/// ```
#[derive(Clone)]
pub struct Connections {
    registry: Weak<Registry>,
}

impl Connections {
    pub(crate) fn new(registry: Weak<Registry>) -> Self {
        Self { registry }
    }

    /// How many live connections there are to peers in `role`, by who dialled.
    #[must_use]
    pub fn count(&self, side: Side, role: Role) -> usize {
        self.registry
            .upgrade()
            .map_or(0, |registry| registry.count(side, role))
    }

    /// How many live connections there are.
    #[must_use]
    pub fn total(&self) -> usize {
        self.registry
            .upgrade()
            .map_or(0, |registry| registry.total())
    }

    /// Cuts every connection to the peer with this certificate, by its SHA-256 fingerprint in
    /// lower-case hexadecimal, and returns how many there were.
    ///
    /// It keeps nobody out: the peer may connect again at once. Use a deny-list for that.
    pub fn close(&self, fingerprint: &str) -> usize {
        self.registry
            .upgrade()
            .map_or(0, |registry| registry.close(fingerprint))
    }
}

impl Debug for Connections {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("total", &self.total())
            .finish()
    }
}

/// Why a connection ended.
///
/// The codes of [`as_str`](Self::as_str) are stable: dashboards and alerts are built on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseCause {
    /// Either side was done with it, or the network broke.
    Ended,
    /// It reached the maximum age.
    MaxAge,
    /// The peer's certificate ended being valid.
    Expired,
    /// The peer's certificate was revoked.
    Revoked,
    /// The peer's certificate is no longer believed for another reason: its root was removed. What
    /// was under way had half a second to end, and nothing was begun any more.
    Untrusted,
    /// The program asked for it.
    Requested,
}

impl CloseCause {
    /// The stable code, for logs and metric labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::MaxAge => "max_age",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Untrusted => "untrusted",
            Self::Requested => "requested",
        }
    }
}

impl Display for CloseCause {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A connection that this node cut. I/O on it fails with this as the inner error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this node closed the connection: {0}")]
pub struct Cut(pub CloseCause);

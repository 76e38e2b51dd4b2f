use std::net::SocketAddr;

use cluster_proto::NodeId;
use cluster_tls::PeerIdentity;

/// What a scheduler tells its composition, in meaning rather than metric names. Must not block.
pub trait SchedulerEvents: Send + Sync + 'static {
    /// An executor opened its control stream; `connected` executors have one now.
    fn executor_connected(&self, id: &NodeId, connected: usize);

    /// The control stream of an executor ended; `connected` executors have one now. The
    /// executor may come back within the grace period, or leave.
    fn executor_disconnected(&self, id: &NodeId, connected: usize);

    /// An executor announced its end, or did not come back in time: its tasks go to others.
    fn executor_left(&self, id: &NodeId, reason: &str);

    /// An executor asked for a secret and was answered. To be kept: this is who has access to
    /// what.
    fn secret_answered(&self, answer: &SecretAnswer<'_>);
}

/// A request for a secret and what came of it, without the value.
#[derive(Clone, Copy, Debug)]
pub struct SecretAnswer<'a> {
    /// The executor, whose id the certificate was checked for.
    pub executor: &'a NodeId,
    /// Who it proved to be.
    pub peer: Option<&'a PeerIdentity>,
    /// Where the request came from, where known.
    pub remote: Option<SocketAddr>,
    /// The store, as it was asked for: text of a peer, no longer than a name may be.
    pub store: &'a str,
    /// The key, likewise.
    pub key: &'a str,
    /// What came of it.
    pub outcome: SecretOutcome,
    /// Names the request, here and to whoever made it.
    pub request_id: &'a str,
}

/// What came of a request for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretOutcome {
    /// The executor has it now.
    Given,
    /// The application does not refer to it, or not through this store.
    NotReferenced,
    /// The application refers to it, and no store that it may come from has it.
    Absent,
    /// A store could not be asked.
    StoreFailed,
}

impl SecretOutcome {
    /// The name for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Given => "given",
            Self::NotReferenced => "not_referenced",
            Self::Absent => "absent",
            Self::StoreFailed => "store_failed",
        }
    }
}

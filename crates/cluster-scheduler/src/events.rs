use std::net::SocketAddr;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_tls::PeerIdentity;

use crate::peers::Missing;

/// What a scheduler tells its composition, in meaning rather than metric names. Must not block.
pub trait SchedulerEvents: Send + Sync + 'static {
    /// An executor opened its control stream; `connected` executors have one now.
    fn executor_connected(&self, id: &NodeId, connected: usize);

    /// The control stream of an executor ended, for the `reason` given; `connected` executors have
    /// one now. The executor may come back within the grace period, or leave.
    fn executor_disconnected(&self, id: &NodeId, connected: usize, reason: &str);

    /// An executor announced its end, or did not come back in time: its tasks go to others.
    fn executor_left(&self, id: &NodeId, departure: ExecutorDeparture<'_>);

    /// An executor asked for a secret and was answered. To be kept: this is who has access to
    /// what.
    fn secret_answered(&self, answer: &SecretAnswer<'_>);

    /// An executor has the current application open, which has this digest; `ready` executors can
    /// take tasks of it now.
    fn executor_ready(&self, id: &NodeId, digest: &str, ready: usize);

    /// Nobody waits for a command any more.
    fn command_ended(&self, id: &NodeId, command: CommandKind, end: CommandEnd);

    /// An executor could not carry out a command, and said why.
    fn command_failed(&self, id: &NodeId, command: CommandKind, error: &str);

    /// An executor acknowledged something that was not asked of it, or not any more.
    fn acknowledgement_ignored(&self, id: &NodeId);

    /// Another scheduler gave no task history to a query that shows all of it; the query goes on
    /// and shows the gap.
    fn history_missing(&self, peer: &NodeId, missing: &Missing);
}

/// How an executor came to be none any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutorDeparture<'a> {
    /// It said that it leaves, for this reason.
    Announced(&'a str),
    /// Its control stream broke, and it did not come back in time.
    Lost,
    /// Another run has taken its place.
    Restarted,
}

impl<'a> ExecutorDeparture<'a> {
    /// A few words for logs and for whoever waits for its tasks.
    #[must_use]
    pub fn reason(self) -> &'a str {
        match self {
            Self::Announced(reason) => reason,
            Self::Lost => "control stream lost",
            Self::Restarted => "restarted",
        }
    }
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

/// A kind of command that must arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// Open another application definition.
    AppChanged,
    /// Stop tasks.
    CancelTasks,
}

impl CommandKind {
    /// The name for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AppChanged => "app_changed",
            Self::CancelTasks => "cancel_tasks",
        }
    }
}

/// Why nobody waits for a command any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandEnd {
    /// It was carried out.
    Acknowledged {
        /// How long after it was given.
        after: Duration,
    },
    /// A newer command made it pointless.
    Superseded,
    /// More commands wait for this executor than are kept.
    Displaced,
    /// It was not acknowledged in time.
    GivenUp,
}

impl CommandEnd {
    /// The name for logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged { .. } => "acknowledged",
            Self::Superseded => "superseded",
            Self::Displaced => "displaced",
            Self::GivenUp => "given_up",
        }
    }
}

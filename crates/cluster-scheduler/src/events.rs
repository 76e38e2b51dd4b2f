use std::time::Duration;

use cluster_proto::NodeId;

use crate::peers::Missing;

/// What a scheduler tells its composition, in meaning rather than metric names. Must not block.
pub trait SchedulerEvents: Send + Sync + 'static {
    /// An executor opened its control stream; `connected` executors have one now.
    fn executor_connected(&self, id: &NodeId, connected: usize);

    /// The control stream of an executor ended; `connected` executors have one now. The
    /// executor may come back within the grace period, or leave.
    fn executor_disconnected(&self, id: &NodeId, connected: usize);

    /// An executor announced its end, or did not come back in time: its tasks go to others.
    fn executor_left(&self, id: &NodeId, reason: &str);

    /// An executor has the application with this digest open; `ready` executors can take tasks of
    /// the current one now.
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

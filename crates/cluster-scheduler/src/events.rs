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

    /// Another scheduler gave no task history to a query that shows all of it; the query goes on
    /// and shows the gap.
    fn history_missing(&self, peer: &NodeId, missing: &Missing);
}

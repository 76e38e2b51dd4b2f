//! What there is to show of the executors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_proto::NodeId;
use cluster_tls::PeerIdentity;

use super::{Member, Members};

/// One executor as an operator wants to see it.
#[derive(Clone, Debug)]
pub struct MemberSummary {
    /// The id, which is the address the executor advertises.
    pub id: NodeId,
    /// The version of its program, as it says; `None` until it said so.
    pub version: Option<String>,
    /// Tasks that it may run at the same time; zero until it said so.
    pub task_slots: u32,
    /// Tasks that it runs now.
    pub tasks_active: u32,
    /// Tasks that it has finished since it started.
    pub tasks_total: u64,
    /// How long this run of the executor has been a member; a reconnect does not begin it anew.
    pub member_for: Duration,
    /// How long ago the executor last showed a sign of life.
    pub last_seen: Duration,
    /// Who it proved to be when it opened its control stream; nobody on an insecure port.
    pub peer: Option<Arc<PeerIdentity>>,
    /// The digest of the application that it has open; `None` until it said so.
    pub app_digest: Option<String>,
    /// The application that it could not open, if that was its last word about it.
    pub app_failure: Option<AppFailure>,
    /// Whether it finishes what it has and takes no further tasks.
    pub draining: bool,
}

/// An executor could not open an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppFailure {
    /// The digest of the application.
    pub digest: String,
    /// Why, as the executor says: one bounded line.
    pub reason: String,
}

impl Members {
    /// The executors whose control stream is open, in the order of their ids. Of several
    /// applications that one has open, that with the digest `served` is told where it is among
    /// them, or else the newest.
    pub(crate) fn summaries(&self, served: &str) -> Vec<MemberSummary> {
        let (table, now) = (self.lock(), Instant::now());
        let mut members: Vec<_> = table
            .iter()
            .filter(|(_, member)| member.connected)
            .map(|(id, member)| member.summary(id, served, now))
            .collect();
        members.sort_by(|a, b| a.id.cmp(&b.id));
        members
    }
}

impl Member {
    fn summary(&self, id: &NodeId, served: &str, now: Instant) -> MemberSummary {
        MemberSummary {
            id: id.clone(),
            version: self.version.clone(),
            task_slots: self.task_slots,
            tasks_active: self.tasks_active,
            tasks_total: self.tasks_total,
            member_for: now.duration_since(self.joined),
            last_seen: now.duration_since(self.last_seen),
            peer: self.peer.clone(),
            app_digest: self.app.shown_to(served).map(ToOwned::to_owned),
            app_failure: self.app.failure().cloned(),
            draining: self.draining,
        }
    }
}

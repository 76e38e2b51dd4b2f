use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use cluster_proto::NodeId;
use tokio::sync::watch;

use super::Access;
use crate::state::SchedulerEntry;
use crate::told;

/// The schedulers that live, as one of them sees it. Clones follow the same membership.
#[derive(Clone, Debug)]
pub struct SchedulerList {
    seen: watch::Receiver<Seen>,
    ttl: Duration,
}

/// One scheduler as another one, or an operator, wants to see it.
#[derive(Clone, Debug)]
pub struct SchedulerSummary {
    /// The id, which is the address that it advertises for its internal port.
    pub id: NodeId,
    /// Where its HTTP API listens, as it says; nobody else may get there.
    pub http_address: Option<String>,
    /// When its process started, by its own clock.
    pub started_at: SystemTime,
    /// The version of its program, as it says.
    pub version: Option<String>,
    /// The digest of the application that it serves, as it says. Older versions do not, and the one
    /// that is asked knows better than its entry.
    pub app_digest: Option<String>,
    /// What it says about itself.
    pub labels: BTreeMap<String, String>,
    /// How long ago it last showed a sign of life; `None` for the one that is asked.
    pub last_seen: Option<Duration>,
}

/// What a membership knows.
#[derive(Debug)]
pub(super) struct Seen {
    own: SchedulerSummary,
    pub(super) peers: Vec<Peer>,
    troubles: BTreeMap<&'static str, Trouble>,
}

/// Another scheduler that lives.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    pub(super) entry: Arc<SchedulerEntry>,
    pub(super) changed: Instant,
}

/// The shared state cannot be reached.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    /// When it last was.
    since: Instant,
}

impl SchedulerList {
    pub(super) fn new(seen: watch::Receiver<Seen>, ttl: Duration) -> Self {
        Self { seen, ttl }
    }

    /// All schedulers that live, in the order of their ids: this one at least.
    pub fn all(&self) -> Vec<SchedulerSummary> {
        let seen = self.seen.borrow();
        let mut all = vec![seen.own.clone()];
        all.extend(seen.peers.iter().map(Peer::summary));
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }

    /// This one, and of the others those that fit into `count`, in the order of their ids.
    pub(crate) fn first(&self, count: usize) -> Vec<SchedulerSummary> {
        let seen = self.seen.borrow();
        let mut first = vec![seen.own.clone()];
        first.extend(seen.peers.iter().map(Peer::summary));
        first.truncate(count);
        first.sort_by(|a, b| a.id.cmp(&b.id));
        first
    }

    /// All but this one.
    pub fn peers(&self) -> Vec<SchedulerSummary> {
        self.seen.borrow().peers.iter().map(Peer::summary).collect()
    }

    /// How long the shared state has been out of reach, where that is longer than this
    /// scheduler may be silent: the others may have given it up.
    pub fn cut_off(&self) -> Option<Duration> {
        let seen = self.seen.borrow();
        let since = seen.troubles.values().map(|trouble| trouble.since).min()?;
        Some(since.elapsed()).filter(|span| *span > self.ttl)
    }
}

impl Seen {
    pub(super) fn alone(own: &SchedulerEntry) -> Self {
        Self {
            own: SchedulerSummary {
                app_digest: None,
                ..summary(own, None)
            },
            peers: vec![],
            troubles: BTreeMap::new(),
        }
    }

    /// Notes a failure, and says whether it is the first since the last success.
    pub(super) fn failed(&mut self, access: Access, reached: Instant) -> bool {
        let trouble = Trouble { since: reached };
        self.troubles.insert(access.as_str(), trouble).is_none()
    }

    /// Notes a success, and tells since when there was none.
    pub(super) fn reached(&mut self, access: Access) -> Option<Instant> {
        let trouble = self.troubles.remove(access.as_str())?;
        Some(trouble.since)
    }

    /// Whether everything is within reach.
    pub(super) fn is_sound(&self) -> bool {
        self.troubles.is_empty()
    }
}

impl Peer {
    fn summary(&self) -> SchedulerSummary {
        summary(&self.entry, Some(self.changed.elapsed()))
    }
}

fn summary(entry: &SchedulerEntry, last_seen: Option<Duration>) -> SchedulerSummary {
    SchedulerSummary {
        id: entry.scheduler_id.0.clone(),
        http_address: entry.http_address.clone(),
        started_at: UNIX_EPOCH + Duration::from_millis(entry.started_at_ms),
        version: told::version(&entry.build_version),
        app_digest: entry.served().map(ToOwned::to_owned),
        labels: entry.labels.clone(),
        last_seen,
    }
}

//! The schedulers that this executor works for: a set that changes while it runs.
//!
//! The addresses of the command line are seeds: they are asked who the members are, and every
//! member gets a link at the address that it advertises, or where that leads nowhere, at the seed
//! that leads to it. A link is a channel, a poll loop and a
//! control stream. Whoever lies about members can make an executor dial and nothing more: every
//! link proves its peer to be a scheduler, and asks it whether it is the one that was meant.

mod introduction;
mod link;
mod membership;
mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cluster_proto::NodeId;
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport};
use cluster_tls::{NodeAddress, Role};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::apps::OpenApps;
use crate::engine::Engine;
use crate::events::ExecutorEvents;
use crate::metrics::MetricsSource;
pub(crate) use link::LinkWatch;
pub(crate) use membership::Membership;
use table::Table;

/// The schedulers of an executor, for whoever shows them. Cheap to clone.
#[derive(Clone)]
pub struct SchedulerLinks {
    shared: Arc<Shared>,
}

struct Shared {
    stop: CancellationToken,
    table: Mutex<Table>,
    connected: watch::Sender<usize>,
    events: Arc<dyn ExecutorEvents>,
}

/// One scheduler as its executor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchedulerLink {
    /// Where it is dialled.
    pub address: NodeAddress,
    /// Whether this executor works for it now.
    pub state: LinkState,
    /// How long it has been in that state.
    pub lasting: Duration,
    /// Why the application that it gives is not open here, where it is not: its tasks go to others.
    pub app_fault: Option<String>,
}

/// Whether an executor works for a scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// The control stream is open.
    Connected,
    /// It is not.
    Down {
        /// Why not, for a person.
        reason: String,
    },
}

impl SchedulerLinks {
    /// Those that `seeds` lead to, once an executor asks them; `events` hears of changes.
    #[must_use]
    pub fn new(seeds: &[NodeAddress], events: Arc<dyn ExecutorEvents>) -> Self {
        let stop = CancellationToken::new();
        Self {
            shared: Arc::new(Shared {
                table: Mutex::new(Table::new(seeds, stop.clone())),
                stop,
                connected: watch::Sender::new(0),
                events,
            }),
        }
    }

    /// Every scheduler that is known, and every seed that does not answer, by address.
    #[must_use]
    pub fn list(&self) -> Vec<SchedulerLink> {
        self.table().list(Instant::now())
    }

    /// How many schedulers this executor works for now.
    #[must_use]
    pub fn connected(&self) -> usize {
        *self.shared.connected.borrow()
    }

    /// Ends when this executor works for a scheduler.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn any_connected(&self) {
        let mut connected = self.shared.connected.subscribe();
        // The sender lives in `self`, so the wait cannot fail.
        let _ = connected.wait_for(|connected| *connected > 0).await;
    }

    /// The addresses that it begins with.
    pub(crate) fn seeds(&self) -> Vec<NodeAddress> {
        self.table().seeds().cloned().collect()
    }

    /// Notes why there is no work yet for whoever is at a seed.
    pub(crate) fn seed_down(&self, seed: &NodeAddress, reason: &str) {
        let reason = link::printable(reason);
        self.change(|table, now| table.asked(seed, Err(reason), now));
    }

    /// Says farewell to every scheduler, and takes no tasks any more.
    pub(crate) fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// Changes the table, and tells what that changes for others.
    fn change<T>(&self, change: impl FnOnce(&mut Table, Instant) -> T) -> T {
        let mut table = self.table();
        let changed = change(&mut table, Instant::now());
        let (connected, down) = table.counts();
        // Under the lock, so that the last word is about the last change.
        self.shared.events.schedulers_changed(connected, down);
        self.shared.connected.send_replace(connected);
        changed
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        let table = self.shared.table.lock();
        table.unwrap_or_else(PoisonError::into_inner)
    }
}

/// What every link is made from.
#[derive(Clone)]
pub(crate) struct LinkParts {
    pub(crate) node_id: NodeId,
    pub(crate) version: String,
    pub(crate) transport: NodeTransport,
    pub(crate) engine: Engine,
    pub(crate) apps: Arc<OpenApps>,
    pub(crate) metrics: Arc<dyn MetricsSource>,
    /// Cancelled when this executor is to take no further tasks, before it is told to leave.
    pub(crate) draining: CancellationToken,
    pub(crate) links: SchedulerLinks,
}

impl LinkParts {
    fn dial(&self, scheduler: &NodeAddress) -> NodeChannel {
        let options = ChannelOptions::default();
        self.transport.channel(scheduler, Role::Scheduler, &options)
    }
}

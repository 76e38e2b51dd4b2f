//! Which schedulers are members of the cluster, by what they write into the shared state.
//!
//! A [`Membership`] is one scheduler's own: it joins under its id, shows signs of life, looks for
//! the others and leaves. `cluster.json` says who holds an id; a heartbeat only says that its
//! holder lives. Silence alone is death, and it is measured by the clock of whoever listens: two
//! machines need not agree about the time. A [`SchedulerList`] reads what came of it.

mod drift;
mod error;
mod events;
#[cfg(test)]
mod fencing;
mod heart;
mod joining;
mod list;
mod lookout;
mod process;
mod reach;
mod served;
mod sightings;
mod times;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cluster_proto::NodeId;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::state::{
    self, ClusterState, InstanceId, Key, MemberId, PutError, SchedulerEntry, StateError,
    StateLocation, unix_ms,
};
use heart::Heart;
use list::Seen;
use lookout::Lookout;
use times::Times;

pub use error::MembershipError;
pub use events::{Access, Departure, MembershipEvents};
pub use list::{SchedulerList, SchedulerSummary};
pub use served::ServedApp;
pub use times::{DEFAULT_MEMBER_TTL, MIN_MEMBER_TTL};

pub(crate) use process::ProcessMark;

/// What a scheduler tells the others, and where.
pub struct MembershipOptions {
    /// The address that other nodes reach this scheduler's internal port at.
    pub node_id: NodeId,
    /// Where its HTTP API listens.
    pub http_address: Option<String>,
    /// The version of its program.
    pub version: String,
    /// The digest of the application that it serves at first.
    pub app_digest: String,
    /// How long it may be silent before the others take it for dead, after a grace; at least
    /// [`MIN_MEMBER_TTL`].
    pub ttl: Duration,
    /// Where the state is.
    pub location: StateLocation,
    /// Told of what happens.
    pub events: Arc<dyn MembershipEvents>,
}

/// One scheduler's place among the schedulers of its cluster.
pub struct Membership {
    own: Own,
    state: ClusterState,
    seen: watch::Sender<Seen>,
}

/// What a scheduler is to the others.
#[derive(Clone)]
struct Own {
    entry: Arc<SchedulerEntry>,
    /// What changes about the entry, in it as it was at the start.
    served: ServedApp,
    times: Times,
    events: Arc<dyn MembershipEvents>,
}

impl Membership {
    /// Opens the state and tries it. Nobody knows of this scheduler yet.
    ///
    /// # Errors
    ///
    /// [`MembershipError::Open`] where the state cannot be kept there.
    pub async fn open(options: MembershipOptions) -> Result<Self, MembershipError> {
        let times = Times::of(options.ttl);
        let state = state::open(options.location, times.patience()).await?;
        let process = tokio::task::spawn_blocking(ProcessMark::own).await;
        let id = MemberId(options.node_id);
        let entry = SchedulerEntry {
            instance_id: InstanceId::new(),
            advertise_address: id.0.to_string(),
            scheduler_id: id,
            http_address: options.http_address,
            started_at_ms: unix_ms(SystemTime::now()),
            ttl_ms: unix_span_ms(times.ttl()),
            build_version: options.version,
            app_digest: Some(options.app_digest.clone()),
            labels: BTreeMap::new(),
            process: process.ok().flatten(),
            other: serde_json::Map::new(),
        };
        let seen = watch::Sender::new(Seen::alone(&entry));
        let own = Own {
            entry: Arc::new(entry),
            served: ServedApp::new(&options.app_digest),
            times,
            events: options.events,
        };
        Ok(Self { own, state, seen })
    }

    /// Where it is noted that this scheduler serves another application.
    pub fn served_app(&self) -> ServedApp {
        self.own.served.clone()
    }

    /// The list of the schedulers, which follows this membership.
    pub fn list(&self) -> SchedulerList {
        SchedulerList::new(self.seen.subscribe(), self.own.times.ttl())
    }

    /// Takes the id of this scheduler, at once where nobody has it or its holder can be seen to
    /// be gone; otherwise it waits until the holder was silent for long enough.
    ///
    /// # Errors
    ///
    /// [`MembershipError`] where another process holds the id and lives, or the state cannot be
    /// read and changed.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the entry may be there already. The others remove it once it was silent.
    pub async fn join(&self) -> Result<(), MembershipError> {
        joining::join(&self.own, &self.state).await
    }

    /// Shows signs of life and looks for the others until `shutdown`, then leaves.
    ///
    /// A store that fails ends nothing: what was seen last stays, and it is tried again.
    ///
    /// # Errors
    ///
    /// [`MembershipError::Superseded`] when another process took the id over: this one must stop.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), MembershipError> {
        let doubt = Notify::new();
        let heart = Heart::new(&self.own, &self.state, &self.seen, &doubt);
        let lookout = Lookout::new(&self.own, &self.state, &self.seen, &doubt);
        tokio::select! {
            superseded = heart.run() => return Err(superseded),
            () = lookout.run() => {}
            () = shutdown.cancelled() => {}
        }
        self.leave().await;
        Ok(())
    }

    /// Removes the entry, so that nobody waits for this scheduler. Where that cannot be done the
    /// others do it after a while.
    pub async fn leave(self) {
        let (id, instance) = (&self.own.entry.scheduler_id, &self.own.entry.instance_id);
        let leaving = async {
            let removing = |document: &mut _| state::remove(document, id, instance);
            self.state.mutate(removing).await?;
            forget_heartbeat(&self.state, id).await;
            Ok::<_, StateError>(())
        };
        match timeout(LEAVE_LIMIT, leaving).await {
            Ok(Ok(())) => self.own.events.left(),
            Ok(Err(error)) => self.own.events.not_left(&error),
            Err(_) => self.own.events.not_left(&MembershipError::LeaveTimeout),
        }
    }
}

impl Own {
    /// The entry as it should be now.
    fn entry_now(&self) -> SchedulerEntry {
        SchedulerEntry {
            app_digest: Some(self.served.now()),
            ..SchedulerEntry::clone(&self.entry)
        }
    }
}

/// Removes the heartbeat of a scheduler that is no member any more. One that comes back at this
/// very moment writes it again, so nothing depends on it.
async fn forget_heartbeat(state: &ClusterState, id: &MemberId) {
    let key = Key::heartbeat(&id.0);
    let forgotten = match state.store().read(&key).await {
        Ok(Some(stored)) => state.store().delete(&key, &stored.version).await,
        Ok(None) => return,
        Err(error) => Err(error.into()),
    };
    match forgotten {
        Ok(()) | Err(PutError::Conflict) => {}
        Err(error) => tracing::debug!(%key, %error, "heartbeat not removed"),
    }
}

fn unix_span_ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// A node that stops does not wait longer for a store that is down.
const LEAVE_LIMIT: Duration = Duration::from_secs(3);

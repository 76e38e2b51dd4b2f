//! Signs of life, and what they find out about this scheduler itself.

use std::time::{Instant, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::joining::named;
use super::list::Seen;
use super::reach::Reach;
use super::{Access, MembershipError, Own};
use crate::state::{
    ClusterState, Expected, Heartbeat, Joined, Key, PutError, SchedulerEntry, StateError, Version,
    join, serve, unix_ms,
};

/// Writes the heartbeat of one scheduler, each on the one before: a process that was replaced
/// while it was stopped finds another's in its place, and cannot revive itself.
pub(super) struct Heart<'a> {
    own: &'a Own,
    state: &'a ClusterState,
    reach: Reach<'a>,
    /// Somebody saw that the entry of this scheduler is not there.
    doubt: &'a Notify,
    key: Key,
    version: Option<Version>,
    sequence: u64,
    /// Whether the entry may name another application than this scheduler serves.
    outdated: bool,
}

/// Why a heartbeat was not written.
pub(super) enum Missed {
    Superseded(Box<SchedulerEntry>),
    State(StateError),
}

impl From<StateError> for Missed {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl<'a> Heart<'a> {
    pub(super) fn new(
        own: &'a Own,
        state: &'a ClusterState,
        seen: &'a watch::Sender<Seen>,
        doubt: &'a Notify,
    ) -> Self {
        Self {
            own,
            state,
            reach: Reach::new(Access::Heartbeat, own, seen),
            doubt,
            key: Key::heartbeat(&own.entry.scheduler_id.0),
            version: None,
            sequence: 0,
            outdated: false,
        }
    }

    /// Beats until another process holds the id.
    pub(super) async fn run(mut self) -> MembershipError {
        let mut beats = interval(self.own.times.heartbeat());
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut served = self.own.served.changes();
        // It may have changed since this scheduler joined.
        served.mark_changed();
        loop {
            let beaten = tokio::select! {
                _ = beats.tick() => self.live().await,
                () = self.doubt.notified() => self.confirm().await,
                Ok(()) = served.changed() => self.tell_app().await,
            };
            match beaten {
                Ok(()) => {}
                Err(Missed::State(error)) => {
                    self.reach.failed(&error);
                    beats.reset_after(self.own.times.retry());
                }
                Err(Missed::Superseded(holder)) => {
                    return MembershipError::Superseded {
                        id: holder.scheduler_id.0.to_string(),
                        holder: named(&holder),
                    };
                }
            }
        }
    }

    /// Beats, and makes up for what the store did not take before.
    pub(super) async fn live(&mut self) -> Result<(), Missed> {
        self.beat().await?;
        if self.outdated {
            self.tell_app().await?;
        }
        Ok(())
    }

    /// Says in the entry which application this scheduler serves.
    pub(super) async fn tell_app(&mut self) -> Result<(), Missed> {
        self.outdated = true;
        let (id, instance) = (&self.own.entry.scheduler_id, &self.own.entry.instance_id);
        let digest = self.own.served.now();
        let serving = |document: &mut _| serve(document, id, instance, &digest);
        if !self.state.mutate(serving).await? {
            self.confirm().await?;
        }
        self.outdated = false;
        Ok(())
    }

    pub(super) async fn beat(&mut self) -> Result<(), Missed> {
        let started = Instant::now();
        for _ in 0..ATTEMPTS {
            let bytes = self.next()?;
            let expected = match &self.version {
                Some(version) => Expected::At(version.clone()),
                None => Expected::Absent,
            };
            match self.state.store().put(&self.key, bytes, &expected).await {
                Ok(version) => {
                    self.version = Some(version);
                    self.reach.succeeded(started);
                    return Ok(());
                }
                Err(PutError::Conflict) => self.look().await?,
                Err(PutError::Store(source)) => return Err(self.state.unreachable(source).into()),
            }
        }
        Err(Missed::State(self.state.contended(&self.key)))
    }

    /// Finds out whose heartbeat it is that was not expected. It is read before the document is:
    /// whoever takes the id over after that changes it, and is not written over.
    async fn look(&mut self) -> Result<(), Missed> {
        let found = self.state.store().read(&self.key).await;
        let found = found.map_err(|source| self.state.unreachable(source))?;
        self.confirm().await?;
        self.version = found.map(|stored| stored.version);
        Ok(())
    }

    /// Makes sure that this scheduler holds its id. Where the others removed it and nobody took
    /// its place, it is a member again.
    async fn confirm(&self) -> Result<(), Missed> {
        let (id, instance) = (&self.own.entry.scheduler_id, &self.own.entry.instance_id);
        let document = self.state.read().await?;
        match document.schedulers.get(id) {
            Some(entry) if entry.instance_id == *instance => return Ok(()),
            Some(entry) => return Err(Missed::Superseded(Box::new(entry.clone()))),
            None => {}
        }
        let own = self.own.entry_now();
        let entering = |document: &mut _| join(document, &own, None);
        match self.state.mutate(entering).await? {
            Joined::Member => {
                self.own.events.joined_again(&id.0);
                Ok(())
            }
            Joined::Held(holder) => Err(Missed::Superseded(holder)),
            Joined::Full => Err(Missed::State(self.state.full())),
        }
    }

    fn next(&mut self) -> Result<bytes::Bytes, StateError> {
        self.sequence += 1;
        let heartbeat = Heartbeat {
            scheduler_id: self.own.entry.scheduler_id.clone(),
            instance_id: self.own.entry.instance_id.clone(),
            sequence: self.sequence,
            written_at_ms: unix_ms(SystemTime::now()),
        };
        let encoded = heartbeat.encode();
        encoded.map_err(|source| self.state.garbage(&self.key, source))
    }
}

/// Once for the heartbeat of an earlier run, once for an answer that was lost, once for luck.
const ATTEMPTS: u32 = 3;

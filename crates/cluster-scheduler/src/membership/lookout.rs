//! Looking at the other schedulers, and removing those that are dead.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval};

use super::drift::{Drift, News};
use super::list::{Peer, Seen};
use super::reach::Reach;
use super::sightings::{Sighting, Sightings};
use super::{Access, Own, forget_heartbeat};
use crate::state::{ClusterState, InstanceId, MemberId, StateError, remove};

/// One scheduler's eye on the others.
pub(super) struct Lookout<'a> {
    own: &'a Own,
    state: &'a ClusterState,
    seen: &'a watch::Sender<Seen>,
    /// Told when the entry of this scheduler is not there.
    doubt: &'a Notify,
    reach: Reach<'a>,
    sightings: Sightings,
    drift: Drift,
}

impl<'a> Lookout<'a> {
    pub(super) fn new(
        own: &'a Own,
        state: &'a ClusterState,
        seen: &'a watch::Sender<Seen>,
        doubt: &'a Notify,
    ) -> Self {
        Self {
            own,
            state,
            seen,
            doubt,
            reach: Reach::new(Access::Discovery, own, seen),
            sightings: Sightings::new(own.times),
            drift: Drift::new(own.times),
        }
    }

    /// Looks again and again.
    pub(super) async fn run(mut self) {
        let mut looks = interval(self.own.times.discovery());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            let started = Instant::now();
            match self.look().await {
                Ok(()) => {
                    self.reach.succeeded(started);
                    self.show();
                    self.bury().await;
                }
                Err(error) => self.reach.failed(&error),
            }
        }
    }

    async fn look(&mut self) -> Result<(), StateError> {
        let (id, instance) = (&self.own.entry.scheduler_id, &self.own.entry.instance_id);
        let document = self.state.read().await?;
        let heartbeats = self.state.store().heartbeats().await;
        let heartbeats = heartbeats.map_err(|source| self.state.unreachable(source))?;
        let heartbeats: HashMap<_, _> = heartbeats.into_iter().collect();
        let own = document.schedulers.get(id);
        if !own.is_some_and(|entry| entry.instance_id == *instance) {
            self.doubt.notify_one();
        }
        self.sightings
            .look(Instant::now(), document, &heartbeats, id);
        Ok(())
    }

    /// Shows who lives, and tells who came and went and who serves something else.
    fn show(&mut self) {
        let peers: Vec<Peer> = self.sightings.live().map(peer).collect();
        let live = peers.len() + 1;
        let (before, after) = (runs(&self.seen.borrow().peers), runs(&peers));
        self.tell_drift(&peers);
        self.seen.send_modify(|seen| seen.peers = peers);
        let events = &self.own.events;
        for (id, run) in &after {
            match before.get(id) {
                None => events.scheduler_joined(&id.0, live),
                Some(known) if known != run => events.scheduler_restarted(&id.0),
                Some(_) => {}
            }
        }
        for id in before.keys().filter(|id| !after.contains_key(id)) {
            let departure = self.sightings.departure(id);
            events.scheduler_left(&id.0, live, departure);
        }
    }

    fn tell_drift(&mut self, peers: &[Peer]) {
        let own = self.own.served.now();
        let entries = peers.iter().map(|peer| &peer.entry);
        let served = entries.map(|entry| (&entry.scheduler_id.0, entry.served()));
        for news in self.drift.look(&own, served) {
            match news {
                News::Differs(id, theirs) => self.own.events.app_differs(&id, &own, &theirs),
                News::Agrees(id) => self.own.events.app_agrees(&id, &own),
            }
        }
    }

    /// Removes who is dead. A scheduler whose own signs of life do not get through judges nobody.
    async fn bury(&self) {
        if !self.seen.borrow().is_sound() {
            return;
        }
        for (key, version) in self.sightings.strays() {
            // Whoever is still there writes it again.
            let _ = self.state.store().delete(&key, &version).await;
        }
        for (id, instance) in self.sightings.dead() {
            let removing = |document: &mut _| remove(document, &id, &instance);
            match self.state.mutate(removing).await {
                Ok(true) => forget_heartbeat(self.state, &id).await,
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(scheduler = %id.0, %error, "silent scheduler not removed yet");
                }
            }
        }
    }
}

fn peer(sighting: &Sighting) -> Peer {
    Peer {
        entry: Arc::new(sighting.entry.clone()),
        changed: sighting.changed,
    }
}

fn runs(peers: &[Peer]) -> BTreeMap<MemberId, InstanceId> {
    let entries = peers.iter().map(|peer| &peer.entry);
    entries
        .map(|entry| (entry.scheduler_id.clone(), entry.instance_id.clone()))
        .collect()
}

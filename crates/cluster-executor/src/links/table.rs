use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cluster_tls::NodeAddress;
use cluster_tls::tonic::NodeChannel;
use tokio_util::sync::CancellationToken;

use super::{LinkState, SchedulerLink};

/// Which schedulers are known, and what is known of them. Pure: it is told what happened, and
/// decides whom to ask, whom to work for and whom to forget.
pub(super) struct Table {
    seeds: Vec<Seed>,
    links: BTreeMap<NodeAddress, Entry>,
    turn: usize,
    stop: CancellationToken,
}

/// An address of the command line.
struct Seed {
    address: NodeAddress,
    since: Instant,
    /// Why it does not answer; nothing where it did when it was asked last.
    fault: Option<String>,
    /// The scheduler that answered there last.
    leads_to: Option<NodeAddress>,
}

/// A member that somebody named.
struct Entry {
    state: LinkState,
    since: Instant,
    /// When a scheduler named it last.
    named: Instant,
    /// What it was reached by last.
    channel: Option<NodeChannel>,
    /// Why the application that it gives is not open here.
    app_fault: Option<String>,
    stop: CancellationToken,
}

/// Somebody to ask for members, by the channel that there is.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) address: NodeAddress,
    pub(super) channel: Option<NodeChannel>,
}

/// A scheduler to begin to work for, until the token is cancelled.
#[derive(Clone, Debug)]
pub(super) struct NewLink {
    pub(super) scheduler: NodeAddress,
    pub(super) stop: CancellationToken,
}

impl Table {
    /// The links of this table end with `stop` at the latest.
    pub(super) fn new(seeds: &[NodeAddress], stop: CancellationToken) -> Self {
        let now = Instant::now();
        let seed = |address: &NodeAddress| Seed {
            address: address.clone(),
            since: now,
            fault: Some(NOT_YET.to_owned()),
            leads_to: None,
        };
        Self {
            seeds: seeds.iter().map(seed).collect(),
            links: BTreeMap::new(),
            turn: 0,
            stop,
        }
    }

    /// Whom to ask for the members now: every seed that did not answer, and one of those that
    /// should, in turn.
    pub(super) fn next_to_ask(&mut self) -> Vec<Source> {
        let silent = |seed: &&Seed| seed.fault.is_some() && !self.is_connected(&seed.address);
        let silent = self.seeds.iter().filter(silent);
        let mut asked: Vec<NodeAddress> = silent.map(|seed| seed.address.clone()).collect();
        let connected = self
            .links
            .keys()
            .filter(|address| self.is_connected(address));
        let answering = self.seeds.iter().filter(|seed| seed.fault.is_none());
        let mut live: Vec<&NodeAddress> = connected.collect();
        live.extend(answering.map(|seed| &seed.address));
        live.sort();
        live.dedup();
        if !live.is_empty() {
            self.turn = (self.turn + 1) % live.len();
            asked.push(live[self.turn].clone());
        }
        asked
            .into_iter()
            .map(|address| self.source(address))
            .collect()
    }

    /// Notes which scheduler answered at a seed, if it says, or why none did. Others than seeds
    /// have links for that.
    pub(super) fn asked(
        &mut self,
        address: &NodeAddress,
        outcome: Result<Option<NodeAddress>, String>,
        now: Instant,
    ) {
        let seed = self.seeds.iter_mut().find(|seed| seed.address == *address);
        let Some(seed) = seed else { return };
        if seed.fault.is_some() != outcome.is_err() {
            seed.since = now;
        }
        match outcome {
            Ok(scheduler) => {
                seed.fault = None;
                seed.leads_to = scheduler;
            }
            Err(fault) => seed.fault = Some(fault),
        }
    }

    /// The seeds that lead to a scheduler: what is left where its own address does not.
    pub(super) fn detours(&self, scheduler: &NodeAddress) -> Vec<NodeAddress> {
        let leads = |seed: &&Seed| seed.leads_to.as_ref() == Some(scheduler);
        let detours = self.seeds.iter().filter(leads);
        let detours = detours.map(|seed| seed.address.clone());
        detours.filter(|address| address != scheduler).collect()
    }

    /// Takes the members that a scheduler named, and gives those that are new.
    pub(super) fn learn(&mut self, members: &[NodeAddress], now: Instant) -> Vec<NewLink> {
        let mut new = vec![];
        for member in members {
            if let Some(entry) = self.links.get_mut(member) {
                entry.named = now;
            } else if self.has_room() {
                let stop = self.stop.child_token();
                new.push(NewLink {
                    scheduler: member.clone(),
                    stop: stop.clone(),
                });
                let state = LinkState::Down {
                    reason: NOT_YET.to_owned(),
                };
                let entry = Entry {
                    state,
                    since: now,
                    named: now,
                    channel: None,
                    app_fault: None,
                    stop,
                };
                self.links.insert(member.clone(), entry);
            }
        }
        new
    }

    /// Gives up the schedulers that nobody has named for a while and that have been down for as
    /// long, and gives their addresses.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<NodeAddress> {
        let long_ago = |at: Instant| now.duration_since(at) >= FORGET_AFTER;
        let gone = |entry: &Entry| {
            entry.state != LinkState::Connected && long_ago(entry.since) && long_ago(entry.named)
        };
        let gone: Vec<NodeAddress> = self
            .links
            .iter()
            .filter(|(_, entry)| gone(entry))
            .map(|(address, _)| address.clone())
            .collect();
        for address in &gone {
            self.forget(address);
        }
        gone
    }

    /// Notes the state of a link; the time of the last change stays while only the reason differs.
    pub(super) fn set(&mut self, scheduler: &NodeAddress, state: LinkState, now: Instant) {
        let Some(entry) = self.links.get_mut(scheduler) else {
            return;
        };
        let connected = |state: &LinkState| *state == LinkState::Connected;
        if connected(&entry.state) != connected(&state) {
            entry.since = now;
        }
        entry.state = state;
    }

    /// Notes by which channel a scheduler was reached; the run begins that asks for its application
    /// anew.
    pub(super) fn reached(&mut self, scheduler: &NodeAddress, channel: NodeChannel) {
        if let Some(entry) = self.links.get_mut(scheduler) {
            entry.channel = Some(channel);
            entry.app_fault = None;
        }
    }

    /// Notes why the application of a scheduler is not open here; nothing where it is.
    pub(super) fn set_app_fault(&mut self, scheduler: &NodeAddress, fault: Option<String>) {
        if let Some(entry) = self.links.get_mut(scheduler) {
            entry.app_fault = fault;
        }
    }

    pub(super) fn seeds(&self) -> impl Iterator<Item = &NodeAddress> {
        self.seeds.iter().map(|seed| &seed.address)
    }

    /// How many schedulers are connected, and how many are not.
    pub(super) fn counts(&self) -> (usize, usize) {
        let states = self.links.values().map(|entry| &entry.state);
        let connected = states.filter(|state| **state == LinkState::Connected);
        let connected = connected.count();
        (connected, self.links.len() - connected)
    }

    pub(super) fn list(&self, now: Instant) -> Vec<SchedulerLink> {
        let link = |(address, entry): (&NodeAddress, &Entry)| SchedulerLink {
            address: address.clone(),
            state: entry.state.clone(),
            lasting: now.duration_since(entry.since),
            app_fault: entry.app_fault.clone(),
        };
        let mut list: Vec<SchedulerLink> = self.links.iter().map(link).collect();
        for seed in &self.seeds {
            if let (Some(fault), false) = (&seed.fault, self.knows(&seed.address)) {
                list.push(SchedulerLink {
                    address: seed.address.clone(),
                    state: LinkState::Down {
                        reason: fault.clone(),
                    },
                    lasting: now.duration_since(seed.since),
                    app_fault: None,
                });
            }
        }
        list
    }

    /// Whether there is a link to `address`.
    pub(super) fn knows(&self, address: &NodeAddress) -> bool {
        self.links.contains_key(address)
    }

    fn is_connected(&self, address: &NodeAddress) -> bool {
        let entry = self.links.get(address);
        entry.is_some_and(|entry| entry.state == LinkState::Connected)
    }

    /// Seeds are dialled anew each time: their names may lead elsewhere.
    fn source(&self, address: NodeAddress) -> Source {
        let entry = self.links.get(&address);
        Source {
            channel: entry.and_then(|entry| entry.channel.clone()),
            address,
        }
    }

    /// Whether one more fits. Where it does not, the one that has been down the longest goes:
    /// made-up members must not keep real ones out.
    fn has_room(&mut self) -> bool {
        if self.links.len() < SCHEDULERS_MAX {
            return true;
        }
        let down = self.links.iter();
        let down = down.filter(|(_, entry)| entry.state != LinkState::Connected);
        let longest = down.min_by_key(|(_, entry)| entry.since);
        let Some(longest) = longest.map(|(address, _)| address.clone()) else {
            return false;
        };
        self.forget(&longest);
        true
    }

    fn forget(&mut self, address: &NodeAddress) {
        if let Some(entry) = self.links.remove(address) {
            entry.stop.cancel();
        }
    }
}

/// Schedulers that are believed in at once. Each is a poll loop with threads of its own; a cluster
/// has three, and more than this is a lie.
pub(super) const SCHEDULERS_MAX: usize = 64;

/// A scheduler that crashed is back at its address within this, or is no member any more and
/// comes back by being named.
const FORGET_AFTER: Duration = Duration::from_secs(30);

const NOT_YET: &str = "not reached yet";

#[cfg(test)]
mod tests;

//! Which executor ids are taken, and by whom.
//!
//! An id is bound to the identity that first used it, for as long as that executor shows signs
//! of life. Two certificates may share a host name (`localhost` does), so the name check alone
//! would let one executor speak as its neighbour.

mod app;
mod summary;
mod table;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cluster_proto::{ExecutorRun, NodeId};
use cluster_tls::PeerIdentity;
use cluster_tls::tonic::{Authorizer, Denied, Method, Permit};
use tokio::sync::watch;

use app::MemberApp;
use table::Table;

pub(crate) use app::AppProgress;
pub use summary::{AppFailure, MemberSummary};

use crate::engine::{PollAnswer, PollMemory};

/// The executors that this scheduler knows.
#[derive(Debug)]
pub(crate) struct Members {
    silence_limit: Duration,
    table: Mutex<Table>,
    /// Counts whatever changes who can take which tasks.
    app_changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct Member {
    owner: Owner,
    last_seen: Instant,
    /// The run whose control stream was opened last.
    run: Option<ExecutorRun>,
    /// When that run opened its first one.
    joined: Instant,
    peer: Option<Arc<PeerIdentity>>,
    version: Option<String>,
    connected: bool,
    /// Goes with the member: nobody who takes its id over gets its answers.
    polls: Option<Arc<PollMemory<PollAnswer>>>,
    task_slots: u32,
    tasks_active: u32,
    tasks_total: u64,
    app: MemberApp,
    draining: bool,
}

/// What stays the same about a node when its certificate is renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Anonymous,
    Uri(String),
    /// The names of a certificate without a URI; a renewal keeps them, its fingerprint not.
    Names(Vec<String>),
}

impl Members {
    pub(crate) fn new(silence_limit: Duration) -> Arc<Self> {
        Arc::new(Self {
            silence_limit,
            table: Mutex::default(),
            app_changes: watch::Sender::new(0),
        })
    }

    /// Accepts `claimed` as the id of the sender of a permitted call, or refuses it: the host
    /// must be a name of the certificate, and nobody else alive may hold the id.
    pub(crate) fn claim<M: Method>(
        &self,
        authorizer: &Authorizer,
        permit: &Permit<M>,
        claimed: &NodeId,
    ) -> Result<(), Denied> {
        if !permit.speaks_for(claimed.host()) {
            return Err(authorizer.refuse_foreign_sender(permit));
        }
        let owner = Owner::of(permit.peer().map(Arc::as_ref));
        if self.bind(claimed, owner, Instant::now()) {
            Ok(())
        } else {
            Err(authorizer.refuse_foreign_sender(permit))
        }
    }

    /// Notes that the control stream of `run` is open, to `peer`. Gives the run before it at the
    /// same address, if that was another one and did not leave: its tasks wait for nobody.
    pub(crate) fn connect(
        &self,
        run: &ExecutorRun,
        peer: Option<&Arc<PeerIdentity>>,
    ) -> Option<ExecutorRun> {
        let earlier = self.lock().change(run.node(), |member| {
            member.connected = true;
            member.peer = peer.cloned();
            // It says again what it has open, and whether it is about to leave.
            member.app = MemberApp::default();
            member.draining = false;
            let earlier = member.run.replace(run.clone());
            if earlier.as_ref() != Some(run) {
                member.joined = Instant::now();
            }
            earlier
        });
        earlier.flatten().filter(|earlier| earlier != run)
    }

    /// Notes that the executor has no control stream any more.
    pub(crate) fn disconnect(&self, id: &NodeId) {
        self.lock().change(id, |member| member.connected = false);
        self.app_changed();
    }

    /// Notes that the executor takes no further tasks.
    pub(crate) fn drain(&self, id: &NodeId) {
        self.lock().change(id, |member| member.draining = true);
        self.app_changed();
    }

    /// Whether the executor may be given tasks: it can be told to stop them, and stays.
    /// Of one executor, that is the run whose control stream was opened last.
    pub(crate) fn takes_work(&self, run: &ExecutorRun) -> bool {
        let table = self.lock();
        let member = table.get(run.node());
        member.is_some_and(|member| member.takes_work() && member.run.as_ref() == Some(run))
    }

    /// Whether this is the run of an executor that opened a control stream last, open or not.
    pub(crate) fn is_run(&self, run: &ExecutorRun) -> bool {
        let table = self.lock();
        let member = table.get(run.node());
        member.is_some_and(|member| member.run.as_ref() == Some(run))
    }

    /// What was polled last by `run`, whose id has been claimed; an executor has one run at a time.
    pub(crate) fn poll_memory(&self, run: &ExecutorRun) -> Option<Arc<PollMemory<PollAnswer>>> {
        self.lock().change(run.node(), |member| {
            let known = member.polls.take().filter(|memory| memory.run() == run);
            let memory = known.unwrap_or_else(|| Arc::new(PollMemory::new(run.clone())));
            member.polls = Some(memory.clone());
            memory
        })
    }

    pub(crate) fn record_statistics(&self, id: &NodeId, slots: u32, active: u32, total: u64) {
        self.lock().change(id, |member| {
            member.task_slots = slots;
            member.tasks_active = active;
            member.tasks_total = total;
        });
    }

    /// Notes which program the executor says to be.
    pub(crate) fn record_version(&self, id: &NodeId, version: Option<String>) {
        self.lock().change(id, |member| member.version = version);
    }

    pub(crate) fn forget(&self, id: &NodeId) {
        self.lock().remove(id);
        self.app_changed();
    }

    /// The executors whose control stream is open, in the order of their ids.
    pub(crate) fn connected(&self) -> Vec<NodeId> {
        let table = self.lock();
        let connected = table.iter().filter(|(_, member)| member.connected);
        let mut ids: Vec<_> = connected.map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    }

    fn bind(&self, id: &NodeId, owner: Owner, now: Instant) -> bool {
        let mut table = self.lock();
        if let Some(member) = table.get(id) {
            if member.owner == owner {
                table.change(id, |member| member.last_seen = now);
                return true;
            }
            if member.is_alive(now, self.silence_limit) {
                return false;
            }
        } else if !self.has_room(&mut table, &owner, now) {
            return false;
        }
        table.insert(id.clone(), Member::new(owner, now));
        true
    }

    /// Whether a new id of `owner` fits, after forgetting the dead where the table is full.
    fn has_room(&self, table: &mut Table, owner: &Owner, now: Instant) -> bool {
        if table.len() >= MEMBER_LIMIT {
            table.retain(|member| member.is_alive(now, self.silence_limit));
        }
        let owned = table
            .values()
            .filter(|member| member.owner == *owner && member.is_alive(now, self.silence_limit))
            .count();
        // Nodes without identities share one, so their ids are not counted.
        let within_share = *owner == Owner::Anonymous || owned < IDS_PER_OWNER;
        within_share && table.len() < MEMBER_LIMIT
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        // A panic elsewhere cannot leave the table half-changed: no change can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Member {
    fn is_alive(&self, now: Instant, silence_limit: Duration) -> bool {
        self.connected || now.duration_since(self.last_seen) < silence_limit
    }

    fn takes_work(&self) -> bool {
        self.connected && !self.draining
    }

    fn new(owner: Owner, now: Instant) -> Self {
        Self {
            owner,
            last_seen: now,
            run: None,
            joined: now,
            peer: None,
            version: None,
            connected: false,
            polls: None,
            task_slots: 0,
            tasks_active: 0,
            tasks_total: 0,
            app: MemberApp::default(),
            draining: false,
        }
    }
}

impl Owner {
    fn of(peer: Option<&PeerIdentity>) -> Self {
        match peer {
            None => Self::Anonymous,
            Some(peer) => match peer.uri() {
                Some(uri) => Self::Uri(uri.to_owned()),
                None => Self::Names(sorted_names(peer)),
            },
        }
    }
}

fn sorted_names(peer: &PeerIdentity) -> Vec<String> {
    let mut names: Vec<_> = peer.names().iter().map(ToString::to_string).collect();
    names.sort();
    names
}

/// More executors than one scheduler can drive; a bound against a peer that invents ids.
const MEMBER_LIMIT: usize = 10_000;

/// A certificate is meant for one node. A few ids more forgive a node that moved to another
/// port; without a bound one stolen key could use up the whole table.
const IDS_PER_OWNER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> NodeId {
        text.parse().unwrap()
    }

    #[test]
    fn an_id_belongs_to_its_first_owner_while_that_one_lives() {
        let members = Members::new(Duration::from_secs(30));
        let start = Instant::now();
        let first = Owner::Uri("spiffe://cluster.local/executor/a".to_owned());
        let second = Owner::Uri("spiffe://cluster.local/executor/b".to_owned());
        assert!(members.bind(&id("localhost:1"), first.clone(), start));
        assert!(members.bind(&id("localhost:1"), first, start));
        assert!(!members.bind(&id("localhost:1"), second.clone(), start));
        assert!(members.bind(&id("localhost:2"), second, start));
    }

    #[test]
    fn a_restart_at_the_same_address_gives_the_run_before_it() {
        let members = Members::new(Duration::from_secs(30));
        let owner = Owner::Uri("spiffe://cluster.local/executor/a".to_owned());
        assert!(members.bind(&id("localhost:1"), owner, Instant::now()));
        let first: ExecutorRun = "localhost:1#aa".parse().unwrap();
        let second: ExecutorRun = "localhost:1#bb".parse().unwrap();
        assert_eq!(members.connect(&first, None), None);
        members.disconnect(first.node());
        assert_eq!(
            members.connect(&first, None),
            None,
            "a reconnect is no restart"
        );
        assert_eq!(members.connect(&second, None), Some(first));
    }

    #[test]
    fn a_run_stays_a_member_over_reconnects_and_a_restart_begins_anew() {
        let members = Members::new(Duration::from_secs(30));
        let long_ago = Instant::now() - Duration::from_secs(10);
        let owner = Owner::Uri("spiffe://cluster.local/executor/a".to_owned());
        assert!(members.bind(&id("localhost:1"), owner, long_ago));
        let first: ExecutorRun = "localhost:1#aa".parse().unwrap();
        members.connect(&first, None);
        members
            .lock()
            .change(first.node(), |member| member.joined = long_ago);
        members.disconnect(first.node());
        members.connect(&first, None);
        let reconnected = members.summaries("");
        assert!(reconnected[0].member_for >= Duration::from_secs(10));
        assert!(reconnected[0].last_seen >= Duration::from_secs(10));
        members.connect(&"localhost:1#bb".parse().unwrap(), None);
        assert!(members.summaries("")[0].member_for < Duration::from_secs(10));
    }

    #[test]
    fn one_identity_cannot_use_up_the_table() {
        let members = Members::new(Duration::from_secs(30));
        let start = Instant::now();
        let greedy = Owner::Uri("spiffe://cluster.local/executor/greedy".to_owned());
        let honest = Owner::Uri("spiffe://cluster.local/executor/honest".to_owned());
        let held = (1..=100)
            .filter(|port| members.bind(&id(&format!("localhost:{port}")), greedy.clone(), start))
            .count();
        assert_eq!(held, IDS_PER_OWNER);
        assert!(members.bind(&id("localhost:200"), honest, start));
    }

    #[test]
    fn an_id_passes_on_after_silence_but_not_from_an_open_stream() {
        let members = Members::new(Duration::from_secs(30));
        let start = Instant::now();
        let later = start + Duration::from_secs(31);
        let first = Owner::Names(vec!["aa".to_owned()]);
        let second = Owner::Names(vec!["bb".to_owned()]);
        assert!(members.bind(&id("localhost:1"), first, start));
        members.connect(&"localhost:1#aa".parse().unwrap(), None);
        assert!(!members.bind(&id("localhost:1"), second.clone(), later));
        members.disconnect(&id("localhost:1"));
        assert!(members.bind(&id("localhost:1"), second, later));
    }

    #[test]
    fn a_run_is_one_that_opened_a_stream_and_no_other_mark_of_its_address() {
        let members = Members::new(Duration::from_secs(30));
        let owner = Owner::Uri("spiffe://cluster.local/executor/a".to_owned());
        assert!(members.bind(&id("localhost:1"), owner, Instant::now()));
        let run: ExecutorRun = "localhost:1#aa".parse().unwrap();
        assert!(!members.is_run(&run), "it has claimed its id and no more");
        members.connect(&run, None);
        assert!(members.is_run(&run));
        assert!(!members.is_run(&"localhost:1#bb".parse().unwrap()));
        members.disconnect(run.node());
        assert!(members.is_run(&run), "it may come back, with its reports");
    }
}

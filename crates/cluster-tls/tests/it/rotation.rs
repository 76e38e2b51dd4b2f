//! Certificates and roots that are rotated under load, and nobody notices.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cluster_tls::tonic::{NodeChannel, NodeTransport};
use cluster_tls::{
    AcceptLimits, CloseCause, ClosedEvent, Credentials, Events, HandshakeEvent, NoEvents,
    NodeAddress, RefusalReason, ReloadTiming, Role,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonic::Status;

use crate::calls::{Conversation, call, channel, serve, transport};
use crate::following::{Following, follow};
use crate::lifetime::AGEING;
use crate::loaded::Files;
use crate::meeting::{accept_refusal, acceptor, meet};
use crate::mounted::Mounted;
use crate::observed::{Told, within};
use crate::pki::{Authority, Issued, member};

const CLIENTS: usize = 8;
const LEAF_ROTATIONS: usize = 60;

/// Everything is written in one step here, so that there is nothing to wait for.
const EAGER: ReloadTiming = ReloadTiming {
    poll_interval: Duration::from_millis(2),
    settle_time: Duration::from_millis(2),
};

/// A node whose files can be rotated.
struct Rotating {
    name: String,
    secret: Mounted,
    node: Following,
}

impl Rotating {
    fn new(name: &str, authority: &Authority) -> Self {
        let secret = Mounted::new(&authority.pem(), &leaf(authority, name));
        let node = follow(secret.source(), EAGER);
        Self {
            name: name.to_owned(),
            secret,
            node,
        }
    }

    /// Writes roots and a new certificate, and ends when they are in use.
    async fn rotate(&mut self, roots: &str, authority: &Authority) {
        let last = self.node.generation();
        self.secret.publish(roots, &leaf(authority, &self.name));
        assert_eq!(self.node.told().await, Told::Swapped(last + 1));
    }
}

fn leaf(authority: &Authority, name: &str) -> Issued {
    authority.issue(&member("executor", name))
}

/// Which accepted connections are live, by the peer's address.
struct Live {
    remotes: watch::Sender<HashSet<SocketAddr>>,
    load: Arc<Load>,
}

impl Events for Live {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        if event.outcome.is_ok() {
            self.remotes.send_modify(|live| {
                live.insert(event.remote);
            });
        }
    }

    fn closed(&self, event: &ClosedEvent<'_>) {
        self.remotes.send_modify(|live| {
            live.remove(&event.remote);
        });
        if event.cause == CloseCause::MaxAge {
            self.load.sent_away.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// What the clients count, and when they are to stop.
#[derive(Default)]
struct Load {
    calls: AtomicU64,
    streams: AtomicU64,
    words: AtomicU64,
    rounds: AtomicU64,
    sent_away: AtomicU64,
    over: AtomicBool,
}

impl Load {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn round(&self) -> u64 {
        self.rounds.load(Ordering::SeqCst)
    }

    /// One short call after the other.
    async fn call(&self, channel: &NodeChannel) -> Result<(), Status> {
        while !self.is_over() {
            call(channel).await?;
            self.calls.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    /// One long call after the other, each across two rotations of every node.
    async fn converse(&self, channel: &NodeChannel) -> Result<(), Status> {
        while !self.is_over() {
            let begun = self.round();
            let mut conversation = Conversation::begin(channel).await?;
            while self.round() < begun + 2 && !self.is_over() {
                conversation.say().await?;
                self.words.fetch_add(1, Ordering::SeqCst);
            }
            conversation.end().await?;
            self.streams.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A server, clients that talk to it, and the load that they make.
struct Cluster {
    server: Rotating,
    clients: Vec<Rotating>,
    live: watch::Receiver<HashSet<SocketAddr>>,
    load: Arc<Load>,
    talking: JoinSet<Result<(), Status>>,
    _serving: JoinSet<()>,
}

impl Cluster {
    async fn begin(authority: &Authority) -> Self {
        let server = Rotating::new("server", authority);
        let load = Arc::new(Load::default());
        let (remotes, live) = watch::channel(HashSet::new());
        let events = Live {
            remotes,
            load: Arc::clone(&load),
        };
        let serving = transport(&server.node.credentials, AGEING, Arc::new(events));
        let (address, tasks) = serve(&serving).await;
        let (mut clients, mut talking) = (Vec::new(), JoinSet::new());
        for number in 0..CLIENTS {
            let client = Rotating::new(&format!("client{number}"), authority);
            begin_talking(&mut talking, &load, &of(&client.node.credentials), &address);
            clients.push(client);
        }
        Self {
            server,
            clients,
            live,
            load,
            talking,
            _serving: tasks,
        }
    }

    /// Rotates the server and one client after the other.
    async fn rotate(&mut self, roots: &str, authority: &Authority) {
        self.server.rotate(roots, authority).await;
        for client in &mut self.clients {
            client.rotate(roots, authority).await;
        }
        self.load.rounds.fetch_add(1, Ordering::SeqCst);
    }

    /// Goes on rotating until every connection of this moment has come to its end.
    async fn rotate_until_renewed(&mut self, roots: &str, authority: &Authority) {
        let old = self.live.borrow().clone();
        while !self.live.borrow().is_disjoint(&old) {
            self.rotate(roots, authority).await;
        }
    }

    /// Rotates the roots as an operator does: both, then certificates of the new one, then, when
    /// nobody shows an old one any more, the new one alone.
    async fn rotate_roots(&mut self, old: &Authority, new: &Authority) {
        let both = format!("{}{}", old.pem(), new.pem());
        self.rotate(&both, old).await;
        self.rotate(&both, new).await;
        self.rotate_until_renewed(&both, new).await;
        self.rotate(&new.pem(), new).await;
    }

    async fn end(&mut self) {
        self.load.over.store(true, Ordering::SeqCst);
        while let Some(talked) = within(self.talking.join_next()).await {
            talked.unwrap().unwrap();
        }
    }
}

fn of(credentials: &Credentials) -> NodeTransport {
    transport(credentials, AcceptLimits::default(), Arc::new(NoEvents))
}

/// Both kinds of calls over one channel: the long ones are what keeps a connection open that is to
/// go, while short ones begin.
fn begin_talking(
    talking: &mut JoinSet<Result<(), Status>>,
    load: &Arc<Load>,
    client: &NodeTransport,
    server: &NodeAddress,
) {
    let channel = channel(client, server);
    let (of_calls, calling) = (Arc::clone(load), channel.clone());
    talking.spawn(async move { of_calls.call(&calling).await });
    let of_streams = Arc::clone(load);
    talking.spawn(async move { of_streams.converse(&channel).await });
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_and_roots_are_rotated_under_load_without_a_failed_call() {
    let generations = ["first", "second", "third"].map(Authority::new);
    let [first, second, third] = &generations;
    let mut cluster = Cluster::begin(first).await;
    let per_root = LEAF_ROTATIONS / generations.len();
    for (authority, next) in [(first, Some(second)), (second, Some(third)), (third, None)] {
        for _ in 0..per_root {
            cluster.rotate(&authority.pem(), authority).await;
        }
        if let Some(next) = next {
            cluster.rotate_roots(authority, next).await;
        }
    }
    cluster.end().await;

    let load = &cluster.load;
    let (calls, streams) = (&load.calls, &load.streams);
    eprintln!(
        "{calls:?} calls and {streams:?} streams with {:?} words; {:?} rotations of {} nodes; \
         {:?} connections sent away",
        load.words,
        load.rounds,
        CLIENTS + 1,
        load.sent_away,
    );
    // Nothing was rotated past an idle cluster, and connections came of age meanwhile.
    assert!(load.sent_away.load(Ordering::SeqCst) >= u64::try_from(CLIENTS).unwrap());
    assert!(calls.load(Ordering::SeqCst) > load.round());
    assert!(streams.load(Ordering::SeqCst) > u64::try_from(CLIENTS).unwrap());
    last_root_counts(&cluster.server, [second, third]).await;
}

/// A certificate of the dropped root is refused and one of the new root accepted, also where the
/// peer itself still believes both.
async fn last_root_counts(server: &Rotating, [dropped, current]: [&Authority; 2]) {
    let roots = format!("{}{}", dropped.pem(), current.pem());
    let accepting = acceptor(&server.node.credentials);
    for (authority, refused) in [
        (dropped, Some(RefusalReason::UnknownIssuer)),
        (current, None),
    ] {
        let issued = leaf(authority, "peer");
        let files = Files::write(&roots, &issued.chain_pem(), &issued.key_pem());
        let peer = cluster_tls::publish(files.load().unwrap()).1;
        let (accepted, _) = meet(&accepting, &peer, "localhost", Role::Executor).await;
        let reason = accepted.err().map(|error| accept_refusal(error).reason());
        assert_eq!(reason, refused);
    }
}

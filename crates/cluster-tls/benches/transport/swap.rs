//! Verifying every live peer again when the credentials change, and what calls feel of it.
//!
//! Every peer stays: each has another certificate, so that each is verified. Nothing in the API
//! tells when that is over, because nobody waits for it. Here the clock of the new snapshot tells:
//! a verification asks it once, and so does the look at ages that follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, ensure};
use cluster_tls::{
    AcceptLimits, Acceptor, Clock, Credentials, CredentialsWriter, NoEvents, PeerStream,
    SystemClock, publish,
};
use rustls_pki_types::ServerName;
use tokio::io::DuplexStream;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::Server;

use crate::figures::Figures;
use crate::pki::{Authority, Texts};
use crate::process::own_cpu_time;
use crate::service::Transport;
use crate::table::{Aim, Table};
use crate::wire::Client;
use crate::{Effort, bare, nodes};

pub(crate) async fn measure(effort: Effort) -> Result<Table> {
    let (rounds, peers) = match effort {
        Effort::Full => (15, 1000),
        Effort::Quick => (3, 100),
    };
    let mut node = Node::start(peers).await?;
    let (mut cpu, mut wall) = (Figures::default(), Figures::default());
    let (mut quiet_delays, mut delays) = (Figures::default(), Figures::default());
    for _ in 0..rounds {
        let quiet = node.swap().await?;
        cpu.push(milliseconds(quiet.cpu));
        wall.push(milliseconds(quiet.wall));
        quiet_delays.push(milliseconds(node.largest_delay_for(quiet.wall).await?));
        delays.push(milliseconds(node.largest_delay_of_swap().await?));
    }
    let title = format!("(f) {peers} live peers verified again at a swap, ms, {rounds} rounds");
    Ok(Table::new(title)
        .aimed("CPU time", &cpu, Aim::AtMost(300.0))
        .row("from the swap to the last peer", &wall)
        .row("slowest small call, no swap, as long", &quiet_delays)
        .aimed("slowest small call meanwhile", &delays, Aim::AtMost(50.0)))
}

/// A node with many live peers, one of which calls it.
struct Node {
    texts: Texts,
    writer: CredentialsWriter,
    verifications: u64,
    probe: Client,
    _peers: Vec<Peer>,
    _server: JoinSet<()>,
}

/// Both ends of a connection that is only there.
struct Peer {
    _accepted: PeerStream<DuplexStream>,
    _dialled: TlsStream<DuplexStream>,
}

struct Recheck {
    cpu: Duration,
    wall: Duration,
}

impl Node {
    async fn start(peers: usize) -> Result<Self> {
        let authority = Authority::new()?;
        let texts = authority.issue("scheduler", "scheduler1")?.texts;
        let snapshot = nodes::snapshot(&texts, Arc::new(SystemClock))?;
        let (writer, credentials) = publish(snapshot);
        let peers = connect(&authority, &credentials, peers).await?;
        let (probe, server) = probe(&authority, credentials).await?;
        Ok(Self {
            texts,
            writer,
            verifications: peers.len() as u64 + 1,
            probe,
            _peers: peers,
            _server: server,
        })
    }

    /// Makes other credentials, whose clock tells when all peers have been verified under them.
    fn prepare(&self) -> Result<(cluster_tls::Snapshot, Arc<CountingClock>)> {
        let clock = Arc::new(CountingClock::default());
        let next = nodes::snapshot(&self.texts, clock.clone())?;
        clock.expect(self.verifications + 1);
        Ok((next, clock))
    }

    /// A swap while nobody calls.
    async fn swap(&mut self) -> Result<Recheck> {
        let (next, clock) = self.prepare()?;
        let before = own_cpu_time().await?;
        let started = Instant::now();
        self.writer.swap(next);
        clock.reached.notified().await;
        let wall = started.elapsed();
        let cpu = own_cpu_time().await?.saturating_sub(before);
        clock.must_rest().await?;
        Ok(Recheck { cpu, wall })
    }

    /// The slowest of the calls that are made during a swap, one after the other.
    async fn largest_delay_of_swap(&mut self) -> Result<Duration> {
        let (next, clock) = self.prepare()?;
        self.writer.swap(next);
        let mut largest = Duration::ZERO;
        while !clock.has_reached() {
            largest = largest.max(self.call().await?);
        }
        clock.must_rest().await?;
        Ok(largest)
    }

    async fn largest_delay_for(&mut self, period: Duration) -> Result<Duration> {
        let started = Instant::now();
        let mut largest = Duration::ZERO;
        while started.elapsed() < period {
            largest = largest.max(self.call().await?);
        }
        Ok(largest)
    }

    async fn call(&mut self) -> Result<Duration> {
        let started = Instant::now();
        self.probe.echo().await?;
        Ok(started.elapsed())
    }
}

/// Peers with a certificate each. A pipe in memory is enough: they say nothing more.
async fn connect(
    authority: &Authority,
    credentials: &Credentials,
    count: usize,
) -> Result<Vec<Peer>> {
    let limits = AcceptLimits::default();
    let acceptor = Acceptor::new(credentials.clone(), limits, Arc::new(NoEvents));
    let remote = "127.0.0.1:1".parse()?;
    let name = ServerName::try_from("scheduler1.cluster.local")?;
    let mut peers = Vec::with_capacity(count);
    for number in 0..count {
        let executor = authority.issue("executor", &format!("executor{number}"))?;
        let config = bare::client(authority, &executor)?;
        let (client, server) = tokio::io::duplex(PIPE_BYTES);
        let (accepted, dialled) = tokio::join!(
            acceptor.accept(server, remote),
            TlsConnector::from(Arc::new(config)).connect(name.clone(), client),
        );
        peers.push(Peer {
            _accepted: accepted?,
            _dialled: dialled?,
        });
    }
    ensure!(credentials.connections().total() == count, "a peer is gone");
    Ok(peers)
}

/// A server with the same credentials, and a warm connection to it.
async fn probe(authority: &Authority, credentials: Credentials) -> Result<(Client, JoinSet<()>)> {
    let caller = authority.issue("executor", "caller")?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(async move {
        let router = Server::builder().add_service(Transport);
        let transport = nodes::mutual(credentials);
        transport
            .serve(listener, router, std::future::pending())
            .await;
    });
    let caller = nodes::mutual(nodes::credentials(&caller.texts)?);
    let mut client = Client::new(nodes::channel(&caller, address)?);
    client.echo().await?;
    Ok((client, server))
}

/// The machine's clock, which counts how often it is asked.
#[derive(Debug, Default)]
struct CountingClock {
    asked: AtomicU64,
    expected: AtomicU64,
    reached: Notify,
}

impl CountingClock {
    /// Forgets what was asked so far, and tells when it has been asked `count` times.
    fn expect(&self, count: u64) {
        self.asked.store(0, Ordering::SeqCst);
        self.expected.store(count, Ordering::SeqCst);
    }

    fn has_reached(&self) -> bool {
        self.asked.load(Ordering::SeqCst) >= self.expected.load(Ordering::SeqCst)
    }

    /// The figures would be too good if a verification asked more often than is assumed: the end
    /// would have been seen too early, and the clock would go on being asked.
    async fn must_rest(&self) -> Result<()> {
        tokio::time::sleep(REST).await;
        let more = self.asked.load(Ordering::SeqCst) - self.expected.load(Ordering::SeqCst);
        ensure!(more <= LOOKS_MAX, "{more} verifications after the end");
        Ok(())
    }
}

impl Clock for CountingClock {
    fn now(&self) -> SystemTime {
        let asked = 1 + self.asked.fetch_add(1, Ordering::SeqCst);
        if asked == self.expected.load(Ordering::SeqCst) {
            self.reached.notify_one();
        }
        SystemTime::now()
    }
}

fn milliseconds(duration: Duration) -> f64 {
    1e3 * duration.as_secs_f64()
}

/// A flight of a handshake fits.
const PIPE_BYTES: usize = 16 * 1024;
const REST: Duration = Duration::from_millis(50);
/// Ages are looked at once a second.
const LOOKS_MAX: u64 = 1;

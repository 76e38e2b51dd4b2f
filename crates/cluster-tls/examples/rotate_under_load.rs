//! Eight clients call without a pause while every certificate is renewed each second and the root
//! is exchanged twice. No call may fail.
//!
//! `cargo run -p cluster-tls --features tonic,notify --example rotate_under_load -- --seconds 60`
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "support/greeter.rs"]
mod greeter;
#[path = "support/pki.rs"]
mod pki;

use std::future::pending;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cluster_tls::tonic::{ChannelOptions, NodeTransport, server_builder};
use cluster_tls::{
    AcceptLimits, CredentialPaths, Credentials, DialLimits, Events, FileSource, HandshakeEvent,
    NodeAddress, PeerPolicy, ReloadEvent, Role, Side, SystemClock, WatchedFiles, open,
};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{interval, timeout};
use tonic::{Request, Response, Status};

use crate::greeter::{Greeter, GreeterClient, GreeterServer, HelloReply, HelloRequest};
use crate::pki::{Authority, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let seconds = seconds()?;
    let directory = TempDir::new()?;
    let rotation = Rotation {
        roots: [
            Authority::root("root 0")?,
            Authority::root("root 1")?,
            Authority::root("root 2")?,
        ],
        changes: [1, (seconds / 2).max(3)],
    };
    let tally = Arc::new(Tally::default());
    let mut beside = JoinSet::new();
    let mut node = |role| Node::start(directory.path(), role, &rotation, &tally, &mut beside);
    let (server, client) = (node("scheduler")?, node("executor")?);
    let address = serve(&server, &mut beside).await?;

    let (stop, stopped) = watch::channel(());
    let mut calling = JoinSet::new();
    for _ in 0..CLIENTS {
        let (transport, to) = (client.transport.clone(), address.clone());
        calling.spawn(call_until(
            stopped.clone(),
            transport,
            to,
            Arc::clone(&tally),
        ));
    }
    rotate(&rotation, &[&server, &client], seconds).await?;
    drop(stop);
    while calling.join_next().await.is_some() {}
    tally.report(server.credentials.current().generation())
}

async fn serve(node: &Node, beside: &mut JoinSet<()>) -> Result<NodeAddress> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = NodeAddress::new("localhost", listener.local_addr()?.port())?;
    let router = server_builder().add_service(GreeterServer(Arc::new(Hello)));
    let transport = node.transport.clone();
    beside.spawn(async move { transport.serve(listener, router, pending()).await });
    Ok(address)
}

/// Replaces the files of all nodes each second, and sees that the nodes notice.
async fn rotate(rotation: &Rotation, nodes: &[&Node], seconds: u64) -> Result<()> {
    let mut ticks = interval(Duration::from_secs(1));
    ticks.tick().await;
    for second in 1..=seconds {
        ticks.tick().await;
        for node in nodes {
            block_in_place(|| write(&node.directory, node.role, rotation, second))?;
        }
        // The first snapshot is generation 1, so that of second 1 is generation 2.
        for node in nodes {
            timeout(PATIENCE, node.credentials.changed_from(second)).await?;
        }
        let (issuer, trusted) = (rotation.issuer(second), rotation.trusted(second));
        println!("second {second}: issued by root {issuer}, trusted are {trusted:?}");
    }
    Ok(())
}

/// Which root issues and which are trusted, second by second.
struct Rotation {
    roots: [Authority; 3],
    /// The seconds from which on the next root issues.
    changes: [u64; 2],
}

impl Rotation {
    fn issuer(&self, second: u64) -> usize {
        self.changes
            .iter()
            .filter(|change| **change <= second)
            .count()
    }

    /// A root is trusted everywhere a second before anybody shows a certificate of it, and two
    /// seconds after: by then the last connection that was made with one has been replaced.
    fn trusted(&self, second: u64) -> RangeInclusive<usize> {
        self.issuer(second.saturating_sub(2))..=self.issuer(second + 1)
    }
}

/// A process of the cluster, with its files.
struct Node {
    directory: PathBuf,
    role: &'static str,
    credentials: Credentials,
    transport: NodeTransport,
}

impl Node {
    /// Writes the first files, loads them, and keeps looking at them.
    fn start(
        directory: &Path,
        role: &'static str,
        rotation: &Rotation,
        tally: &Arc<Tally>,
        beside: &mut JoinSet<()>,
    ) -> Result<Self> {
        let directory = directory.join(role);
        let paths = write(&directory, role, rotation, 0)?;
        let source = WatchedFiles::new(FileSource::new(paths));
        let (credentials, reloader) = open(source, Arc::new(SystemClock), PeerPolicy::default())?;
        let events: Arc<dyn Events> = Arc::<Tally>::clone(tally);
        beside.spawn(reloader.run(Arc::clone(&events)));
        let (accept, dial) = (AcceptLimits::default(), DialLimits::default());
        Ok(Self {
            directory,
            role,
            transport: NodeTransport::mutual(credentials.clone(), accept, dial, events),
            credentials,
        })
    }
}

/// What a deployment tool does: new files in the place of the old ones.
fn write(
    directory: &Path,
    role: &str,
    rotation: &Rotation,
    second: u64,
) -> Result<CredentialPaths> {
    let issuer = &rotation.roots[rotation.issuer(second)];
    let issued = issuer.issue(Some(&format!("spiffe://example.org/{role}/{role}1")))?;
    let bundle: String = rotation.roots[rotation.trusted(second)]
        .iter()
        .map(Authority::pem)
        .collect();
    pki::write(directory, &bundle, &issued)
}

/// Calls one after the other, on one channel. It moves on to a new connection with each generation,
/// which is what makes it possible to take an old root away soon; a call that is under way ends on
/// the connection on which it began.
async fn call_until(
    stopped: watch::Receiver<()>,
    transport: NodeTransport,
    server: NodeAddress,
    tally: Arc<Tally>,
) {
    let channel = transport.channel(&server, Role::Scheduler, &ChannelOptions::default());
    let mut client = GreeterClient::new(channel);
    while stopped.has_changed().is_ok() {
        match timeout(PATIENCE, client.say_hello("world")).await {
            Ok(Ok(_)) => tally.calls.fetch_add(1, Ordering::Relaxed),
            failure => {
                println!("a call failed: {failure:?}");
                tally.failures.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

struct Hello;

impl Greeter for Hello {
    fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> std::result::Result<Response<HelloReply>, Status> {
        let message = format!("hello {}", request.into_inner().name);
        Ok(Response::new(HelloReply { message }))
    }
}

#[derive(Default)]
struct Tally {
    calls: AtomicU64,
    failures: AtomicU64,
    connections: AtomicU64,
}

impl Events for Tally {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        if event.side == Side::Accepted && event.outcome.is_ok() {
            self.connections.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn reloaded(&self, event: &ReloadEvent<'_>) {
        if let ReloadEvent::Rejected { error } = event {
            println!("not used: {error}");
        }
    }
}

impl Tally {
    fn report(&self, generation: u64) -> Result<()> {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let (calls, failures) = (of(&self.calls), of(&self.failures));
        let reconnects = of(&self.connections).saturating_sub(CLIENTS);
        println!(
            "{calls} calls, {failures} failures, {reconnects} reconnects, generation {generation}"
        );
        match failures {
            0 => Ok(()),
            _ => Err("a rotation was felt".into()),
        }
    }
}

/// From `--seconds N`; less than five are too few for two roots.
fn seconds() -> Result<u64> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => Ok(5),
        (Some("--seconds"), Some(number)) => Ok(number.parse::<u64>()?.max(5)),
        _ => Err("usage: rotate_under_load [--seconds N]".into()),
    }
}

const CLIENTS: u64 = 8;

/// Nothing here takes seconds, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(10);

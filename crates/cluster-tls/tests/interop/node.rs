//! A node of ours, with credentials from files that others have made.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cluster_tls::{
    AcceptError, AcceptLimits, Acceptor, Clock, CredentialPaths, Credentials, DialError,
    DialLimits, Dialer, FileSource, LoadError, NoEvents, NodeAddress, PeerPolicy, PeerStream,
    Refusal, Role, Snapshot, SystemClock, load, load_from, publish,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::tool::{PATIENCE, Running};

/// A node that listens on a port of its own.
pub(crate) struct Node {
    listener: TcpListener,
    acceptor: Acceptor,
}

impl Node {
    pub(crate) async fn listen(credentials: &Credentials) -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            acceptor: Acceptor::new(
                credentials.clone(),
                AcceptLimits::default(),
                Arc::new(NoEvents),
            ),
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// The handshake with the next one who connects. The tools begin to speak at once.
    pub(crate) async fn meet(&self) -> Result<PeerStream<TcpStream>, Refusal> {
        let accepting = async {
            let (tcp, remote) = self.listener.accept().await.unwrap();
            self.acceptor.accept(tcp, remote).await
        };
        let outcome = timeout(PATIENCE, accepting).await.unwrap();
        outcome.map_err(|error| match error {
            AcceptError::Refused { refusal, .. } => refusal,
            other => panic!("{other}"),
        })
    }
}

/// Dials `localhost`, as everybody in these tests is called.
pub(crate) async fn dial(
    node: &Credentials,
    port: u16,
    expected: Role,
) -> Result<PeerStream<TcpStream>, Refusal> {
    let address = NodeAddress::new("localhost", port).unwrap();
    let dialer = Dialer::new(node.clone(), DialLimits::default(), Arc::new(NoEvents));
    let outcome = timeout(PATIENCE, dialer.connect(&address, expected)).await;
    outcome.unwrap().map_err(|error| match error {
        DialError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    })
}

/// Shows that what `stream` says arrives at `tool`, and the other way round.
pub(crate) async fn talk(stream: &mut PeerStream<TcpStream>, tool: &mut Running) {
    stream.write_all(b"hello from the node\n").await.unwrap();
    stream.flush().await.unwrap();
    tool.line_with("hello from the node").await;
    tool.say("hello from the tool");
    hear(stream, "hello from the tool\n").await;
}

/// Waits until the peer has said `wanted`.
pub(crate) async fn hear(stream: &mut PeerStream<TcpStream>, wanted: &str) {
    let mut heard = vec![0; wanted.len()];
    let reading = timeout(PATIENCE, stream.read_exact(&mut heard)).await;
    reading.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&heard), wanted);
}

/// What a load makes of the files.
pub(crate) fn loaded(paths: &CredentialPaths) -> Result<Snapshot, LoadError> {
    load(paths, Arc::new(SystemClock), PeerPolicy::default())
}

/// Credentials that nobody will change.
pub(crate) fn credentials(paths: &CredentialPaths) -> Credentials {
    publish(loaded(paths).unwrap()).1
}

pub(crate) fn credentials_under(paths: &CredentialPaths, policy: PeerPolicy) -> Credentials {
    publish(load(paths, Arc::new(SystemClock), policy).unwrap()).1
}

pub(crate) fn credentials_at(paths: &CredentialPaths, clock: Ahead) -> Credentials {
    publish(load(paths, Arc::new(clock), PeerPolicy::default()).unwrap()).1
}

/// The same with a file of revocation lists.
pub(crate) fn loaded_with(paths: &CredentialPaths, lists: &Path) -> Result<Snapshot, LoadError> {
    let mut source = FileSource::new(paths.clone()).with_crl(lists);
    load_from(&mut source, Arc::new(SystemClock), PeerPolicy::default())
}

pub(crate) fn revoking(paths: &CredentialPaths, lists: &Path) -> Credentials {
    publish(loaded_with(paths, lists).unwrap()).1
}

/// A clock that is ahead of those of the tools.
#[derive(Debug)]
pub(crate) struct Ahead(pub(crate) Duration);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemClock.now() + self.0
    }
}

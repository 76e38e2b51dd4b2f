//! A swap in the middle of a handshake cannot leave a revoked peer connected.

use std::sync::Arc;

use cluster_tls::{
    CloseCause, Credentials, CredentialsWriter, Dialer, PeerStream, Refusal, RefusalReason, Role,
    Side, publish,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::loaded::{load_texts, texts};
use crate::meeting::{accept_refusal, dial_refusal, listen, local};
use crate::observed::{Observed, next, observer, silent, within};
use crate::pki::{Authority, Issued, numbered};
use crate::raw;

const PEER: u16 = 0x5f3a;

/// A node, the right to change its credentials, and what they change to.
struct Node {
    credentials: Credentials,
    writer: CredentialsWriter,
    own: Issued,
    authority: Authority,
}

impl Node {
    fn new() -> Self {
        let authority = Authority::new("root");
        let own = authority.issue(&numbered("node", 0x0101));
        let (writer, credentials) = publish(load_texts(texts(&authority, &own)).unwrap());
        Self {
            credentials,
            writer,
            own,
            authority,
        }
    }

    fn peer(&self) -> Issued {
        self.authority.issue(&numbered("executor1", PEER))
    }

    /// Swaps in a deny-list.
    fn deny(&mut self, list: &str) {
        let texts = texts(&self.authority, &self.own).with_deny_list(list);
        self.writer.swap(load_texts(texts).unwrap());
    }
}

/// Everything that arrives next at `from`, which must be something.
async fn arriving(from: &mut (impl AsyncReadExt + Unpin)) -> Vec<u8> {
    let mut bytes = vec![0; 64 * 1024];
    let count = within(from.read(&mut bytes)).await.unwrap();
    assert_ne!(count, 0);
    bytes.truncate(count);
    bytes
}

/// Lets a peer dial the node over two pipes and denies `list` when only the peer's last flight is
/// missing.
async fn accepted_across_a_swap(
    node: &mut Node,
    list: &str,
) -> (
    Result<PeerStream<DuplexStream>, Refusal>,
    Observed,
    JoinSet<()>,
) {
    let (events, mut observed) = observer();
    let acceptor = cluster_tls::Acceptor::new(
        node.credentials.clone(),
        cluster_tls::AcceptLimits::default(),
        events,
    );
    let (of_peer, mut to_peer) = duplex(64 * 1024);
    let (of_node, mut to_node) = duplex(64 * 1024);
    let config = Arc::new(raw::client(Some(&node.peer())));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = TlsConnector::from(config)
            .connect(name, of_peer)
            .await
            .unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    });
    let (_, remote) = listen().await;
    let swapping = async {
        to_node
            .write_all(&arriving(&mut to_peer).await)
            .await
            .unwrap();
        // The answer shows that the node has chosen the snapshot for this handshake.
        let flight = arriving(&mut to_node).await;
        to_peer.write_all(&flight).await.unwrap();
        let last = arriving(&mut to_peer).await;
        node.deny(list);
        to_node.write_all(&last).await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut to_node, &mut to_peer).await });
    };
    let (accepted, ()) = tokio::join!(acceptor.accept(of_node, remote), swapping);
    let (side, outcome) = next(&mut observed.handshakes).await;
    assert_eq!(side, Side::Accepted);
    assert_eq!(outcome.is_ok(), accepted.is_ok());
    (accepted.map_err(accept_refusal), observed, tasks)
}

#[tokio::test]
async fn a_peer_that_is_revoked_while_it_dials_is_refused() {
    let mut node = Node::new();
    let (accepted, mut observed, _peer) = accepted_across_a_swap(&mut node, "5f3a").await;
    let refusal = accepted.unwrap_err();
    assert_eq!(refusal.reason(), RefusalReason::Revoked);
    assert_eq!(
        refusal.claimed().first().unwrap(),
        "executor1.cluster.local"
    );
    assert_eq!(node.credentials.connections().total(), 0);
    // It never was a connection, and so none has ended.
    silent(&mut observed.endings);
}

#[tokio::test]
async fn a_peer_that_is_still_believed_after_the_swap_is_let_in() {
    let mut node = Node::new();
    let (accepted, mut observed, _peer) = accepted_across_a_swap(&mut node, "5f3b").await;
    let mut stream = accepted.unwrap();
    assert_eq!(stream.peer().generation(), 1);
    assert_eq!(node.credentials.current().generation(), 2);
    assert_eq!(node.credentials.connections().total(), 1);
    // The next swap finds it: it is among the live ones like any other.
    node.deny("5f3a");
    within(stream.read(&mut [0; 1])).await.unwrap_err();
    drop(stream);
    assert_eq!(next(&mut observed.endings).await.cause, CloseCause::Revoked);
}

/// Lets the node dial a peer through a relay that denies `list` before it passes the peer's
/// answer on.
async fn dialled_across_a_swap(
    node: &mut Node,
    list: &str,
) -> (Result<PeerStream<TcpStream>, Refusal>, Observed) {
    let (events, mut observed) = observer();
    let limits = cluster_tls::DialLimits::default();
    let dialer = Dialer::new(node.credentials.clone(), limits, events);
    let (peer, peer_address) = listen().await;
    let (relay, relay_address) = listen().await;
    let config = Arc::new(raw::server(&node.peer()));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { answer(peer, config).await });
    let swapping = async {
        let (mut to_node, _) = relay.accept().await.unwrap();
        let mut to_peer = TcpStream::connect(peer_address).await.unwrap();
        to_peer
            .write_all(&arriving(&mut to_node).await)
            .await
            .unwrap();
        let flight = arriving(&mut to_peer).await;
        node.deny(list);
        to_node.write_all(&flight).await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut to_node, &mut to_peer).await });
    };
    let target = local("localhost", relay_address);
    let (dialled, ()) = tokio::join!(dialer.connect(&target, Role::Executor), swapping);
    let (side, outcome) = next(&mut observed.handshakes).await;
    assert_eq!(side, Side::Dialled);
    assert_eq!(outcome.is_ok(), dialled.is_ok());
    (dialled.map_err(dial_refusal), observed)
}

async fn answer(listener: TcpListener, config: Arc<rustls::ServerConfig>) {
    let (tcp, _) = listener.accept().await.unwrap();
    if let Ok(mut stream) = TlsAcceptor::from(config).accept(tcp).await {
        let _ = stream.read(&mut [0; 1]).await;
    }
}

#[tokio::test]
async fn a_peer_that_is_revoked_while_it_is_dialled_is_refused() {
    let mut node = Node::new();
    let (dialled, mut observed) = dialled_across_a_swap(&mut node, "5f3a").await;
    assert_eq!(dialled.unwrap_err().reason(), RefusalReason::Revoked);
    assert_eq!(node.credentials.connections().total(), 0);
    silent(&mut observed.endings);

    let mut node = Node::new();
    let (dialled, _) = dialled_across_a_swap(&mut node, "5f3b").await;
    assert_eq!(dialled.unwrap().peer().generation(), 1);
    assert_eq!(node.credentials.current().generation(), 2);
}

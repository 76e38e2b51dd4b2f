//! Two ends of one TCP connection on the loopback interface.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cluster_tls::{
    AcceptError, AcceptLimits, Acceptor, Credentials, DialError, DialLimits, Dialer, Events,
    HandshakeEvent, NodeAddress, PeerStream, Refusal, RefusalReason, Role, Side,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// What a node's events said, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Arc<Mutex<Vec<Sighting>>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sighting {
    pub(crate) side: Side,
    pub(crate) reason: Option<RefusalReason>,
    pub(crate) claimed: Vec<String>,
}

impl Seen {
    pub(crate) fn all(&self) -> Vec<Sighting> {
        self.0.lock().unwrap().clone()
    }
}

impl Events for Seen {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        let refusal = event.outcome.err();
        self.0.lock().unwrap().push(Sighting {
            side: event.side,
            reason: refusal.map(Refusal::reason),
            claimed: refusal
                .map(|refusal| refusal.claimed().to_vec())
                .unwrap_or_default(),
        });
    }
}

/// A listener on a port of its own.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Lets `node` accept one connection, on which `client` does what it does until the node is done.
pub(crate) async fn accept_from<F>(
    node: &Acceptor,
    client: impl FnOnce(TcpStream) -> F,
) -> Result<PeerStream<TcpStream>, AcceptError>
where
    F: Future<Output = ()> + Send + 'static,
{
    accept_beside(node, client).await.0
}

/// Like [`accept_from`], but the client goes on for as long as the returned set lives.
pub(crate) async fn accept_beside<F>(
    node: &Acceptor,
    client: impl FnOnce(TcpStream) -> F,
) -> (Result<PeerStream<TcpStream>, AcceptError>, JoinSet<()>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listen().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(client(TcpStream::connect(address).await.unwrap()));
    let (tcp, remote) = listener.accept().await.unwrap();
    (node.accept(tcp, remote).await, tasks)
}

/// Like [`accept_from`], for one that must be refused.
pub(crate) async fn refusal_of<F>(
    node: &Credentials,
    client: impl FnOnce(TcpStream) -> F,
) -> Refusal
where
    F: Future<Output = ()> + Send + 'static,
{
    accept_refusal(accept_from(&acceptor(node), client).await.unwrap_err())
}

/// What a client with a given rustls configuration does: shake hands, then listen.
pub(crate) fn speaking(
    config: ClientConfig,
) -> impl FnOnce(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |tcp| {
        Box::pin(async move {
            let name = ServerName::try_from("localhost").unwrap();
            let connector = TlsConnector::from(Arc::new(config));
            if let Ok(mut stream) = connector.connect(name, tcp).await {
                let _ = stream.read(&mut [0; 1]).await;
            }
        })
    }
}

/// A client that says `bytes` and then listens.
pub(crate) fn saying(
    bytes: Vec<u8>,
) -> impl FnOnce(TcpStream) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |mut tcp| {
        Box::pin(async move {
            tcp.write_all(&bytes).await.unwrap();
            let _ = tcp.read_to_end(&mut Vec::new()).await;
        })
    }
}

/// Lets `node` dial a server with a given rustls configuration as `localhost`.
pub(crate) async fn dial_raw(
    node: &Credentials,
    config: ServerConfig,
    expected: Role,
) -> Result<PeerStream<TcpStream>, DialError> {
    let (listener, address) = listen().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await {
            let _ = stream.read(&mut [0; 1]).await;
        }
    });
    dialer(node)
        .connect(&local("localhost", address), expected)
        .await
}

/// Lets `from` dial `to`, both with our own code; both outcomes.
pub(crate) async fn meet(
    to: &Acceptor,
    from: &Credentials,
    host: &str,
    expected: Role,
) -> (
    Result<PeerStream<TcpStream>, AcceptError>,
    Result<PeerStream<TcpStream>, DialError>,
) {
    meet_at(to, &dialer(from), host, expected).await
}

/// The same with a dialler that is at hand.
pub(crate) async fn meet_by(
    to: &Acceptor,
    from: &Dialer,
    expected: Role,
) -> (
    Result<PeerStream<TcpStream>, AcceptError>,
    Result<PeerStream<TcpStream>, DialError>,
) {
    meet_at(to, from, "localhost", expected).await
}

async fn meet_at(
    to: &Acceptor,
    from: &Dialer,
    host: &str,
    expected: Role,
) -> (
    Result<PeerStream<TcpStream>, AcceptError>,
    Result<PeerStream<TcpStream>, DialError>,
) {
    let (listener, address) = listen().await;
    let accepting = async {
        let (tcp, remote) = listener.accept().await.unwrap();
        to.accept(tcp, remote).await
    };
    let target = local(host, address);
    tokio::join!(accepting, from.connect(&target, expected))
}

pub(crate) fn local(host: &str, address: SocketAddr) -> NodeAddress {
    NodeAddress::new(host, address.port()).unwrap()
}

pub(crate) fn acceptor(node: &Credentials) -> Acceptor {
    Acceptor::new(
        node.clone(),
        AcceptLimits::default(),
        Arc::new(Seen::default()),
    )
}

pub(crate) fn dialer(node: &Credentials) -> Dialer {
    Dialer::new(
        node.clone(),
        DialLimits::default(),
        Arc::new(Seen::default()),
    )
}

/// Limits under which a test of a timeout does not take long.
pub(crate) fn impatient() -> AcceptLimits {
    AcceptLimits {
        handshake_timeout: Duration::from_millis(200),
        ..AcceptLimits::default()
    }
}

pub(crate) fn accept_refusal(error: AcceptError) -> Refusal {
    match error {
        AcceptError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

pub(crate) fn dial_refusal(error: DialError) -> Refusal {
    match error {
        DialError::Refused { refusal, .. } => refusal,
        other => panic!("{other}"),
    }
}

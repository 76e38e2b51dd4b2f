//! A node's accept loop, and strangers that knock from several addresses.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_tls::{
    AcceptLimits, Acceptor, Credentials, DropReason, DroppedEvent, Events, HandshakeEvent,
    Listener, Refusal, RefusalReason,
};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::loaded::credentials;
use crate::meeting::listen;
use crate::observed::within;
use crate::pki::Authority;
use crate::raw;

/// What the events say of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Dropped(SocketAddr, DropReason),
    Refused(SocketAddr, RefusalReason),
    Entered(SocketAddr),
}

/// Passes on what the events say, as they say it.
struct Telling(UnboundedSender<Word>);

impl Events for Telling {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        let word = match event.outcome.map_err(Refusal::reason) {
            Ok(_) => Word::Entered(event.remote),
            Err(reason) => Word::Refused(event.remote, reason),
        };
        let _ = self.0.send(word);
    }

    fn dropped(&self, event: &DroppedEvent) {
        let _ = self.0.send(Word::Dropped(event.remote, event.reason));
    }
}

/// A node that accepts for as long as this lives.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    words: UnboundedReceiver<Word>,
    /// Everything that was said so far.
    pub(crate) heard: Vec<Word>,
    _accepting: JoinSet<()>,
}

impl Door {
    pub(crate) async fn open(node: Credentials, limits: AcceptLimits) -> Self {
        let (tell, words) = unbounded_channel();
        let acceptor = Acceptor::new(node, limits, Arc::new(Telling(tell)));
        let (tcp, address) = listen().await;
        let mut listener = Listener::new(tcp, acceptor);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        Self {
            address,
            words,
            heard: Vec::new(),
            _accepting: accepting,
        }
    }

    /// A connection from `127.0.0.<source>` that says nothing by itself.
    pub(crate) async fn knock(&self, source: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, source], 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// A connection that has been answered and says no more.
    pub(crate) async fn stall(&self, member: &Arc<ClientConfig>, source: u8) -> TcpStream {
        let mut tcp = self.knock(source).await;
        tcp.write_all(&raw::client_hello(member)).await.unwrap();
        tcp.read_u8().await.unwrap();
        tcp
    }

    /// Waits for the next word.
    pub(crate) async fn listen(&mut self) -> Word {
        let word = within(self.words.recv()).await.unwrap();
        self.heard.push(word);
        word
    }

    /// Everything that has been said since this was last asked, without waiting for more.
    pub(crate) fn news(&mut self) -> Vec<Word> {
        while let Ok(word) = self.words.try_recv() {
            self.heard.push(word);
        }
        std::mem::take(&mut self.heard)
    }

    /// Waits for `word`, and remembers the others.
    pub(crate) async fn hear(&mut self, word: Word) {
        while self.listen().await != word {}
    }

    /// Lets a member in from `source`; how long that took.
    pub(crate) async fn enter(&mut self, member: &Arc<ClientConfig>, source: u8) -> Duration {
        let started = Instant::now();
        let tcp = self.knock(source).await;
        let local = tcp.local_addr().unwrap();
        let _stream = shake_hands(member, tcp).await;
        self.hear(Word::Entered(local)).await;
        started.elapsed()
    }
}

/// The client's half of a handshake.
pub(crate) async fn shake_hands(
    member: &Arc<ClientConfig>,
    tcp: TcpStream,
) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::clone(member));
    connector.connect(name, tcp).await.unwrap()
}

/// A node, and a member that may come in.
pub(crate) fn cluster() -> (Credentials, Arc<ClientConfig>) {
    let authority = Authority::new("root");
    let node = credentials(&authority, &authority.executor());
    let member = raw::client(Some(&authority.executor()));
    (node, Arc::new(member))
}

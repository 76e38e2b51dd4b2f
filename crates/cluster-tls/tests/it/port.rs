//! What there may be at the other end of a dial.

use std::net::SocketAddr;
use std::sync::Arc;

use cluster_tls::{AcceptLimits, Acceptor, Credentials, NoEvents};
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::meeting::listen;

/// What listens on a port for as long as this lives.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    _tasks: JoinSet<()>,
}

/// A port on which every connection meets `peer`.
pub(crate) async fn listening<F>(peer: impl Fn(TcpStream) -> F + Send + 'static) -> Listening
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listen().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            peer(tcp).await;
        }
    });
    Listening {
        address,
        _tasks: tasks,
    }
}

/// A node of ours, which begins as HTTP/2 servers do: with its settings.
pub(crate) async fn serving(node: Credentials) -> Listening {
    let acceptor = Acceptor::new(node, AcceptLimits::default(), Arc::new(NoEvents));
    listening(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            let remote = tcp.peer_addr().unwrap();
            if let Ok(mut stream) = acceptor.accept(tcp, remote).await {
                stream
                    .write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0])
                    .await
                    .unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    })
    .await
}

/// A server that is not ours, and says nothing after the handshake.
pub(crate) async fn serving_raw(config: ServerConfig) -> Listening {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listening(move |tcp| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(tcp).await {
                let _ = stream.read_to_end(&mut Vec::new()).await;
            }
        }
    })
    .await
}

//! A relay between the address that a node advertises and the one that it listens on. It keeps
//! a copy of every byte.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Forwards until it is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    recordings: watch::Receiver<Vec<Arc<Recording>>>,
    _tasks: JoinSet<()>,
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(super) struct Recording {
    to_node: Mutex<Vec<u8>>,
    from_node: Mutex<Vec<u8>>,
}

impl Relay {
    /// Listens on `address` with the port of `node`, and forwards to `node`.
    pub(super) async fn start(address: IpAddr, node: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind((address, node.port())).await;
        let listener = listener.with_context(|| format!("no relay at {address}"))?;
        let (sender, recordings) = watch::channel(Vec::new());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let recording = Arc::new(Recording::default());
                sender.send_modify(|all: &mut Vec<_>| all.push(recording.clone()));
                connections.spawn(forward(client, node, recording));
            }
        });
        Ok(Self {
            recordings,
            _tasks: tasks,
        })
    }

    /// What went through so far, one recording for each connection.
    pub(super) fn recordings(&self) -> Vec<Arc<Recording>> {
        self.recordings.borrow().clone()
    }

    /// Waits until somebody has connected.
    pub(super) async fn used(&self) -> Result<()> {
        let mut recordings = self.recordings.clone();
        recordings.wait_for(|all| !all.is_empty()).await?;
        Ok(())
    }
}

impl Recording {
    /// What was sent to the node.
    pub(super) fn sent_to_node(&self) -> Vec<u8> {
        copy(&self.to_node)
    }

    /// What the node sent.
    pub(super) fn sent_by_node(&self) -> Vec<u8> {
        copy(&self.from_node)
    }
}

async fn forward(client: TcpStream, node: SocketAddr, recording: Arc<Recording>) {
    let Ok(node) = TcpStream::connect(node).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_node, to_node) = node.into_split();
    tokio::join!(
        pass(from_client, to_node, &recording.to_node),
        pass(from_node, to_client, &recording.from_node),
    );
}

/// Passes bytes on until either side ends; a broken connection is for the nodes to notice.
async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    record: &Mutex<Vec<u8>>,
) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let bytes = &buffer[..length];
        record
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend_from_slice(bytes);
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    // The other side may have hung up first.
    let _ = to.shutdown().await;
}

fn copy(record: &Mutex<Vec<u8>>) -> Vec<u8> {
    record
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}

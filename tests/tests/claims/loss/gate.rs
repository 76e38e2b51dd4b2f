//! An address at which a node appears later.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A listener that hangs up on everybody, until it is opened to a node.
#[derive(Debug)]
pub(super) struct Gate {
    listener: TcpListener,
}

impl Gate {
    pub(super) async fn shut() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener })
    }

    pub(super) fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Waits for the next caller and hangs up.
    pub(super) async fn refuse_one(&self) -> Result<()> {
        self.listener.accept().await?;
        Ok(())
    }

    /// Connects every further caller with `node`, until the result is dropped.
    pub(super) fn open_to(self, node: SocketAddr) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut caller, _)) = self.listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut node) = TcpStream::connect(node).await {
                        // However it ends, the nodes notice.
                        let _ = copy_bidirectional(&mut caller, &mut node).await;
                    }
                });
            }
        });
        tasks
    }
}

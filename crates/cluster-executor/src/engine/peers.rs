//! Connections to the shuffle services of other executors.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::BallistaError;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;
use cluster_tls::tonic::{ChannelOptions, NodeChannel, NodeTransport};
use cluster_tls::{NodeAddress, Role};
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio_util::task::AbortOnDropHandle;

/// One connection to each, for blocks that are taken in whole. A reader that stopped in the middle
/// of one would hold up every other block of that connection, so larger ones have their own.
///
/// A connection lives on the threads where it was made. Tasks run on threads that go with the
/// scheduler that they came from, so whatever dials is run on those of the node.
pub(super) struct Peers {
    transport: NodeTransport,
    runtime: Handle,
    shared: Mutex<HashMap<NodeAddress, NodeChannel>>,
}

impl Peers {
    /// To be called on the threads of the node.
    pub(super) fn new(transport: NodeTransport) -> Self {
        Self {
            transport,
            runtime: Handle::current(),
            shared: Mutex::default(),
        }
    }

    /// Does `work` on the threads of the node, until it is done or nobody waits for it.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, JoinError> {
        AbortOnDropHandle::new(self.runtime.spawn(work)).await
    }

    /// For a caller that takes in whatever comes at once.
    pub(super) fn shared(&self, peer: &NodeAddress) -> NodeChannel {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.len() >= SHARED_LIMIT && !shared.contains_key(peer) {
            shared.clear();
        }
        let channel = shared.entry(peer.clone());
        channel.or_insert_with(|| self.own(peer)).clone()
    }

    /// For a caller that reads at its own speed.
    pub(super) fn own(&self, peer: &NodeAddress) -> NodeChannel {
        let options = ChannelOptions::default();
        self.transport.channel(peer, Role::Executor, &options)
    }
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").finish_non_exhaustive()
    }
}

/// What Ballista's own readers get: they believe what blocks claim (`reader.rs`), so they read
/// local files and nothing else.
#[derive(Debug)]
pub(super) struct LocalFilesOnly;

#[async_trait]
impl BallistaClientPool for LocalFilesOnly {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        _: &GrpcClientConfig,
        _: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient, BallistaError> {
        let text = format!("the engine may not fetch from {host}:{port} by itself");
        Err(BallistaError::GrpcConnectionError(text))
    }

    async fn evict_idle(&self) {}
}

/// Connections that are kept for the next block. A cluster with more executors pays a handshake
/// now and then.
const SHARED_LIMIT: usize = 256;

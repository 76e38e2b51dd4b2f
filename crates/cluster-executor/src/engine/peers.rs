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
    shared: Mutex<Recent<NodeChannel>>,
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
        shared.used(peer, || self.own(peer))
    }

    /// For a caller that reads at its own speed.
    pub(super) fn own(&self, peer: &NodeAddress) -> NodeChannel {
        let options = ChannelOptions::default();
        self.transport.channel(peer, Role::Executor, &options)
    }
}

/// The connections that were used last.
struct Recent<C> {
    kept: HashMap<NodeAddress, (u64, C)>,
    /// How often any was used.
    uses: u64,
}

impl<C> Default for Recent<C> {
    fn default() -> Self {
        Self {
            kept: HashMap::new(),
            uses: 0,
        }
    }
}

impl<C: Clone> Recent<C> {
    /// The one to `peer`, dialled if there is none; then one is let go where there are too many.
    fn used(&mut self, peer: &NodeAddress, dial: impl FnOnce() -> C) -> C {
        if self.kept.len() >= SHARED_LIMIT && !self.kept.contains_key(peer) {
            self.let_one_go();
        }
        self.uses += 1;
        let kept = self.kept.entry(peer.clone());
        let (used, channel) = kept.or_insert_with(|| (0, dial()));
        *used = self.uses;
        channel.clone()
    }

    fn let_one_go(&mut self) {
        let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used);
        if let Some(oldest) = oldest.map(|(peer, _)| peer.clone()) {
            self.kept.remove(&oldest);
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: usize) -> NodeAddress {
        NodeAddress::new(&format!("peer-{number}"), 50052).unwrap()
    }

    #[test]
    fn one_peer_too_many_costs_the_connection_that_was_used_least_lately_and_no_other() {
        let mut recent = Recent::default();
        for number in 0..SHARED_LIMIT {
            assert_eq!(recent.used(&peer(number), || number), number);
        }
        recent.used(&peer(0), || unreachable!("it is kept"));
        recent.used(&peer(SHARED_LIMIT), || SHARED_LIMIT);
        assert_eq!(recent.kept.len(), SHARED_LIMIT);
        assert!(!recent.kept.contains_key(&peer(1)));
        for number in (0..=SHARED_LIMIT).filter(|number| *number != 1) {
            recent.used(&peer(number), || unreachable!("{number} is kept"));
        }
    }
}

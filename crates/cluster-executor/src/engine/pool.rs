//! Connections to the shuffle services of other executors.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ballista_core::client::BallistaClient;
use ballista_core::client_pool::{BallistaClientPool, PooledClient};
use ballista_core::error::Result;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::utils::GrpcClientConfig;
use cluster_tls::Role;
use cluster_tls::tonic::{NodeTransport, Security};

/// Idle connections, kept for one generation of credentials.
///
/// A channel keeps the identity it was made with. So the generation is part of what the idle
/// connections are kept for: after a swap every fetch dials anew, and the old connections are
/// dropped as they come back.
pub(super) struct GenerationPool {
    transport: NodeTransport,
    endpoint: Arc<BallistaConfigGrpcEndpoint>,
    idle: Arc<Mutex<Idle>>,
}

#[derive(Default)]
struct Idle {
    generation: u64,
    clients: HashMap<(String, u16), Vec<BallistaClient>>,
}

impl GenerationPool {
    pub(super) fn new(transport: NodeTransport) -> Self {
        let endpoint_transport = transport.clone();
        Self {
            transport,
            endpoint: Arc::new(BallistaConfigGrpcEndpoint::new(Arc::new(move |endpoint| {
                Ok(endpoint_transport.endpoint(endpoint, Role::Executor)?)
            }))),
            idle: Arc::default(),
        }
    }

    async fn dial(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
    ) -> Result<BallistaClient> {
        BallistaClient::try_new(
            host,
            port,
            config.max_message_size,
            // Ours to decide, whatever the task's settings say.
            self.transport.security() == Security::Mutual,
            Some(self.endpoint.clone()),
            config.io_retries_times,
            config.io_retry_wait_time_ms,
            config.initial_connection_window_size,
            config.initial_stream_window_size,
        )
        .await
    }
}

#[async_trait]
impl BallistaClientPool for GenerationPool {
    async fn acquire(
        &self,
        host: &str,
        port: u16,
        config: &GrpcClientConfig,
        _: Option<Arc<BallistaConfigGrpcEndpoint>>,
    ) -> Result<PooledClient> {
        let generation = self.transport.generation();
        let key = (host.to_owned(), port);
        let kept = lock(&self.idle).take(generation, &key);
        let client = match kept {
            Some(client) => client,
            None => self.dial(host, port, config).await?,
        };
        let idle = self.idle.clone();
        Ok(PooledClient::new(
            client,
            Box::new(move |client| lock(&idle).give_back(generation, key, client)),
        ))
    }

    async fn evict_idle(&self) {
        lock(&self.idle).clients.clear();
    }
}

impl fmt::Debug for GenerationPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GenerationPool").finish_non_exhaustive()
    }
}

impl Idle {
    fn take(&mut self, generation: u64, key: &(String, u16)) -> Option<BallistaClient> {
        if generation > self.generation {
            self.generation = generation;
            self.clients.clear();
        }
        self.clients.get_mut(key)?.pop()
    }

    fn give_back(&mut self, generation: u64, key: (String, u16), client: BallistaClient) {
        if generation != self.generation {
            return;
        }
        let clients = self.clients.entry(key).or_default();
        if clients.len() < IDLE_PER_PEER {
            clients.push(client);
        }
    }
}

fn lock(idle: &Mutex<Idle>) -> std::sync::MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Idle connections to one peer that are worth keeping; a reduce task opens several at once.
const IDLE_PER_PEER: usize = 8;

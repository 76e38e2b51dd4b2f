//! Asking another executor for a block.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use ballista_core::serde::protobuf;
use ballista_core::serde::scheduler::{self, PartitionLocation, ShuffleFileKind};
use ballista_core::utils::GrpcClientConfig;
use cluster_proto::{InvalidNodeId, NodeId};
use cluster_tls::tonic::NodeChannel;
use cluster_tls::{AddressError, NodeAddress};
use prost::Message;
use prost::bytes::Bytes;
use thiserror::Error;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use super::super::MESSAGE_LIMIT_BYTES;
use super::super::flight::BLOCK_TRANSPORT;
use super::super::peers::Peers;
use super::ahead::{Ahead, Taken};

/// A block did not come.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    #[error("its executor has no address")]
    Id(#[from] InvalidNodeId),
    #[error("its executor has no address")]
    Address(#[from] AddressError),
    #[error("it cannot be asked for: {0}")]
    Ticket(String),
    #[error("it was not sent")]
    Refused(#[from] Status),
    #[error("nothing came for {} s", SILENCE_LIMIT.as_secs())]
    Silent,
}

/// A block as it came ahead of its turn.
pub(super) enum Block {
    /// All of it.
    Whole(Taken),
    /// It is too large for that, or there is no room; it is read when its rows are wanted.
    Large,
}

/// Fetches blocks, and again what fails on the way.
pub(super) struct Fetches {
    peers: Arc<Peers>,
    ahead: Ahead,
    ahead_bytes: usize,
    retries: u8,
    retry_wait: Duration,
}

impl Fetches {
    /// For a partition of which up to `at_once` blocks are taken in at the same time.
    pub(super) fn new(
        peers: &Arc<Peers>,
        ahead: &Ahead,
        at_once: usize,
        config: &GrpcClientConfig,
    ) -> Self {
        Self {
            peers: peers.clone(),
            ahead: ahead.clone(),
            ahead_bytes: (AHEAD_ALL_BYTES / at_once.max(1)).min(AHEAD_LIMIT_BYTES),
            retries: config.io_retries_times,
            retry_wait: Duration::from_millis(config.io_retry_wait_time_ms),
        }
    }

    /// Where fetches are run.
    pub(super) fn peers(&self) -> &Peers {
        &self.peers
    }

    /// Takes in a block that is not large. Nothing of it is looked at here.
    pub(super) async fn ahead(&self, location: &PartitionLocation) -> Result<Block, FetchError> {
        if self.expected_bytes(location) > self.ahead_bytes as u64 {
            return Ok(Block::Large);
        }
        self.until_it_works(|| self.take_in(location)).await
    }

    /// Begins to read a large block.
    pub(super) async fn open(&self, location: &PartitionLocation) -> Result<Pieces, FetchError> {
        self.until_it_works(|| async {
            let peer = address(location)?;
            Pieces::open(self.peers.own(&peer), location).await
        })
        .await
    }

    async fn take_in(&self, location: &PartitionLocation) -> Result<Block, FetchError> {
        let expected_bytes = self.expected_bytes(location);
        let Some(mut taken) = self.ahead.begin(expected_bytes, self.ahead_bytes) else {
            return Ok(Block::Large);
        };
        let channel = self.peers.shared(&address(location)?);
        let mut pieces = Pieces::open(channel, location).await?;
        while let Some(piece) = pieces.next().await? {
            if !taken.take(&piece) {
                return Ok(Block::Large);
            }
        }
        Ok(Block::Whole(taken.whole()))
    }

    /// What the writer has said, or what is taken in at most.
    fn expected_bytes(&self, location: &PartitionLocation) -> u64 {
        let said = location.partition_stats.num_bytes();
        said.unwrap_or(self.ahead_bytes as u64)
    }

    async fn until_it_works<T, F>(&self, fetch: impl Fn() -> F) -> Result<T, FetchError>
    where
        F: Future<Output = Result<T, FetchError>>,
    {
        for _ in 0..self.retries {
            match fetch().await {
                Ok(done) => return Ok(done),
                Err(error) => tracing::debug!(%error, "block not fetched, trying again"),
            }
            sleep(self.retry_wait).await;
        }
        fetch().await
    }
}

/// A block on its way.
pub(super) struct Pieces {
    stream: Streaming<arrow_flight::Result>,
}

impl Pieces {
    async fn open(channel: NodeChannel, location: &PartitionLocation) -> Result<Self, FetchError> {
        let mut client =
            FlightServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        let answer = client.do_action(action(location)?);
        let answer = timeout(SILENCE_LIMIT, answer).await;
        let stream = answer.map_err(|_| FetchError::Silent)??.into_inner();
        Ok(Self { stream })
    }

    /// The next bytes; `None` at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        let next = timeout(SILENCE_LIMIT, self.stream.message()).await;
        let next = next.map_err(|_| FetchError::Silent)??;
        Ok(next.map(|piece| piece.body))
    }
}

fn address(location: &PartitionLocation) -> Result<NodeAddress, FetchError> {
    let executor = &location.executor_meta;
    let id = NodeId::new(&executor.host, executor.port)?;
    Ok(NodeAddress::new(id.host(), id.port())?)
}

fn action(location: &PartitionLocation) -> Result<Action, FetchError> {
    let partition = &location.partition_id;
    let executor = &location.executor_meta;
    let fetch = scheduler::Action::FetchPartition {
        job_id: partition.job_id.clone(),
        stage_id: partition.stage_id,
        partition_id: partition.partition_id,
        host: executor.host.clone(),
        port: executor.port,
        file_id: location.file_id,
        layout: location.layout(),
        file_kind: ShuffleFileKind::Data,
        byte_ranges: vec![],
    };
    let fetch: protobuf::Action =
        fetch
            .try_into()
            .map_err(|error: ballista_core::error::BallistaError| {
                FetchError::Ticket(error.to_string())
            })?;
    Ok(Action {
        r#type: BLOCK_TRANSPORT.to_owned(),
        body: fetch.encode_to_vec().into(),
    })
}

/// What is taken in of one block ahead of its turn: most are smaller.
const AHEAD_LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// What is taken in of all blocks of a reader, whatever its partitions: little beside what the
/// operators of a task take.
pub(super) const AHEAD_ALL_BYTES: usize = 128 * 1024 * 1024;

/// Blocks are files that lie ready. Longer than an executor looks for the next call when it is busy,
/// and longer than a dead one is believed to live.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

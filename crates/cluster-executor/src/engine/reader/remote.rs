//! The blocks of other executors as one stream of rows.

use std::sync::Arc;

use ballista_core::error::BallistaError;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::scheduler::PartitionLocation;
use ballista_core::utils::GrpcClientConfig;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coalesce::LimitedBatchCoalescer;
use datafusion::physical_plan::metrics::Count;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::prelude::SessionConfig;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use prost::bytes::Bytes;
use tokio::task::JoinError;

use super::super::peers::Peers;
use super::ahead::{Ahead, Taken};
use super::decoder::{BlockError, Decoder};
use super::fetch::{Block, FetchError, Fetches, Pieces};
use crate::boot::chain;

type Rows = BoxStream<'static, Result<RecordBatch>>;

/// Reads blocks of one shuffle.
pub(super) struct RemoteBlocks {
    peers: Arc<Peers>,
    ahead: Ahead,
    grpc: GrpcClientConfig,
    schema: SchemaRef,
    batch_size: usize,
    decoded_bytes: Count,
}

impl RemoteBlocks {
    /// Adds what it has decoded to `decoded_bytes`, and takes room of `ahead`.
    pub(super) fn new(
        peers: &Arc<Peers>,
        ahead: &Ahead,
        schema: SchemaRef,
        config: &SessionConfig,
        decoded_bytes: Count,
    ) -> Self {
        Self {
            peers: peers.clone(),
            ahead: ahead.clone(),
            grpc: GrpcClientConfig::from(&config.ballista_config()),
            schema,
            batch_size: config.batch_size(),
            decoded_bytes,
        }
    }

    /// The rows of all `locations` in no order: fetched some at a time, decoded one after the
    /// other.
    pub(super) fn read(self, locations: Vec<PartitionLocation>) -> SendableRecordBatchStream {
        let fetches = self.fetches(FETCHES_AHEAD);
        let (expected, decoded_bytes) = (self.schema.clone(), self.decoded_bytes.clone());
        let ahead = fetches.clone();
        let rows = stream::iter(locations)
            .map(move |location| fetched(ahead.clone(), location))
            .buffer_unordered(FETCHES_AHEAD)
            .map_ok(move |(location, block)| {
                rows_of(fetches.clone(), location, block, expected.clone())
            })
            .try_flatten()
            .inspect_ok(move |rows| decoded_bytes.add(rows.get_array_memory_size()));
        let coalescer = LimitedBatchCoalescer::new(self.schema.clone(), self.batch_size, None);
        let rows = coalesced(rows.boxed(), coalescer);
        Box::pin(RecordBatchStreamAdapter::new(self.schema, rows))
    }

    /// The rows of each of `locations` by themselves, in the order in which they were written.
    pub(super) fn read_each(
        &self,
        locations: Vec<PartitionLocation>,
    ) -> Vec<SendableRecordBatchStream> {
        let fetches = self.fetches(locations.len());
        let each = locations.into_iter().map(|location| {
            let (fetches, ahead) = (fetches.clone(), fetches.clone());
            let (expected, decoded_bytes) = (self.schema.clone(), self.decoded_bytes.clone());
            let rows = stream::once(fetched(ahead, location))
                .map_ok(move |(location, block)| {
                    rows_of(fetches.clone(), location, block, expected.clone())
                })
                .try_flatten()
                .inspect_ok(move |rows| decoded_bytes.add(rows.get_array_memory_size()));
            let rows = RecordBatchStreamAdapter::new(self.schema.clone(), rows);
            Box::pin(rows) as SendableRecordBatchStream
        });
        each.collect()
    }

    fn fetches(&self, at_once: usize) -> Arc<Fetches> {
        let (peers, ahead) = (&self.peers, &self.ahead);
        Arc::new(Fetches::new(peers, ahead, at_once, &self.grpc))
    }
}

type Fetched = (PartitionLocation, Result<Block, FetchError>);

/// Fetches a block on a task of its own: the one that wants it may be busy with what it has read
/// already.
async fn fetched(fetches: Arc<Fetches>, location: PartitionLocation) -> Result<Fetched> {
    let ahead = fetches.clone();
    let fetching = fetches.peers().run(async move {
        let block = ahead.ahead(&location).await;
        (location, block)
    });
    fetching.await.map_err(ended)
}

fn ended(error: JoinError) -> DataFusionError {
    DataFusionError::ExecutionJoin(Box::new(error))
}

/// Where the bytes of a block come from.
enum Source {
    Taken(Taken),
    Coming(Box<Pieces>),
}

impl Source {
    async fn next(&mut self) -> Result<Option<Bytes>, FetchError> {
        match self {
            Self::Taken(taken) => Ok(taken.next()),
            Self::Coming(pieces) => pieces.next().await,
        }
    }
}

/// The rows of one block.
fn rows_of(
    fetches: Arc<Fetches>,
    location: PartitionLocation,
    block: Result<Block, FetchError>,
    schema: SchemaRef,
) -> Rows {
    let opening = async move {
        let source = match block {
            Ok(Block::Whole(taken)) => Ok(Source::Taken(taken)),
            Ok(Block::Large) => {
                let (opening, at) = (fetches.clone(), location.clone());
                let opening = async move { opening.open(&at).await };
                let opened = fetches.peers().run(opening).await.map_err(ended)?;
                opened.map(Box::new).map(Source::Coming)
            }
            Err(error) => Err(error),
        };
        let source = source.map_err(|error| not_fetched(&location, &error))?;
        let reading = Reading {
            location,
            source,
            decoder: Decoder::new(schema),
        };
        Ok::<_, DataFusionError>(stream::try_unfold(reading, |mut reading| async {
            let rows = reading.next().await?;
            Ok(rows.map(|rows| (rows, reading)))
        }))
    };
    stream::once(opening).try_flatten().boxed()
}

struct Reading {
    location: PartitionLocation,
    source: Source,
    decoder: Decoder,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let rows = self.decoder.next();
            if let Some(rows) = rows.map_err(|error| refused(&self.location, &error))? {
                return Ok(Some(rows));
            }
            let piece = self.source.next().await;
            let piece = piece.map_err(|error| not_fetched(&self.location, &error))?;
            let Some(piece) = piece else {
                let end = self.decoder.finish();
                end.map_err(|error| refused(&self.location, &error))?;
                return Ok(None);
            };
            self.decoder.push(piece);
        }
    }
}

/// What the scheduler answers by having the block written again.
fn not_fetched(location: &PartitionLocation, error: &FetchError) -> DataFusionError {
    let executor = &location.executor_meta.id;
    let error = chain(error);
    tracing::warn!(executor, error, "block of another executor not fetched");
    let partition = &location.partition_id;
    BallistaError::FetchFailed(
        executor.clone(),
        partition.stage_id,
        partition.partition_id,
        error,
    )
    .into_datafusion()
}

/// What ends the query: nobody writes such blocks by mistake.
fn refused(location: &PartitionLocation, error: &BlockError) -> DataFusionError {
    let executor = &location.executor_meta;
    let executor = format!("{}:{}", executor.host, executor.port);
    let error = chain(error);
    tracing::error!(
        executor,
        error,
        hint = "if its key may be stolen, revoke its certificate",
        "block of another executor refused"
    );
    DataFusionError::Execution(format!(
        "the executor {executor} sent a wrong block: {error}"
    ))
}

/// Batches of the usual size: a shuffle cuts rows into many small ones.
fn coalesced(rows: Rows, coalescer: LimitedBatchCoalescer) -> Rows {
    let state = (Some(rows), coalescer);
    let batches = stream::try_unfold(state, |(mut rows, mut coalescer)| async move {
        loop {
            if let Some(batch) = coalescer.next_completed_batch() {
                return Ok(Some((batch, (rows, coalescer))));
            }
            let Some(coming) = &mut rows else {
                return Ok(None);
            };
            match coming.try_next().await? {
                Some(batch) if batch.num_rows() == 0 => {}
                Some(batch) => {
                    coalescer.push_batch(batch)?;
                }
                None => {
                    rows = None;
                    coalescer.finish()?;
                }
            }
        }
    });
    batches.boxed()
}

/// How many blocks a task waits for at once.
const FETCHES_AHEAD: usize = 16;

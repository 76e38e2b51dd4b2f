//! The two readers of Ballista that are replaced: one gives rows as they come, the other merges
//! blocks that are sorted.

use std::sync::Arc;

use ballista_core::execution_plans::{RangeShuffleReaderExec, ShuffleReaderExec};
use ballista_core::serde::scheduler::PartitionLocation;
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryConsumer;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet};
use datafusion::physical_plan::sorts::streaming_merge::StreamingMergeBuilder;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{ExecutionPlan, Partitioning};
use futures::stream;

use super::super::peers::LocalFilesOnly;
use super::remote::RemoteBlocks;

/// What a plan says is to be read, and how.
#[derive(Debug)]
pub(super) enum Upstream {
    Unordered(ShuffleReaderExec),
    /// Each block is sorted. Where it was planned with ranges of values, it is read whole all the
    /// same: what filters by them stands above it.
    Ordered(RangeShuffleReaderExec),
}

/// What there is to read of one partition.
pub(super) struct Combined {
    /// The rows of local files.
    pub(super) here: Option<SendableRecordBatchStream>,
    pub(super) blocks: RemoteBlocks,
    pub(super) remote: Vec<PartitionLocation>,
}

impl Upstream {
    /// The reader that `node` is, if it is one.
    pub(super) fn of(node: &dyn ExecutionPlan) -> Option<Self> {
        if let Some(reader) = node.downcast_ref::<ShuffleReaderExec>() {
            return Some(Self::Unordered(reader.clone()));
        }
        let reader = node.downcast_ref::<RangeShuffleReaderExec>()?;
        Some(Self::Ordered(reader.clone()))
    }

    pub(super) fn plan(&self) -> &dyn ExecutionPlan {
        match self {
            Self::Unordered(reader) => reader,
            Self::Ordered(reader) => reader,
        }
    }

    pub(super) fn locations(&self, partition: usize) -> Option<&Vec<PartitionLocation>> {
        match self {
            // A broadcast has one partition, for everybody.
            Self::Unordered(reader) if reader.broadcast => reader.partition.first(),
            Self::Unordered(reader) => reader.partition.get(partition),
            Self::Ordered(reader) => reader.partition.get(partition),
        }
    }

    /// The rows of local files, which Ballista reads.
    pub(super) fn read_local(
        &self,
        locations: Vec<PartitionLocation>,
        work_dir: &str,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (schema, work_dir) = (self.plan().schema(), work_dir.to_owned());
        let pool = Arc::new(LocalFilesOnly);
        match self {
            Self::Unordered(reader) => {
                let partitioning = Partitioning::UnknownPartitioning(1);
                let files = vec![locations];
                ShuffleReaderExec::try_new(reader.stage_id, files, schema, partitioning)?
                    .with_work_dir(work_dir)
                    .with_client_pool(pool)
                    .execute(0, context)
            }
            Self::Ordered(reader) => {
                let ordering = reader.merge_ordering().clone();
                let files = vec![locations];
                RangeShuffleReaderExec::try_new(reader.stage_id, files, schema, ordering)?
                    .with_fetch_limit(reader.fetch())
                    .with_work_dir(work_dir)
                    .with_client_pool(pool)
                    .execute(0, context)
            }
        }
    }

    /// The rows of local files and of blocks of others.
    pub(super) fn combine(
        &self,
        Combined {
            here,
            blocks,
            remote,
        }: Combined,
        context: &TaskContext,
    ) -> Result<SendableRecordBatchStream> {
        match (self, here) {
            (Self::Unordered(_), None) => Ok(blocks.read(remote)),
            (Self::Unordered(reader), Some(here)) => {
                let rows = stream::select(here, blocks.read(remote));
                let rows = RecordBatchStreamAdapter::new(reader.schema(), rows);
                Ok(Box::pin(rows))
            }
            (Self::Ordered(reader), here) => {
                let sorted = here.into_iter().chain(blocks.read_each(remote));
                merge(reader, sorted.collect(), context)
            }
        }
    }
}

fn merge(
    reader: &RangeShuffleReaderExec,
    sorted: Vec<SendableRecordBatchStream>,
    context: &TaskContext,
) -> Result<SendableRecordBatchStream> {
    let consumer = MemoryConsumer::new(format!("blocks of stage {}", reader.stage_id));
    StreamingMergeBuilder::new()
        .with_streams(sorted)
        .with_schema(reader.schema())
        .with_expressions(reader.merge_ordering())
        .with_batch_size(context.session_config().batch_size())
        .with_fetch(reader.fetch())
        .with_metrics(BaselineMetrics::new(&ExecutionPlanMetricsSet::new(), 0))
        .with_reservation(consumer.register(context.memory_pool()))
        .build()
}

//! Reading shuffle blocks: those of other executors by ourselves, local files by Ballista.
//!
//! Ballista's client gets memory for what a block claims to hold before it looks at what it holds
//! (arrow-ipc 59, `compression.rs`): whoever stole the key of one executor could end every other
//! one that reads from it. It takes nothing but tonic's own connections, in which no check can be
//! put; so its reader is replaced, plan by plan, with one that asks for the same blocks, looks at
//! each message, and decodes it when its rows are wanted.

mod ahead;
mod decoder;
mod fetch;
mod remote;
mod upstream;

use std::fmt;
use std::sync::Arc;

use ballista_core::serde::scheduler::PartitionLocation;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use rand::seq::SliceRandom;

use super::peers::Peers;
use ahead::Ahead;
use fetch::AHEAD_ALL_BYTES;
use remote::RemoteBlocks;
use upstream::{Combined, Upstream};

/// The plan of a stage, with this reader in the place of Ballista's.
pub(super) fn with_own_reader(
    plan: Arc<dyn ExecutionPlan>,
    peers: &Arc<Peers>,
    work_dir: &str,
) -> Result<Arc<dyn ExecutionPlan>> {
    let replaced = plan.transform_up(|node| {
        let Some(upstream) = Upstream::of(&*node) else {
            return Ok(Transformed::no(node));
        };
        Ok(Transformed::yes(Arc::new(BlockReaderExec {
            upstream,
            peers: peers.clone(),
            ahead: Ahead::new(AHEAD_ALL_BYTES),
            work_dir: work_dir.to_owned(),
            metrics: ExecutionPlanMetricsSet::new(),
        })))
    });
    Ok(replaced?.data)
}

/// Reads what a stage before this one has written, wherever it is.
#[derive(Debug)]
struct BlockReaderExec {
    upstream: Upstream,
    peers: Arc<Peers>,
    /// For all partitions together: a task may merge them.
    ahead: Ahead,
    work_dir: String,
    metrics: ExecutionPlanMetricsSet,
}

impl BlockReaderExec {
    /// The blocks of a partition: those that are here, and those of others in no order, so that
    /// tasks which begin together do not all ask the same executor first.
    fn locations(
        &self,
        partition: usize,
    ) -> Result<(Vec<PartitionLocation>, Vec<PartitionLocation>)> {
        let locations = self.upstream.locations(partition).ok_or_else(|| {
            DataFusionError::Internal(format!("a shuffle has no partition {partition}"))
        })?;
        let here = |location: &PartitionLocation| {
            let path = location.path(&self.work_dir);
            path.is_ok_and(|path| path.exists())
        };
        let (local, mut remote): (Vec<_>, Vec<_>) = locations.iter().cloned().partition(here);
        remote.shuffle(&mut rand::rng());
        Ok((local, remote))
    }
}

impl ExecutionPlan for BlockReaderExec {
    fn name(&self) -> &'static str {
        "BlockReaderExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.upstream.plan().properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        visit: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        self.upstream.plan().apply_expressions(visit)
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if children.is_empty() {
            return Ok(self);
        }
        let text = "a reader of blocks has no input".to_owned();
        Err(DataFusionError::Internal(text))
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let (local, remote) = self.locations(partition)?;
        let counter = |name| MetricBuilder::new(&self.metrics).counter(name, partition);
        counter(LOCAL_PARTITIONS).add(local.len());
        if remote.is_empty() {
            return self.upstream.read_local(local, &self.work_dir, context);
        }
        let decoded_bytes = counter(DECODED_BYTES);
        let config = context.session_config();
        let (peers, ahead) = (&self.peers, &self.ahead);
        let blocks = RemoteBlocks::new(peers, ahead, self.schema(), config, decoded_bytes);
        let here = if local.is_empty() {
            None
        } else {
            let context = context.clone();
            Some(self.upstream.read_local(local, &self.work_dir, context)?)
        };
        let combined = Combined {
            here,
            blocks,
            remote,
        };
        self.upstream.combine(combined, &context)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

impl DisplayAs for BlockReaderExec {
    fn fmt_as(&self, form: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.upstream.plan().fmt_as(form, f)
    }
}

/// How many blocks of a task were files here.
pub(super) const LOCAL_PARTITIONS: &str = "local_partitions";

/// How large the rows were that came from others.
pub(super) const DECODED_BYTES: &str = "decoded_bytes";

//! Plans that end when their task does.
//!
//! Upstream runs a task as several of the runtime's, and whoever drops the one that it is known by
//! leaves the others to go on to their end: a query that was cancelled would keep its processors
//! busy, and write its files when those of its job have been removed. So all that brings rows into
//! a plan, and all that makes more of them, fails from the moment at which its task is over.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::coop::make_cooperative;
use datafusion::physical_plan::execution_plan::{
    CardinalityEffect, ChildrenPropertiesMode, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::super::jobs::Writing;

/// How long a task lasts. All of its operators hold it.
#[derive(Clone, Debug)]
pub(super) struct TaskLife {
    /// Cancelled when nobody waits for the task any more.
    over: CancellationToken,
    /// Given up by the last operator: then nothing writes.
    _writing: Arc<Writing>,
}

impl TaskLife {
    pub(super) fn new(writing: Writing) -> Self {
        Self {
            over: CancellationToken::new(),
            _writing: Arc::new(writing),
        }
    }

    pub(super) fn over(&self) -> &CancellationToken {
        &self.over
    }
}

/// The plan of a stage, with places to stop at: what reads, and joins.
///
/// A plan is stopped where it gives its thread back. Readers do so regularly, which is enough for
/// operators that give fewer rows than they take; a join may make hours of work of one batch, and
/// whatever adds them up takes them all before it looks up.
pub(super) fn stoppable(
    plan: Arc<dyn ExecutionPlan>,
    life: &TaskLife,
) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        let multiplies = node.is::<CrossJoinExec>()
            || node.is::<NestedLoopJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<SortMergeJoinExec>();
        Ok(if multiplies || node.children().is_empty() {
            Transformed::yes(Arc::new(StoppableExec::new(node, life.clone())) as _)
        } else {
            Transformed::no(node)
        })
    });
    Ok(wrapped?.data)
}

/// An operator whose rows end in an error when its task is over, and that gives its thread back
/// regularly.
#[derive(Debug)]
struct StoppableExec {
    input: Arc<dyn ExecutionPlan>,
    properties: Arc<PlanProperties>,
    life: TaskLife,
}

impl StoppableExec {
    fn new(input: Arc<dyn ExecutionPlan>, life: TaskLife) -> Self {
        let properties = PlanProperties::clone(input.properties())
            .with_scheduling_type(SchedulingType::Cooperative)
            .into();
        Self {
            input,
            properties,
            life,
        }
    }
}

impl ExecutionPlan for StoppableExec {
    fn name(&self) -> &'static str {
        "StoppableExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.is_empty()) {
            (Some(input), true) => Ok(Arc::new(Self::new(input, self.life.clone()))),
            _ => Err(DataFusionError::Internal(
                "an operator that can be stopped has one input".to_owned(),
            )),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        self.replace_children(children, options)
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let rows = self.input.execute(partition, context)?;
        Ok(make_cooperative(Box::pin(StoppableStream {
            rows,
            over: Box::pin(self.life.over.clone().cancelled_owned()),
            _life: self.life.clone(),
        })))
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

impl DisplayAs for StoppableExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

struct StoppableStream {
    rows: SendableRecordBatchStream,
    over: Pin<Box<WaitForCancellationFutureOwned>>,
    _life: TaskLife,
}

impl Stream for StoppableStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // First, so that what waits for rows that never come is woken.
        if self.over.as_mut().poll(context).is_ready() {
            let text = "nobody waits for the task any more".to_owned();
            return Poll::Ready(Some(Err(DataFusionError::Execution(text))));
        }
        self.rows.as_mut().poll_next(context)
    }
}

impl RecordBatchStream for StoppableStream {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}

//! Ballista's execution engine, with each task's beginning and end reported.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::client_pool::BallistaClientPool;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_core::serde::scheduler::TaskKey;
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::joins::{
    CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec,
};
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;

use super::cancelled::CancelledTasks;
use super::task_log::TaskLog;
use crate::events::TaskReport;

pub(super) struct ReportingEngine {
    inner: DefaultExecutionEngine,
    log: Arc<TaskLog>,
    cancelled: Arc<CancelledTasks>,
}

impl ReportingEngine {
    pub(super) fn new(
        pool: Arc<dyn BallistaClientPool>,
        log: Arc<TaskLog>,
        cancelled: Arc<CancelledTasks>,
    ) -> Self {
        Self {
            inner: DefaultExecutionEngine::with_client_pool(pool),
            log,
            cancelled,
        }
    }
}

impl ExecutionEngine for ReportingEngine {
    fn create_query_stage_exec(
        &self,
        job_id: JobId,
        stage_id: usize,
        task_id: usize,
        global_output_partition_ids: Vec<usize>,
        plan: Arc<dyn ExecutionPlan>,
        work_dir: &str,
        config: &SessionConfig,
    ) -> Result<Arc<dyn QueryStageExecutor>> {
        let key = TaskKey {
            job_id: job_id.clone(),
            stage_id,
            task_id,
        };
        let plan = interruptible(plan)?;
        let inner = self.inner.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            global_output_partition_ids,
            plan,
            work_dir,
            config,
        )?;
        self.log.started();
        Ok(Arc::new(ReportingStage {
            inner,
            key,
            cancelled: self.cancelled.clone(),
            log: self.log.clone(),
            report: Mutex::new(TaskReport {
                failed: true,
                ..TaskReport::default()
            }),
        }))
    }
}

/// One task. The poll loop lets go of it after it has queued the task's status, so its drop is
/// the moment at which polling delivers that status; anything earlier would race with it.
struct ReportingStage {
    inner: Arc<dyn QueryStageExecutor>,
    key: TaskKey,
    cancelled: Arc<CancelledTasks>,
    log: Arc<TaskLog>,
    report: Mutex<TaskReport>,
}

#[async_trait]
impl QueryStageExecutor for ReportingStage {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        context: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        if self.cancelled.contains(&self.key) {
            let text = "the task was cancelled before it began".to_owned();
            return Err(DataFusionError::Execution(text));
        }
        let partitions = self.inner.execute_query_stage(task_id, context).await?;
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.failed = false;
        report.shuffle_write_bytes = partitions.iter().map(|partition| partition.num_bytes).sum();
        drop(report);
        Ok(partitions)
    }

    /// Reads what our own metrics show, and reports none: upstream adds the metrics of a stage's
    /// tasks up operator by operator, and forgets a task, with its whole query, whose plan has
    /// fewer operators than its neighbour's. Over unions it has (`unions.rs` of the scheduler).
    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        let metrics = self.inner.collect_plan_metrics();
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.shuffle_read_remote_bytes = total(&metrics, "decoded_bytes");
        report.shuffle_read_local_partitions = total(&metrics, "local_partitions");
        drop(report);
        vec![]
    }

    fn collect_runtime_stats_reports(&self) -> Vec<RuntimeStatsReport> {
        self.inner.collect_runtime_stats_reports()
    }

    fn collect_window_state_reports(&self) -> Result<Vec<WindowStateReport>> {
        self.inner.collect_window_state_reports()
    }

    fn collect_column_stats(&self) -> Vec<TaskColumnStats> {
        self.inner.collect_column_stats()
    }
}

impl Drop for ReportingStage {
    fn drop(&mut self) {
        let report = self
            .report
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        self.log.finished(report);
    }
}

impl fmt::Debug for ReportingStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.inner, f)
    }
}

impl fmt::Display for ReportingStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

/// The plan of a stage, with places to stop at.
///
/// A task is stopped where it gives its thread back. Readers do so regularly, which is enough for
/// operators that give fewer rows than they take; a join may make hours of work of one batch, and
/// whatever adds them up takes them all before it looks up.
fn interruptible(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let wrapped = plan.transform_up(|node| {
        let multiplies = node.is::<CrossJoinExec>()
            || node.is::<NestedLoopJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<SortMergeJoinExec>();
        Ok(if multiplies {
            Transformed::yes(Arc::new(CooperativeExec::new(node)) as _)
        } else {
            Transformed::no(node)
        })
    });
    Ok(wrapped?.data)
}

/// Sums a counter of Ballista's shuffle reader over all operators of a task.
fn total(metrics: &[MetricsSet], counter: &str) -> u64 {
    metrics
        .iter()
        .filter_map(|set| set.sum_by_name(counter))
        .map(|value| value.as_usize() as u64)
        .sum()
}

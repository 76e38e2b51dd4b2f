//! Ballista's execution engine, with each task's beginning and end reported, and no more tasks at
//! once than there are slots.

mod stoppable;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::serde::protobuf::{
    RuntimeStatsReport, ShuffleWritePartition, TaskColumnStats, WindowStateReport,
};
use ballista_core::serde::scheduler::TaskKey;
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::metrics::MetricsSet;
use datafusion::prelude::SessionConfig;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Parts;
use super::cancelled::CancelledTasks;
use super::jobs::JobFiles;
use super::task_log::{Fill, TaskLog};
use crate::events::TaskReport;
use stoppable::{TaskLife, stoppable};

pub(super) struct ReportingEngine {
    inner: DefaultExecutionEngine,
    log: Arc<TaskLog>,
    cancelled: Arc<CancelledTasks>,
    slots: Arc<Semaphore>,
    wake: Arc<Notify>,
    files: Arc<JobFiles>,
}

/// What is one poll loop's own.
pub(super) struct LoopParts {
    /// Wakes it.
    pub(super) wake: Arc<Notify>,
    pub(super) files: Arc<JobFiles>,
    pub(super) cancelled: Arc<CancelledTasks>,
}

impl ReportingEngine {
    pub(super) fn new(parts: &Parts, own: LoopParts) -> Self {
        Self {
            inner: DefaultExecutionEngine::with_client_pool(parts.pool.clone()),
            log: parts.log.clone(),
            cancelled: own.cancelled,
            slots: parts.slots.clone(),
            wake: own.wake,
            files: own.files,
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
        let life = TaskLife::new(self.files.begin(job_id.as_ref()));
        let plan = stoppable(plan, &life)?;
        let inner = self.inner.create_query_stage_exec(
            job_id,
            stage_id,
            task_id,
            global_output_partition_ids,
            plan,
            work_dir,
            config,
        )?;
        Ok(Arc::new(ReportingStage {
            inner,
            key,
            cancelled: self.cancelled.clone(),
            log: self.log.clone(),
            slots: self.slots.clone(),
            wake: self.wake.clone(),
            running: Mutex::new(None),
            life,
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
    slots: Arc<Semaphore>,
    wake: Arc<Notify>,
    running: Mutex<Option<Running>>,
    /// The operators hold it too, and may outlive this.
    life: TaskLife,
}

/// A task that has begun.
struct Running {
    report: TaskReport,
    /// Given back when the end of the task has been counted.
    _slot: OwnedSemaphorePermit,
}

impl ReportingStage {
    /// Begins when a slot is free. Schedulers do not know of each other, and two of them can give
    /// tasks for the same one; the later task waits here, where it can still be cancelled.
    async fn begin(&self) -> Result<()> {
        let slot = self.slots.clone().acquire_owned().await;
        let slot = slot.map_err(|closed| DataFusionError::External(Box::new(closed)))?;
        self.log.started();
        *self.lock() = Some(Running {
            report: TaskReport {
                failed: true,
                ..TaskReport::default()
            },
            _slot: slot,
        });
        Ok(())
    }

    fn note(&self, note: impl FnOnce(&mut TaskReport)) {
        if let Some(running) = self.lock().as_mut() {
            note(&mut running.report);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
        // However this ends, and when it is dropped before its end, so does all that it began.
        let _over = self.life.over().clone().drop_guard();
        self.begin().await?;
        let partitions = self.inner.execute_query_stage(task_id, context).await?;
        let written = partitions.iter().map(|partition| partition.num_bytes).sum();
        self.note(|report| {
            report.failed = false;
            report.shuffle_write_bytes = written;
        });
        Ok(partitions)
    }

    /// Reads what our own metrics show, and reports none: upstream adds the metrics of a stage's
    /// tasks up operator by operator, and forgets a task, with its whole query, whose plan has
    /// fewer operators than its neighbour's. Over unions it has (`unions.rs` of the scheduler).
    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        let metrics = self.inner.collect_plan_metrics();
        self.note(|report| {
            report.shuffle_read_remote_bytes = total(&metrics, "decoded_bytes");
            report.shuffle_read_local_partitions = total(&metrics, "local_partitions");
        });
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
        let running = self.lock().take();
        let before = running
            .as_ref()
            .map_or(Fill::Room, |running| self.log.finished(&running.report));
        // The slot first: who is woken asks for as much as is free.
        drop(running);
        self.log.slot_freed(&self.wake, before);
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

/// Sums a counter of Ballista's shuffle reader over all operators of a task.
fn total(metrics: &[MetricsSet], counter: &str) -> u64 {
    metrics
        .iter()
        .filter_map(|set| set.sum_by_name(counter))
        .map(|value| value.as_usize() as u64)
        .sum()
}

#[cfg(test)]
mod tests;

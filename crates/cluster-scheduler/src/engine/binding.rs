//! Giving tasks to an executor that polls: upstream's choice, with each task's plan put right.
//!
//! This is the one place where a task can be changed between upstream's choosing it and
//! upstream's encoding it. Upstream's own binding cannot be called from outside but through a
//! cluster state, so each poll gets one that knows just the executor that polls.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::BallistaError;
use ballista_core::serde::protobuf::AvailableVcores;
use ballista_core::serde::scheduler::{
    ExecutorData, ExecutorMetadata, ExecutorOperatingSystemSpecification, ExecutorSpecification,
};
use ballista_scheduler::cluster::memory::InMemoryClusterState;
use ballista_scheduler::cluster::{BoundTask, ClusterState, DistributionPolicy};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use datafusion::error::Result;

use super::unions;

/// Fills the slots of the executor that polls, as upstream does by itself.
#[derive(Debug)]
pub(super) struct FillSlots;

#[async_trait]
impl DistributionPolicy for FillSlots {
    async fn bind_tasks(
        &self,
        budgets: Vec<&mut AvailableVcores>,
        running_jobs: Arc<HashMap<JobId, JobInfoCache>>,
    ) -> Result<Vec<BoundTask>> {
        let state = InMemoryClusterState::default();
        for budget in budgets {
            let data = ExecutorData {
                executor_id: budget.executor_id.clone(),
                total_vcores: budget.vcores,
                available_vcores: budget.vcores,
            };
            let registered = state.register_executor(nameless(&budget.executor_id), data);
            registered.await.map_err(BallistaError::into_datafusion)?;
        }
        let bound = state.bind_schedulable_tasks(TaskDistributionPolicy::Bias, running_jobs, None);
        let mut tasks = bound.await.map_err(BallistaError::into_datafusion)?;
        for (_, task) in &mut tasks {
            let partitions = &task.global_input_partition_ids;
            task.plan = unions::without_foreign_inputs(task.plan.clone(), partitions)?;
        }
        Ok(tasks)
    }

    fn name(&self) -> &str {
        "fill slots"
    }
}

/// Binding looks at the id and the slots of an executor only.
fn nameless(id: &str) -> ExecutorMetadata {
    ExecutorMetadata {
        id: id.to_owned(),
        host: String::new(),
        port: 0,
        grpc_port: 0,
        specification: ExecutorSpecification::default(),
        os_info: ExecutorOperatingSystemSpecification::default(),
    }
}

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
use cluster_proto::ExecutorRun;
use datafusion::error::Result;
use spice_runtime::app_digest;

use super::recent::RecentJobs;
use super::unable::UnableExecutors;
use super::unions;
use crate::members::Members;

/// Fills the slots of the executor that polls, as upstream does by itself, with tasks that it can
/// run and that somebody waits for.
#[derive(Debug)]
pub(super) struct FillSlots {
    members: Arc<Members>,
    cancelled: Arc<RecentJobs>,
    unable: Arc<UnableExecutors>,
}

impl FillSlots {
    pub(super) fn new(
        members: Arc<Members>,
        cancelled: Arc<RecentJobs>,
        unable: Arc<UnableExecutors>,
    ) -> Self {
        Self {
            members,
            cancelled,
            unable,
        }
    }

    pub(super) fn into_policy(self) -> TaskDistributionPolicy {
        TaskDistributionPolicy::Custom(Arc::new(self))
    }

    /// The jobs whose application every executor of `budgets` has open, and that nobody else is
    /// better for.
    async fn open_to(
        &self,
        budgets: &[&mut AvailableVcores],
        jobs: Arc<HashMap<JobId, JobInfoCache>>,
    ) -> Arc<HashMap<JobId, JobInfoCache>> {
        let runs: Vec<ExecutorRun> = budgets
            .iter()
            .filter_map(|budget| budget.executor_id.parse().ok())
            .collect();
        let mut open = HashMap::new();
        for (job_id, info) in jobs.iter() {
            let settings = info.execution_graph.read().await.session_config();
            let known = app_digest(&settings);
            let ready = |digest| runs.iter().all(|run| self.members.is_ready(run, digest));
            let job = (job_id.as_str(), known);
            if known.is_none_or(ready) && !runs.iter().any(|run| self.is_for_others(run, job)) {
                open.insert(job_id.clone(), info.clone());
            }
        }
        Arc::new(open)
    }

    /// Whether this executor has failed the job for want of something, and there is one that has not.
    fn is_for_others(&self, run: &ExecutorRun, (job_id, digest): (&str, Option<&str>)) -> bool {
        let is_able = |run: &ExecutorRun| !self.unable.contains(job_id, run);
        !is_able(run) && self.members.is_any_ready(digest, is_able)
    }
}

#[async_trait]
impl DistributionPolicy for FillSlots {
    async fn bind_tasks(
        &self,
        budgets: Vec<&mut AvailableVcores>,
        running_jobs: Arc<HashMap<JobId, JobInfoCache>>,
    ) -> Result<Vec<BoundTask>> {
        let state = InMemoryClusterState::default();
        let running_jobs = self.open_to(&budgets, running_jobs).await;
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
        // Looked at after the choice: who cancels a job first says so and then asks what runs.
        tasks.retain(|(_, task)| !self.cancelled.contains(task.key.job_id.as_str()));
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

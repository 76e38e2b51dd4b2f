//! Knowing when the engine has digested the reports of a poll.
//!
//! Reports go into the engine's event queue, and what they make runnable exists only once they
//! were processed. Upstream hints at new stages under static planning only: adaptive planning
//! makes a stage runnable before upstream compares, and sees nothing new. Without a hint every
//! stage waits for the next idle poll, a whole second.
//!
//! So a marker is queued behind the reports: an empty report of an executor that cannot exist.
//! The queue is first in, first out; when the engine looks that executor up, everything before
//! it has been processed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_trait::async_trait;
use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{ExecutorHeartbeat, UpdateTaskStatusParams};
use ballista_core::serde::scheduler::ExecutorOperatingSystemSpecification;
use ballista_core::serde::scheduler::{ExecutorData, ExecutorMetadata, ExecutorSpecification};
use ballista_scheduler::cluster::{
    BallistaCluster, BoundTask, ClusterState, ClusterStateEventStream, ExecutorSlot,
};
use ballista_scheduler::config::TaskDistributionPolicy;
use ballista_scheduler::state::task_manager::JobInfoCache;
use tonic::Request;

use super::Server;

/// Makes `cluster` call `digested` for every marker that comes through.
pub(super) fn watch(
    cluster: &BallistaCluster,
    digested: impl Fn() + Send + Sync + 'static,
) -> BallistaCluster {
    let state = WatchedState {
        inner: cluster.cluster_state(),
        digested: Box::new(digested),
    };
    BallistaCluster::new(Arc::new(state), cluster.job_state())
}

/// Queues a marker behind everything that was reported so far.
pub(super) async fn mark(server: &Server) {
    let marker = UpdateTaskStatusParams {
        executor_id: MARKER.to_owned(),
        task_status: vec![],
    };
    // Fails only when the engine has stopped, and then nobody waits for tasks.
    let _ = SchedulerGrpc::update_task_status(server, Request::new(marker)).await;
}

struct WatchedState {
    inner: Arc<dyn ClusterState>,
    digested: Box<dyn Fn() + Send + Sync>,
}

#[async_trait]
impl ClusterState for WatchedState {
    async fn init(&self) -> Result<()> {
        self.inner.init().await
    }

    async fn bind_schedulable_tasks(
        &self,
        distribution: TaskDistributionPolicy,
        active_jobs: Arc<HashMap<JobId, JobInfoCache>>,
        executors: Option<HashSet<String>>,
    ) -> Result<Vec<BoundTask>> {
        self.inner
            .bind_schedulable_tasks(distribution, active_jobs, executors)
            .await
    }

    async fn unbind_tasks(&self, executor_slots: Vec<ExecutorSlot>) -> Result<()> {
        self.inner.unbind_tasks(executor_slots).await
    }

    async fn register_executor(
        &self,
        metadata: ExecutorMetadata,
        spec: ExecutorData,
    ) -> Result<()> {
        self.inner.register_executor(metadata, spec).await
    }

    async fn save_executor_metadata(&self, metadata: ExecutorMetadata) -> Result<()> {
        self.inner.save_executor_metadata(metadata).await
    }

    async fn get_executor_metadata(&self, executor_id: &str) -> Result<ExecutorMetadata> {
        if executor_id == MARKER {
            (self.digested)();
            return Ok(nobody());
        }
        self.inner.get_executor_metadata(executor_id).await
    }

    async fn registered_executor_metadata(&self) -> Vec<ExecutorMetadata> {
        self.inner.registered_executor_metadata().await
    }

    async fn save_executor_heartbeat(&self, heartbeat: ExecutorHeartbeat) -> Result<()> {
        self.inner.save_executor_heartbeat(heartbeat).await
    }

    async fn remove_executor(&self, executor_id: &str) -> Result<()> {
        self.inner.remove_executor(executor_id).await
    }

    fn executor_heartbeats(&self) -> HashMap<String, ExecutorHeartbeat> {
        self.inner.executor_heartbeats()
    }

    fn get_executor_heartbeat(&self, executor_id: &str) -> Option<ExecutorHeartbeat> {
        self.inner.get_executor_heartbeat(executor_id)
    }

    async fn cluster_state_events(&self) -> Result<ClusterStateEventStream> {
        self.inner.cluster_state_events().await
    }
}

fn nobody() -> ExecutorMetadata {
    ExecutorMetadata {
        id: MARKER.to_owned(),
        host: String::new(),
        port: 0,
        grpc_port: 0,
        specification: ExecutorSpecification::default(),
        os_info: ExecutorOperatingSystemSpecification::default(),
    }
}

/// No peer can send it: executor ids are addresses, and this is none.
const MARKER: &str = "reports digested";

//! The distributed half of the query engine: the only place here that names Ballista (I14).

mod binding;
mod codec;
mod config;
mod distributor;
mod guard;
mod job;
mod polls;
mod progress;
mod recent;
mod reports;
mod results;
mod task_spans;
mod unable;
mod unions;

use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::serde::protobuf::scheduler_grpc_server::{SchedulerGrpc, SchedulerGrpcServer};
use ballista_core::serde::protobuf::{ExecutorStoppedParams, PollWorkResult};
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::scheduler_process::create_scheduler;
use ballista_scheduler::scheduler_server::SchedulerServer;
use cluster_proto::{ExecutorRun, NodeId, pb};
use cluster_tls::tonic::{Authorizer, NodeTransport};
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use spice_runtime::{Distributor, TaskHistory};
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use crate::control::ControlStreams;
use crate::members::Members;
use binding::FillSlots;
use guard::GuardedSchedulerGrpc;
pub(crate) use polls::PollMemory;
use recent::RecentJobs;
use task_spans::TaskSpans;
use unable::UnableExecutors;

/// What an executor is answered when it polls.
pub(crate) type PollAnswer = Result<PollWorkResult, tonic::Status>;

type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// A running Ballista scheduler, without a port of its own.
#[derive(Clone)]
pub(crate) struct Engine {
    server: Server,
    transport: NodeTransport,
    streams: Arc<ControlStreams>,
    tasks: TaskTracker,
    members: Arc<Members>,
    /// Cancelled. The engine takes a moment to digest that, and would give out tasks meanwhile that
    /// nobody is told to stop.
    cancelled: Arc<RecentJobs>,
    /// Wanted by nobody any more, neither tasks nor rows.
    ended: Arc<RecentJobs>,
    spans: Arc<TaskSpans>,
    unable: Arc<UnableExecutors>,
    /// Counts the executors that left; jobs that run meanwhile start over.
    losses: Arc<watch::Sender<u64>>,
}

/// What the engine is made from.
pub(crate) struct EngineOptions {
    pub(crate) node_id: NodeId,
    pub(crate) transport: NodeTransport,
    pub(crate) streams: Arc<ControlStreams>,
    pub(crate) members: Arc<Members>,
    pub(crate) tasks: TaskTracker,
    pub(crate) history: TaskHistory,
}

impl Engine {
    /// Starts planning and task tracking.
    pub(crate) async fn start(options: EngineOptions) -> Result<Self, EngineError> {
        let EngineOptions {
            node_id,
            transport,
            streams,
            members,
            tasks,
            history,
        } = options;
        let cancelled = Arc::new(RecentJobs::default());
        let unable = Arc::new(UnableExecutors::default());
        let binding = FillSlots::new(members.clone(), cancelled.clone(), unable.clone());
        let hints = streams.clone();
        let config = config::scheduler(&node_id, &transport, move || hints.poll_now());
        let config = Arc::new(config.with_task_distribution(binding.into_policy()));
        let cluster = BallistaCluster::new_from_config(&config)
            .await
            .map_err(|source| EngineError(Box::new(source)))?;
        let hints = streams.clone();
        let cluster = progress::watch(&cluster, move || hints.poll_now());
        let server = create_scheduler(cluster, config)
            .await
            .map_err(|source| EngineError(Box::new(source)))?;
        Ok(Self {
            server,
            transport,
            streams,
            tasks,
            members,
            cancelled,
            ended: Arc::default(),
            spans: TaskSpans::new(history),
            unable,
            losses: Arc::default(),
        })
    }

    /// Ballista's own service, behind the guard.
    pub(crate) fn service(
        &self,
        authorizer: Authorizer,
    ) -> SchedulerGrpcServer<GuardedSchedulerGrpc> {
        SchedulerGrpcServer::new(GuardedSchedulerGrpc::new(self.clone(), authorizer))
            .max_decoding_message_size(config::MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(config::MESSAGE_LIMIT_BYTES)
    }

    /// The way queries enter.
    pub(crate) fn distributor(&self) -> Arc<dyn Distributor> {
        Arc::new(distributor::BallistaDistributor::new(self.clone()))
    }

    /// Gives the tasks of an executor that is gone to the others.
    pub(crate) async fn executor_left(&self, run: &ExecutorRun, reason: &str) {
        let request = tonic::Request::new(ExecutorStoppedParams {
            executor_id: run.to_string(),
            reason: reason.to_owned(),
        });
        // It only posts to the event loop; that fails when the engine itself has stopped.
        if let Err(status) = self.server.executor_stopped(request).await {
            tracing::warn!(executor = %run, error = %status, "executor not removed from the engine");
        }
        self.spans.executor_left(run);
        self.losses.send_modify(|losses| *losses += 1);
    }

    /// The task slots of the executors that can take tasks of queries over this application.
    pub(crate) async fn task_slots(&self, app_digest: Option<&str>) -> usize {
        let manager = &self.server.state.executor_manager;
        let executors = manager.get_executors_state().await.unwrap_or_default();
        let ready = executors.iter().filter(|(metadata, _, _)| {
            let run: Result<ExecutorRun, _> = metadata.id.parse();
            run.is_ok_and(|run| self.is_ready(&run, app_digest))
        });
        ready
            .map(|(metadata, _, _)| metadata.specification.vcores as usize)
            .sum()
    }

    fn is_ready(&self, run: &ExecutorRun, app_digest: Option<&str>) -> bool {
        match app_digest {
            Some(digest) => self.members.is_ready(run, digest),
            None => self.members.takes_work(run),
        }
    }

    /// Stops a job that nobody waits for: its running tasks by command, the rest by removal.
    ///
    /// The command goes first, while the engine still knows which tasks run where; under pull
    /// scheduling the engine itself has no way to reach an executor.
    async fn cancel(&self, job_id: &JobId) {
        // From here on no poll is given tasks of it, so those that run now are all there are.
        self.cancelled.add(job_id);
        for (executor, tasks) in self.running_tasks(job_id).await {
            self.streams.cancel_tasks(&executor, tasks);
        }
        if let Err(error) = self.server.cancel_job(job_id.clone()).await {
            tracing::warn!(job = %job_id, %error, "job not cancelled");
        }
    }

    async fn running_tasks(&self, job_id: &JobId) -> Vec<(ExecutorRun, Vec<pb::RunningTask>)> {
        let jobs = self.server.state.task_manager.get_running_job_cache();
        let Some(job) = jobs.get(job_id) else {
            return vec![];
        };
        let running = job.execution_graph.read().await.running_tasks();
        let mut by_executor: Vec<(ExecutorRun, Vec<pb::RunningTask>)> = vec![];
        for task in running {
            let Ok(executor) = task.executor_id.parse::<ExecutorRun>() else {
                continue;
            };
            let command = pb::RunningTask {
                task_id: task.task_id as u32,
                job_id: task.job_id.to_string(),
                stage_id: task.stage_id as u32,
                partition_id: 0,
            };
            match by_executor.iter_mut().find(|(id, _)| *id == executor) {
                Some((_, tasks)) => tasks.push(command),
                None => by_executor.push((executor, vec![command])),
            }
        }
        by_executor
    }
}

/// The engine did not start.
#[derive(Debug, Error)]
#[error("the distributed query engine did not start")]
pub(crate) struct EngineError(#[source] Box<ballista_core::error::BallistaError>);

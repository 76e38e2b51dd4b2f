//! What works for one scheduler: its poll loop, and the tasks that came by it.

use std::sync::Arc;

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource,
    ExecutorSpecification,
};
use ballista_core::serde::scheduler::TaskKey;
use ballista_executor::execution_loop::poll_loop;
use ballista_executor::executor::Executor;
use ballista_executor::health::ExecutorHealth;
use ballista_executor::metrics::LoggingMetricsCollector;
use cluster_proto::{ExecutorRun, pb};
use cluster_tls::tonic::{NodeChannel, NodeTransport, Security};
use cluster_tls::{NodeAddress, Role};
use datafusion::prelude::SessionConfig;
use spice_runtime::with_app_digest;
use tokio::sync::{Notify, Semaphore};

use super::cancelled::CancelledTasks;
use super::codec;
use super::jobs::{JobFiles, is_job_id};
use super::polls::{PollsOnce, PollsOnceOptions};
use super::stage::{LoopParts, ReportingEngine};
use super::{MESSAGE_LIMIT_BYTES, Parts};

/// A Ballista executor without a port of its own, for one scheduler.
///
/// The poll loop of upstream holds the reports that were not sent yet, and ends the tasks that
/// it began when it is dropped. So whoever polls anew has to be another run to the scheduler,
/// which then gives the tasks of the run before to others.
#[derive(Clone)]
pub(crate) struct Worker {
    parts: Arc<Parts>,
    executor: Arc<Executor>,
    wake: Arc<Notify>,
    files: Arc<JobFiles>,
    cancelled: Arc<CancelledTasks>,
    scheduler: NodeAddress,
}

impl Worker {
    pub(super) fn new(parts: Arc<Parts>, run: &ExecutorRun, scheduler: &NodeAddress) -> Self {
        let wake = Arc::new(Notify::new());
        parts.log.wake_when_full(&wake);
        let options = &parts.options;
        let files = JobFiles::new(&options.work_dir);
        let cancelled = Arc::new(CancelledTasks::default());
        let apps = options.apps.clone();
        let transport = options.transport.clone();
        let own = LoopParts {
            wake: wake.clone(),
            files: files.clone(),
            cancelled: cancelled.clone(),
        };
        let executor = Executor::new(
            registration(run, options.task_slots),
            &options.work_dir.to_string_lossy(),
            Arc::new(move |task| apps.environment_of(task)),
            Arc::new(move || session_config(&transport)),
            Arc::default(),
            Arc::new(LoggingMetricsCollector::default()),
            options.task_slots,
            Arc::new(ReportingEngine::new(&parts, own)),
        );
        Self {
            executor: Arc::new(executor),
            wake,
            files,
            cancelled,
            scheduler: scheduler.clone(),
            parts,
        }
    }

    /// Polls the scheduler behind `channel` for tasks, for ever. To be called once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops asking for tasks, and ends those that run.
    pub(crate) async fn poll(&self, channel: NodeChannel) {
        let options = &self.parts.options;
        let channel = PollsOnce::new(PollsOnceOptions {
            channel,
            scheduler: self.scheduler.clone(),
            slots: self.parts.slots.clone(),
            files: self.files.clone(),
            events: options.events.clone(),
        });
        let client = SchedulerGrpcClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
        // Upstream's loop waits for a permit for each task that it was given, and neither polls
        // nor reports meanwhile. With the slots of all schedulers it could wait for the task of
        // another one until its own scheduler gives it up; so it gets as many permits as it can
        // be given tasks, and tasks wait for the shared slots (stage.rs).
        let permits = Arc::new(Semaphore::new(options.task_slots));
        let ended = poll_loop(
            client,
            self.executor.clone(),
            codec::codec(options.apps.clone()),
            Some(self.wake.clone()),
            Some(permits),
            ExecutorHealth::new(),
        )
        .await;
        if let Err(error) = ended {
            tracing::error!(scheduler = %self.scheduler, %error, "task polling ended");
        }
    }

    /// Removes what the jobs of this worker have left on disk; once nothing polls any more.
    pub(crate) async fn clean_up(&self) {
        self.files.remove().await;
    }

    /// Asks for tasks at once instead of at the next interval.
    pub(crate) fn poll_now(&self) {
        self.wake.notify_one();
    }

    /// Stops tasks whose job was cancelled, those that have not begun yet included.
    pub(crate) async fn cancel(&self, tasks: &[pb::RunningTask]) {
        let (known, strange): (Vec<_>, Vec<_>) =
            tasks.iter().partition(|task| is_job_id(&task.job_id));
        if !strange.is_empty() {
            let (scheduler, tasks) = (&self.scheduler, strange.len());
            tracing::warn!(%scheduler, tasks, "tasks not cancelled: no job has such an id");
        }
        for task in known {
            let key = TaskKey {
                job_id: task.job_id.clone().into(),
                stage_id: task.stage_id as usize,
                task_id: task.task_id as usize,
            };
            // First the note, then the running: a task enters itself first and then looks for the
            // note, so one of the two finds it.
            self.cancelled.add(key.clone());
            let TaskKey {
                job_id,
                stage_id,
                task_id,
            } = key;
            match self.executor.cancel_task(job_id, stage_id, task_id).await {
                Ok(found) => tracing::debug!(job = task.job_id, found, "task cancelled"),
                Err(error) => tracing::warn!(job = task.job_id, %error, "task not cancelled"),
            }
        }
    }

    /// The tasks of the whole executor: a scheduler shows what its nodes do, for whomever.
    pub(crate) fn statistics(&self) -> pb::ExecutorStatistics {
        let (active, total) = self.parts.log.counts();
        pb::ExecutorStatistics {
            task_slots: u32::try_from(self.parts.options.task_slots).unwrap_or(u32::MAX),
            tasks_active: active,
            tasks_total: total,
        }
    }
}

/// The settings that every task starts from; the query's own arrive with the task.
fn session_config(transport: &NodeTransport) -> SessionConfig {
    let endpoint_transport = transport.clone();
    // Empty, for the settings of the query to fill: a setting that is not there is not taken.
    with_app_digest(SessionConfig::new_with_ballista(), "")
        .with_ballista_use_tls(transport.security() == Security::Mutual)
        .with_ballista_grpc_client_max_message_size(MESSAGE_LIMIT_BYTES)
        // Whatever the engine itself may dial goes through our transport or not at all.
        .with_ballista_override_create_grpc_client_endpoint(Arc::new(move |endpoint| {
            Ok(endpoint_transport.endpoint(endpoint, Role::Executor)?)
        }))
}

fn registration(run: &ExecutorRun, task_slots: usize) -> ExecutorRegistration {
    // Upstream writes `scheme://{host}:{port}`, so an IPv6 address needs its brackets.
    let node_id = run.node();
    let host = match node_id.host() {
        address if address.contains(':') => format!("[{address}]"),
        host => host.to_owned(),
    };
    ExecutorRegistration {
        id: run.to_string(),
        host: Some(host),
        port: u32::from(node_id.port()),
        grpc_port: u32::from(node_id.port()),
        specification: Some(ExecutorSpecification {
            resources: vec![ExecutorResource {
                resource: Some(Resource::Vcores(
                    u32::try_from(task_slots).unwrap_or(u32::MAX),
                )),
            }],
        }),
        // Facts about the machine that nothing of ours shows; a peer need not know them.
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    }
}

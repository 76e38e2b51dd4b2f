//! Running tasks and handing out their shuffle blocks: the only place here that names
//! Ballista (I14).

mod cancelled;
mod flight;
mod pool;
mod stage;
mod task_log;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::BallistaCodec;
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
use cluster_tls::Role;
use cluster_tls::tonic::{Authorizer, NodeChannel, NodeTransport, Security};
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use spice_runtime::with_app_digest;
use tokio::sync::{Notify, Semaphore};

use crate::apps::OpenApps;
use crate::events::ExecutorEvents;
use cancelled::CancelledTasks;
use flight::GuardedShuffleService;
use pool::GenerationPool;
use stage::ReportingEngine;
use task_log::TaskLog;

/// What the engine is made from.
pub(crate) struct EngineOptions {
    pub(crate) run: ExecutorRun,
    pub(crate) task_slots: usize,
    /// Where shuffle files go; owned by this engine.
    pub(crate) work_dir: PathBuf,
    pub(crate) transport: NodeTransport,
    pub(crate) apps: Arc<OpenApps>,
    pub(crate) events: Arc<dyn ExecutorEvents>,
}

/// A Ballista executor without a port of its own.
#[derive(Clone)]
pub(crate) struct Engine {
    executor: Arc<Executor>,
    slots: Arc<Semaphore>,
    wake: Arc<Notify>,
    log: Arc<TaskLog>,
    cancelled: Arc<CancelledTasks>,
    task_slots: usize,
}

impl Engine {
    pub(crate) fn new(options: EngineOptions) -> Self {
        let wake = Arc::new(Notify::new());
        let log = Arc::new(TaskLog::new(options.events, wake.clone()));
        let pool = Arc::new(GenerationPool::new(options.transport.clone()));
        let cancelled = Arc::new(CancelledTasks::default());
        let apps = options.apps;
        let transport = options.transport;
        let executor = Executor::new(
            registration(&options.run, options.task_slots),
            &options.work_dir.to_string_lossy(),
            Arc::new(move |task| apps.environment_of(task)),
            Arc::new(move || session_config(&transport)),
            Arc::default(),
            Arc::new(LoggingMetricsCollector::default()),
            options.task_slots,
            Arc::new(ReportingEngine::new(pool, log.clone(), cancelled.clone())),
        );
        Self {
            executor: Arc::new(executor),
            slots: Arc::new(Semaphore::new(options.task_slots)),
            wake,
            log,
            cancelled,
            task_slots: options.task_slots,
        }
    }

    /// Polls the scheduler behind `channel` for tasks, for ever.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops asking for tasks; those that run go on.
    pub(crate) async fn poll(&self, channel: NodeChannel) {
        let client = SchedulerGrpcClient::new(channel)
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
            .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
        let codec: BallistaCodec<LogicalPlanNode, PhysicalPlanNode> = BallistaCodec::default();
        let ended = poll_loop(
            client,
            self.executor.clone(),
            codec,
            Some(self.wake.clone()),
            Some(self.slots.clone()),
            ExecutorHealth::new(),
        )
        .await;
        if let Err(error) = ended {
            tracing::error!(%error, "task polling ended");
        }
    }

    /// Asks for tasks at once instead of at the next interval.
    pub(crate) fn poll_now(&self) {
        self.wake.notify_one();
    }

    /// Stops tasks whose job was cancelled, those that have not begun yet included.
    pub(crate) async fn cancel(&self, tasks: &[pb::RunningTask]) {
        for task in tasks {
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

    /// The shuffle service, behind the guard.
    pub(crate) fn service(
        &self,
        authorizer: Authorizer,
    ) -> FlightServiceServer<GuardedShuffleService> {
        FlightServiceServer::new(GuardedShuffleService::new(
            PathBuf::from(&self.executor.work_dir),
            authorizer,
        ))
        .max_decoding_message_size(TICKET_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES)
    }

    /// Waits until no task runs here and nobody has a use for what tasks left here.
    pub(crate) async fn drained(&self) {
        while self.log.counts().0 > 0 || self.keeps_files().await {
            tokio::time::sleep(DRAIN_CHECK).await;
        }
    }

    /// Every job has a directory here until its client has read its rows.
    async fn keeps_files(&self) -> bool {
        match tokio::fs::read_dir(&self.executor.work_dir).await {
            Ok(mut jobs) => matches!(jobs.next_entry().await, Ok(Some(_))),
            Err(_) => false,
        }
    }

    pub(crate) fn statistics(&self) -> pb::ExecutorStatistics {
        let (active, total) = self.log.counts();
        pb::ExecutorStatistics {
            task_slots: u32::try_from(self.task_slots).unwrap_or(u32::MAX),
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

/// Short beside what a client notices of a restart.
const DRAIN_CHECK: Duration = Duration::from_millis(50);

/// The same as on the scheduler's side: plans and shuffle blocks travel within it.
const MESSAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// A ticket is an address and some ids in a few hundred bytes. One that asks for ranges of a file
/// lists them, two numbers each and neighbours as one: there is room for ten thousand.
const TICKET_LIMIT_BYTES: usize = 256 * 1024;

//! Running tasks and handing out their shuffle blocks: the only place here that names
//! Ballista (I14).

mod cancelled;
mod codec;
mod flight;
mod jobs;
mod peers;
mod polls;
mod reader;
mod stage;
mod task_log;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use cluster_proto::ExecutorRun;
use cluster_tls::NodeAddress;
use cluster_tls::tonic::{Authorizer, NodeTransport};
use tokio::sync::Semaphore;

use crate::apps::OpenApps;
use crate::events::ExecutorEvents;
use flight::GuardedShuffleService;
use peers::Peers;
use task_log::TaskLog;
pub(crate) use worker::Worker;

/// What the engine is made from.
pub(crate) struct EngineOptions {
    /// Tasks that may run at the same time, over all schedulers.
    pub(crate) task_slots: usize,
    /// Where shuffle files go; owned by this engine.
    pub(crate) work_dir: PathBuf,
    pub(crate) transport: NodeTransport,
    pub(crate) apps: Arc<OpenApps>,
    pub(crate) events: Arc<dyn ExecutorEvents>,
}

/// The half of Ballista's executor that all schedulers share: the slots, the shuffle files, the
/// connections to other executors.
#[derive(Clone)]
pub(crate) struct Engine {
    parts: Arc<Parts>,
}

/// What every worker takes from.
struct Parts {
    options: EngineOptions,
    peers: Arc<Peers>,
    slots: Arc<Semaphore>,
    log: Arc<TaskLog>,
}

impl Engine {
    pub(crate) fn new(options: EngineOptions) -> Self {
        Self {
            parts: Arc::new(Parts {
                peers: Arc::new(Peers::new(options.transport.clone())),
                slots: Arc::new(Semaphore::new(options.task_slots)),
                log: Arc::new(TaskLog::new(options.events.clone(), options.task_slots)),
                options,
            }),
        }
    }

    /// The half that works for one scheduler, known to it as `run`.
    pub(crate) fn worker(&self, run: &ExecutorRun, scheduler: &NodeAddress) -> Worker {
        Worker::new(self.parts.clone(), run, scheduler)
    }

    /// The shuffle service, behind the guard.
    pub(crate) fn service(
        &self,
        authorizer: Authorizer,
    ) -> FlightServiceServer<GuardedShuffleService> {
        FlightServiceServer::new(GuardedShuffleService::new(
            self.parts.options.work_dir.clone(),
            authorizer,
        ))
        .max_decoding_message_size(TICKET_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES)
    }

    /// Waits until no task runs here and nobody has a use for what tasks left here.
    pub(crate) async fn drained(&self) {
        while self.parts.log.counts().0 > 0 || self.keeps_files().await {
            tokio::time::sleep(DRAIN_CHECK).await;
        }
    }

    /// Every job has a directory here until its client has read its rows.
    async fn keeps_files(&self) -> bool {
        match tokio::fs::read_dir(&self.parts.options.work_dir).await {
            Ok(mut jobs) => matches!(jobs.next_entry().await, Ok(Some(_))),
            Err(_) => false,
        }
    }
}

/// Short beside what a client notices of a restart.
const DRAIN_CHECK: Duration = Duration::from_millis(50);

/// The same as on the scheduler's side: plans and shuffle blocks travel within it.
const MESSAGE_LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// A ticket is an address and some ids in a few hundred bytes. One that asks for ranges of a file
/// lists them, two numbers each and neighbours as one: there is room for ten thousand.
const TICKET_LIMIT_BYTES: usize = 256 * 1024;

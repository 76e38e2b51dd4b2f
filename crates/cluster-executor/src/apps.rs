//! The application definitions that this executor has open.
//!
//! There may be several: queries end with the definition that they began with, and schedulers
//! need not change theirs at the same moment. A task names its own by digest.

mod table;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cluster_proto::NodeId;
use cluster_tls::NodeAddress;
use cluster_tls::tonic::NodeTransport;
use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::prelude::SessionConfig;
use spice_runtime::{CurrentRuntime, Runtime, RuntimeOptions, RuntimeWriter, app_digest, publish};
use thiserror::Error;
use tokio::sync::Semaphore;
use tonic::Status;

use crate::boot::{self, BootError, Defined, Opened, causes};
use crate::secrets::SchedulerSecrets;
use table::Table;

/// What definitions are fetched and opened with.
pub(crate) struct AppOptions {
    pub(crate) transport: NodeTransport,
    pub(crate) executor: NodeId,
    pub(crate) runtime: RuntimeOptions,
}

impl AppOptions {
    /// Opens a definition, with the secrets that it takes.
    ///
    /// Only whoever gave the definition is asked for them: another scheduler would give its own to
    /// wherever this definition sends them.
    pub(crate) async fn open(&self, defined: Defined) -> Result<Opened, BootError> {
        let giver = defined.scheduler();
        let secrets = SchedulerSecrets::new(&self.transport, giver, &self.executor);
        defined.entrust(secrets).open(self.runtime.clone()).await
    }
}

/// The open definitions, shared by all links and tasks.
pub(crate) struct OpenApps {
    options: AppOptions,
    table: Mutex<Table<Arc<Runtime>>>,
    newest: RuntimeWriter,
    current: CurrentRuntime,
    /// One definition is opened at a time: what two schedulers change to is mostly the same.
    opening: Semaphore,
}

/// Why a definition that a scheduler names is not open.
#[derive(Debug, Error)]
pub(crate) enum AdoptError {
    /// It could not be fetched.
    #[error("the definition could not be fetched: {0}")]
    Unreachable(String),
    /// It cannot be used here.
    #[error(transparent)]
    Unusable(#[from] BootError),
    /// This executor stops.
    #[error("the executor stops")]
    Stopped,
}

impl OpenApps {
    /// Begins with what the boot opened.
    pub(crate) fn new(options: AppOptions, opened: Opened) -> Self {
        let runtime = Arc::new(opened.runtime);
        let mut table = Table::new();
        table.insert(runtime.app_digest(), runtime.clone(), Instant::now());
        table.name(&opened.scheduler, runtime.app_digest(), Instant::now());
        let (newest, current) = publish(runtime);
        Self {
            options,
            table: Mutex::new(table),
            newest,
            current,
            opening: Semaphore::new(1),
        }
    }

    /// What was opened last.
    pub(crate) fn current(&self) -> CurrentRuntime {
        self.current.clone()
    }

    /// Opens the definition `digest` of `scheduler`, unless it is open, and gives the digest of what
    /// is open for that scheduler now: it may have changed its mind meanwhile.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what is half open is dropped.
    pub(crate) async fn adopt(
        &self,
        scheduler: &NodeAddress,
        digest: &str,
    ) -> Result<String, AdoptError> {
        if self.lock().name(scheduler, digest, Instant::now()) {
            return Ok(digest.to_owned());
        }
        let turn = self.opening.acquire().await;
        let _turn = turn.map_err(|_| AdoptError::Stopped)?;
        let options = &self.options;
        let answer = boot::ask(&options.transport, scheduler, &options.executor).await;
        let answer = answer.map_err(|status| unreachable(&status))?;
        let defined = boot::read(scheduler, &answer)?;
        let digest = defined.digest().to_owned();
        if self.lock().name(scheduler, &digest, Instant::now()) {
            return Ok(digest);
        }
        let opened = options.open(defined).await?;
        self.insert(scheduler, Arc::new(opened.runtime));
        Ok(digest)
    }

    fn insert(&self, scheduler: &NodeAddress, runtime: Arc<Runtime>) {
        let (digest, now) = (runtime.app_digest(), Instant::now());
        let mut table = self.lock();
        table.insert(digest, runtime.clone(), now);
        table.name(scheduler, digest, now);
        drop(table);
        self.newest.replace(runtime);
        self.retire();
    }

    /// The digests of what is open, that of `scheduler` first.
    pub(crate) fn digests_for(&self, scheduler: &NodeAddress) -> Vec<String> {
        self.lock().digests_for(scheduler)
    }

    /// A scheduler that is no longer worked for keeps nothing open.
    pub(crate) fn leave(&self, scheduler: &NodeAddress) {
        self.lock().unname(scheduler);
    }

    /// Closes what nobody needs any more.
    pub(crate) fn retire(&self) {
        let retired = self.lock().retire(Instant::now());
        for digest in retired {
            tracing::info!(digest, "application definition closed");
        }
    }

    /// The runtime that a task with these settings was planned for.
    ///
    /// # Errors
    ///
    /// Where it is not open any more. As an I/O error the engine takes it for temporary, and gives
    /// the task to another executor.
    pub(crate) fn runtime_of(&self, task: &SessionConfig) -> Result<Arc<Runtime>, DataFusionError> {
        let Some(digest) = app_digest(task) else {
            return Ok(self.current.now());
        };
        let open = self.lock().used(digest, Instant::now());
        open.ok_or_else(|| {
            let text = format!("this executor does not have application {digest} open any more");
            DataFusionError::IoError(std::io::Error::new(std::io::ErrorKind::NotFound, text))
        })
    }

    /// The environment that a task with these settings runs in.
    pub(crate) fn environment_of(
        &self,
        task: &SessionConfig,
    ) -> Result<Arc<RuntimeEnv>, DataFusionError> {
        Ok(self.runtime_of(task)?.session().runtime_env())
    }

    fn lock(&self) -> MutexGuard<'_, Table<Arc<Runtime>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unreachable(status: &Status) -> AdoptError {
    AdoptError::Unreachable(causes(status))
}

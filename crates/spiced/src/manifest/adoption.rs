//! Putting another application in the place of the one in use.

use std::sync::Arc;

use cluster_scheduler::{AppChangeError, AppChanged, Membership, Scheduler, ServedApp};
use spice_runtime::{LocalSecrets, OpenError, Runtime, RuntimeOptions, RuntimeWriter};
use spicepod::{App, LoadError};
use thiserror::Error;

/// What this node opens an application with.
pub(crate) struct Opening {
    pub(crate) options: RuntimeOptions,
    pub(crate) secrets: LocalSecrets,
}

impl Opening {
    /// Opens every dataset and view of `app`.
    pub(crate) async fn open(&self, app: &App) -> Result<Runtime, OpenError> {
        let secrets = Arc::new(self.secrets.stores_of(app));
        Runtime::open(app, self.options.clone(), secrets).await
    }
}

/// What a new application has to pass before queries see it.
pub(crate) struct Adoption {
    pub(crate) opening: Opening,
    pub(crate) runtime: RuntimeWriter,
    /// Who needs it, or needs to know, as well.
    pub(crate) cluster: Option<InCluster>,
}

/// What a scheduler has beside its own tables.
pub(crate) struct InCluster {
    /// Who has executors.
    scheduler: Scheduler,
    /// What the other schedulers are told.
    served: ServedApp,
}

impl InCluster {
    pub(crate) fn new(scheduler: &Scheduler, membership: &Membership) -> Self {
        Self {
            scheduler: scheduler.clone(),
            served: membership.served_app(),
        }
    }
}

/// Why a changed spicepod is not used.
#[derive(Debug, Error)]
pub(super) enum ManifestFault {
    #[error(transparent)]
    Load(LoadError),
    #[error("the spicepod does not stand still: it changed with each of {reads} reads")]
    Unsettled { reads: usize },
    #[error("a dataset or view of it cannot be opened")]
    Open(#[source] OpenError),
    #[error(transparent)]
    Executors(AppChangeError),
}

impl ManifestFault {
    /// A word for metrics and the status page.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Load(error) => error.code(),
            Self::Unsettled { .. } => "unsettled",
            Self::Open(_) => "datasets",
            Self::Executors(_) => "executors",
        }
    }
}

impl Adoption {
    /// Opens all of `app`, gives it to the executors, and plans new queries over it from then on.
    /// Queries that run end with what they began with. Nothing changes where a step fails.
    pub(super) async fn adopt(&self, app: Arc<App>) -> Result<Option<AppChanged>, ManifestFault> {
        let runtime = self.opening.open(&app).await;
        let runtime = Arc::new(runtime.map_err(ManifestFault::Open)?);
        let Some(cluster) = &self.cluster else {
            self.runtime.replace(runtime);
            return Ok(None);
        };
        let changed = cluster.scheduler.change_app(app.clone()).await;
        let changed = changed.map_err(ManifestFault::Executors)?;
        self.runtime.replace(runtime);
        cluster.served.change_to(app.digest());
        Ok(Some(changed))
    }
}

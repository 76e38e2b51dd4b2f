use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_tls::tonic::{Authorizer, Decisions, NodeTransport, server_builder};
use spice_runtime::{CurrentRuntime, RuntimeOptions};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::LayerExt;
use tonic::transport::server::Router;

use crate::apps::{AppOptions, OpenApps};
use crate::authorization::method_table;
use crate::boot::{self, BootError};
use crate::engine::{Engine, EngineOptions};
use crate::events::ExecutorEvents;
use crate::links::{LinkParts, Membership, SchedulerLinks};
use crate::metrics::MetricsSource;

/// What an executor is made from.
pub struct ExecutorOptions {
    /// The address that other nodes reach this executor's internal port at.
    pub node_id: NodeId,
    /// The version of this program, for schedulers to show.
    pub version: String,
    /// The schedulers to work for, by at least one seed.
    pub links: SchedulerLinks,
    /// How the internal port is served and other nodes are dialled.
    pub transport: NodeTransport,
    /// Tasks that may run at the same time, over all schedulers.
    pub task_slots: usize,
    /// An empty directory for shuffle files, owned by this executor.
    pub work_dir: PathBuf,
    /// How datasets are opened.
    pub runtime: RuntimeOptions,
    /// Told of every authorization decision.
    pub decisions: Arc<dyn Decisions>,
    /// Told of tasks.
    pub events: Arc<dyn ExecutorEvents>,
    /// This node's metrics, for schedulers.
    pub metrics: Arc<dyn MetricsSource>,
}

/// An executor whose datasets are open: it may take tasks.
pub struct Executor {
    node_id: NodeId,
    version: String,
    links: SchedulerLinks,
    transport: NodeTransport,
    authorizer: Authorizer,
    apps: Arc<OpenApps>,
    engine: Engine,
    metrics: Arc<dyn MetricsSource>,
}

impl Executor {
    /// Fetches the application definition from the first scheduler that gives it and opens
    /// its datasets. Waits, until `shutdown`, for a scheduler that cannot be reached yet.
    ///
    /// # Errors
    ///
    /// [`BootError`] when a scheduler denies this node, sends something unusable, or names a
    /// dataset that is wrong here; and when stopped meanwhile. Data out of reach is waited for later.
    pub async fn boot(
        options: ExecutorOptions,
        shutdown: &CancellationToken,
    ) -> Result<Self, BootError> {
        let defined = boot::define(
            &options.transport,
            &options.links,
            &options.node_id,
            shutdown,
        )
        .await?;
        let apps = AppOptions {
            transport: options.transport.clone(),
            executor: options.node_id.clone(),
            runtime: options.runtime,
        };
        let opening = apps.open(defined);
        let opened = tokio::select! {
            opened = opening => opened?,
            () = shutdown.cancelled() => return Err(BootError::Stopped),
        };
        let apps = Arc::new(OpenApps::new(apps, opened));
        let engine = Engine::new(EngineOptions {
            task_slots: options.task_slots,
            work_dir: options.work_dir,
            transport: options.transport.clone(),
            apps: apps.clone(),
            events: options.events,
        });
        Ok(Self {
            node_id: options.node_id,
            version: options.version,
            links: options.links,
            transport: options.transport,
            authorizer: Authorizer::new(options.decisions),
            apps,
            engine,
            metrics: options.metrics,
        })
    }

    /// How many datasets this executor has open.
    pub fn dataset_count(&self) -> usize {
        self.apps.current().now().dataset_count()
    }

    /// What was opened last, for whoever shows it.
    pub fn runtime(&self) -> CurrentRuntime {
        self.apps.current()
    }

    /// Serves shuffle blocks on `listener`, takes tasks and keeps control streams, until
    /// `shutdown`. It then takes no further tasks and gives queries that use it some time to end;
    /// announces its end to every scheduler, so that they hand what is left to others at once;
    /// and ends.
    pub async fn serve(self, listener: TcpListener, shutdown: CancellationToken) {
        let links = TaskTracker::new();
        let parts = LinkParts {
            node_id: self.node_id.clone(),
            version: self.version.clone(),
            transport: self.transport.clone(),
            engine: self.engine.clone(),
            apps: self.apps.clone(),
            metrics: self.metrics.clone(),
            draining: shutdown.child_token(),
            links: self.links.clone(),
        };
        links.spawn(Membership::new(parts, links.clone()).keep());
        links.close();
        let stop_server = CancellationToken::new();
        let stop = stop_server.clone().cancelled_owned();
        let server = self.transport.serve(listener, self.router(), stop);
        let farewell = async {
            shutdown.cancelled().await;
            self.drain().await;
            self.links.stop();
            if timeout(FAREWELL_LIMIT, links.wait()).await.is_err() {
                tracing::warn!("schedulers not told of the end in time");
            }
            stop_server.cancel();
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            () = server => {}
            () = farewell => {}
        }
        self.links.stop();
    }

    /// Waits until no query uses this executor any more, or none is worth the wait.
    async fn drain(&self) {
        let drained = async {
            tokio::select! {
                () = self.engine.drained() => {}
                () = self.links.none_connected(SCHEDULERS_GONE) => {
                    tracing::info!("no scheduler is left to finish queries for");
                }
            }
        };
        if timeout(DRAIN_LIMIT, drained).await.is_err() {
            tracing::warn!("queries still use this executor, their tasks go to others");
        }
    }

    fn router(&self) -> Router {
        let shuffle = self.engine.service(self.authorizer.clone());
        let gate = self
            .authorizer
            .gate(method_table())
            .calls_per_peer(FETCHES_PER_PEER)
            .answered_within(ANSWER_LIMIT);
        server_builder().add_service(gate.named_layer(shuffle))
    }
}

/// Queries that use this executor end within this, or begin again elsewhere. Orchestrators wait
/// half a minute before they kill, and the farewells come after it.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Schedulers that are all lost for this long have ended, or are somewhere else: what runs for them
/// and the files that they would have had removed are nobody's. A stream that breaks is open again
/// within less.
const SCHEDULERS_GONE: Duration = Duration::from_secs(1);

/// Farewells to all schedulers, together.
const FAREWELL_LIMIT: Duration = Duration::from_secs(4);

/// Fetches in flight end within this after a request to stop, or are cut.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// A fetch is answered when its block begins to flow.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// Blocks that a node asks for at once, until they begin to flow: several for each of its tasks, and
/// more take turns. With the size of a ticket it bounds what one key can take up: 64 MiB.
const FETCHES_PER_PEER: usize = 256;

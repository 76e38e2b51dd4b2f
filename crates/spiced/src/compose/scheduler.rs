use std::sync::Arc;

use cluster_proto::NodeId;
use cluster_scheduler::{Membership, Scheduler, SchedulerList, SchedulerOptions};
use cluster_tls::Role;
use futures::FutureExt;
use futures::future::{try_join, try_join_all};
use public_api::NodeRole;
use spice_runtime::{SqlEngine, TaskHistory};
use spicepod::App;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::membership::{self, Admission, StateSettings};
use super::{Internal, Node, described, public, take};
use crate::info::OwnInfo;
use crate::listeners::announce;
use crate::manifest::{InCluster, Manifest};
use crate::own_metrics::OwnMetrics;
use crate::readiness::NodeReadiness;

/// Coordinates executors and answers SQL with them.
pub(super) async fn serve(
    mut node: Node,
    internal: Internal,
    (app, manifest): (App, Manifest),
    state: StateSettings,
) -> anyhow::Result<()> {
    let info = node.info(NodeRole::Scheduler, Some(&internal));
    let listener = take(&mut node.listeners.internal)?;
    let history = TaskHistory::new(internal.node_id.to_string(), Role::Scheduler.as_str());
    node.runtime.history = Some(history.clone());
    let (writer, runtime) = node.open(&app).await?;
    node.metrics.tables.watch(runtime.clone());
    let app = Arc::new(app);
    let membership = membership::open(&node, &internal.node_id, &app, state).await?;
    let node_id = internal.node_id.clone();
    let scheduler = start(&node, internal, app.clone(), (membership.list(), history)).await?;
    let info = Arc::new(OwnInfo {
        scheduler: Some(scheduler.clone()),
        tables: runtime.clone().into(),
        ..info
    });
    let sql = SqlEngine::distributed(runtime, scheduler.distributor());
    let readiness = Arc::new(NodeReadiness::new(
        node.shutdown.clone(),
        Some(scheduler.clone()),
        Some(membership.list()),
    ));
    let servings = public::serve(&mut node, Some(sql), readiness.clone(), info);
    let cluster = InCluster::new(&scheduler, &membership);
    node.follow((&app, manifest), writer, Some(cluster))?;
    // Queries that are being answered need the executors, so the internal port goes last.
    let answered = CancellationToken::new();
    let answering = async {
        let served = try_join_all(servings).await;
        node.shutdown.cancel();
        answered.cancel();
        served
    };
    let coordinating = async {
        let port = InternalPort {
            node_id,
            scheduler,
            membership,
            listener,
            answered: answered.clone(),
        };
        let coordinated = port.coordinate(&node.shutdown, &readiness).await;
        node.shutdown.cancel();
        coordinated
    };
    let (served, coordinated) = tokio::join!(answering, coordinating);
    served.and(coordinated)
}

/// Starts the engine over `app`, with what it shares with other schedulers.
async fn start(
    node: &Node,
    internal: Internal,
    app: Arc<App>,
    (schedulers, history): (SchedulerList, TaskHistory),
) -> anyhow::Result<Scheduler> {
    let metrics = OwnMetrics::new(node.registry.clone(), &internal.node_id, Role::Scheduler);
    let options = SchedulerOptions {
        node_id: internal.node_id,
        app,
        secrets: node.secrets.clone(),
        schedulers,
        transport: internal.transport,
        decisions: node.observer.clone(),
        events: node.observer.clone(),
        history,
        metrics,
    };
    Scheduler::start(options).await.map_err(described)
}

/// What a scheduler is to the other nodes.
struct InternalPort {
    node_id: NodeId,
    scheduler: Scheduler,
    membership: Membership,
    listener: TcpListener,
    /// Cancelled when no query needs the executors any more.
    answered: CancellationToken,
}

impl InternalPort {
    /// Serves members, once the id of this scheduler is free. Health is answered meanwhile, and SQL
    /// without tables too; executors are not let in before.
    async fn coordinate(
        self,
        shutdown: &CancellationToken,
        readiness: &NodeReadiness,
    ) -> anyhow::Result<()> {
        let admission = membership::join(&self.membership, shutdown).await;
        if admission.map_err(described)? == Admission::Stopped {
            self.membership.leave().await;
            return Ok(());
        }
        announce("internal", &self.listener);
        readiness.set_started();
        tracing::info!(role = "scheduler", node = %self.node_id, "ready");
        let serving = self.scheduler.serve(self.listener, self.answered.clone());
        let belonging = self.membership.run(self.answered.clone());
        let both = try_join(serving.map(Ok), belonging).await;
        both.map(|_| ()).map_err(described)
    }
}

use std::sync::Arc;

use cluster_proto::NodeId;
use cluster_scheduler::{Membership, Scheduler, SchedulerOptions};
use futures::FutureExt;
use futures::future::{try_join, try_join_all};
use public_api::NodeRole;
use spice_runtime::{SqlEngine, publish};
use spicepod::App;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::membership::{self, Admission, StateSettings};
use super::{Internal, Node, described, public, take};
use crate::info::OwnInfo;
use crate::listeners::announce;
use crate::manifest::Manifest;
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
    let opening = node.opening();
    let runtime = opening.open(&app).await.map_err(described)?;
    let (writer, runtime) = publish(Arc::new(runtime));
    let app = Arc::new(app);
    let membership = membership::open(&node, &internal.node_id, state).await?;
    let node_id = internal.node_id.clone();
    let scheduler = Scheduler::start(SchedulerOptions {
        node_id: internal.node_id,
        app: app.clone(),
        secrets: node.secrets.clone(),
        schedulers: membership.list(),
        transport: internal.transport,
        decisions: node.observer.clone(),
        events: node.observer.clone(),
    })
    .await
    .map_err(described)?;
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
    node.follow((&app, manifest), writer, Some(scheduler.clone()))?;
    let shutdown = node.shutdown.clone();
    // Queries that are being answered need the executors, so the internal port goes last.
    let answered = CancellationToken::new();
    let answering = async {
        let served = try_join_all(servings).await;
        shutdown.cancel();
        answered.cancel();
        served
    };
    let coordinating = Coordination {
        node_id,
        scheduler,
        membership,
        listener,
        readiness,
    }
    .run(shutdown.clone(), answered.clone())
    .inspect(|_| shutdown.cancel());
    let (served, coordinated) = tokio::join!(answering, coordinating);
    served.and(coordinated)
}

/// What serves the internal port, once its id is this process's own.
struct Coordination {
    node_id: NodeId,
    scheduler: Scheduler,
    membership: Membership,
    listener: TcpListener,
    readiness: Arc<NodeReadiness>,
}

impl Coordination {
    /// Takes the id, and serves until `answered`; leaves the other schedulers at `shutdown`. Health,
    /// and SQL without tables, is answered while the id is waited for; executors are not let in.
    async fn run(
        self,
        shutdown: CancellationToken,
        answered: CancellationToken,
    ) -> anyhow::Result<()> {
        let admission = membership::join(&self.membership, &shutdown).await;
        if admission.map_err(described)? == Admission::Stopped {
            self.membership.leave().await;
            return Ok(());
        }
        announce("internal", &self.listener);
        self.readiness.set_started();
        tracing::info!(role = "scheduler", node = %self.node_id, "ready");
        let serving = self.scheduler.serve(self.listener, answered).map(Ok);
        let belonging = self.membership.run(shutdown);
        try_join(serving, belonging).await.map_err(described)?;
        Ok(())
    }
}

use std::sync::Arc;

use cluster_proto::NodeId;
use cluster_scheduler::{Membership, Scheduler, SchedulerOptions};
use futures::FutureExt;
use futures::future::{try_join, try_join_all};
use public_api::NodeRole;
use spice_runtime::{NoSecrets, Runtime, SqlEngine};
use spicepod::App;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::membership::{self, Admission, StateSettings};
use super::{Internal, Node, described, public, take};
use crate::info::OwnInfo;
use crate::listeners::announce;
use crate::readiness::NodeReadiness;

/// Coordinates executors and answers SQL with them.
pub(super) async fn serve(
    mut node: Node,
    app: App,
    internal: Internal,
    state: StateSettings,
) -> anyhow::Result<()> {
    let info = node.info(NodeRole::Scheduler, Some(&internal));
    let listener = take(&mut node.listeners.internal)?;
    let runtime = Runtime::open(&app, node.runtime.clone(), Arc::new(NoSecrets))
        .await
        .map_err(described)?;
    let runtime = Arc::new(runtime);
    let node_id = internal.node_id.clone();
    let membership = membership::open(&node, &node_id, state).await?;
    let scheduler = Scheduler::start(SchedulerOptions {
        node_id: internal.node_id,
        app: Arc::new(app),
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
    let mut servings = public::serve(&mut node, Some(sql), readiness.clone(), info);
    let coordination = Coordination {
        node_id,
        membership,
        scheduler,
        listener,
        readiness,
    };
    servings.push(coordination.run(node.shutdown.clone()).boxed());
    let served = try_join_all(servings).await;
    node.shutdown.cancel();
    served.map(|_| ())
}

/// What a scheduler does for others, for as long as it is a member of its cluster.
struct Coordination {
    node_id: NodeId,
    membership: Membership,
    scheduler: Scheduler,
    listener: TcpListener,
    readiness: Arc<NodeReadiness>,
}

impl Coordination {
    /// Health is answered, and SQL without tables, while the id is waited for; executors are not
    /// let in before.
    async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let admission = membership::join(&self.membership, &shutdown).await;
        if admission.map_err(described)? == Admission::Stopped {
            self.membership.leave().await;
            return Ok(());
        }
        announce("internal", &self.listener);
        self.readiness.set_started();
        tracing::info!(role = "scheduler", node = %self.node_id, "ready");
        let serving = self.scheduler.serve(self.listener, shutdown.clone());
        let belonging = self.membership.run(shutdown.clone());
        let worked = try_join(serving.map(Ok), belonging).await;
        worked.map(|_| ()).map_err(described)
    }
}

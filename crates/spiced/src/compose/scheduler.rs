use std::sync::Arc;

use cluster_scheduler::{Scheduler, SchedulerOptions};
use futures::FutureExt;
use futures::future::try_join_all;
use public_api::NodeRole;
use spice_runtime::{Runtime, SqlEngine};
use spicepod::App;

use super::{Internal, Node, described, public, take};
use crate::info::OwnInfo;
use crate::listeners::announce;
use crate::readiness::NodeReadiness;

/// Coordinates executors and answers SQL with them.
pub(super) async fn serve(mut node: Node, app: App, internal: Internal) -> anyhow::Result<()> {
    let info = node.info(NodeRole::Scheduler, Some(&internal));
    let listener = take(&mut node.listeners.internal)?;
    let secrets = Arc::new(node.secrets.stores_of(&app));
    let runtime = Runtime::open(&app, node.runtime.clone(), secrets)
        .await
        .map_err(described)?;
    let runtime = Arc::new(runtime);
    let node_id = internal.node_id.clone();
    let scheduler = Scheduler::start(SchedulerOptions {
        node_id: internal.node_id,
        app: Arc::new(app),
        secrets: node.secrets.clone(),
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
    ));
    let mut servings = public::serve(&mut node, Some(sql), readiness.clone(), info);
    announce("internal", &listener);
    let shutdown = node.shutdown.clone();
    let serving = async move {
        scheduler.serve(listener, shutdown).await;
        Ok(())
    };
    servings.push(serving.boxed());
    readiness.set_started();
    tracing::info!(role = "scheduler", node = %node_id, "ready");
    let served = try_join_all(servings).await;
    node.shutdown.cancel();
    served.map(|_| ())
}

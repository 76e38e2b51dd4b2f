use std::sync::Arc;

use cluster_scheduler::{Scheduler, SchedulerOptions};
use cluster_tls::Role;
use futures::FutureExt;
use futures::future::try_join_all;
use public_api::NodeRole;
use spice_runtime::{Runtime, RuntimeOptions, SqlEngine, TaskHistory};
use spicepod::App;

use super::{Internal, Node, described, public, take};
use crate::info::OwnInfo;
use crate::listeners::announce;
use crate::own_metrics::OwnMetrics;
use crate::readiness::NodeReadiness;

/// Coordinates executors and answers SQL with them.
pub(super) async fn serve(mut node: Node, app: App, internal: Internal) -> anyhow::Result<()> {
    let info = node.info(NodeRole::Scheduler, Some(&internal));
    let listener = take(&mut node.listeners.internal)?;
    let node_id = internal.node_id.clone();
    let history = TaskHistory::new(node_id.to_string(), Role::Scheduler.as_str());
    let options = RuntimeOptions {
        history: Some(history.clone()),
        ..node.runtime.clone()
    };
    let runtime = Runtime::open(&app, options).await.map_err(described)?;
    let runtime = Arc::new(runtime);
    let scheduler = Scheduler::start(SchedulerOptions {
        node_id: internal.node_id,
        app: Arc::new(app),
        transport: internal.transport,
        decisions: node.observer.clone(),
        events: node.observer.clone(),
        history,
        metrics: OwnMetrics::new(node.registry.clone(), &node_id, Role::Scheduler),
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

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use cluster_executor::{BootError, Executor, ExecutorOptions, SchedulerLinks};
use cluster_proto::NodeId;
use cluster_tls::{NodeAddress, Role};
use futures::FutureExt;
use futures::future::try_join_all;
use public_api::NodeRole;

use super::{Internal, Node, described, public, take};
use crate::listeners::announce;
use crate::own_metrics::OwnMetrics;
use crate::readiness::NodeReadiness;
use crate::work_dir::WorkDir;

/// What only an executor is told.
pub(super) struct ExecutorPlan {
    pub(super) schedulers: Vec<NodeAddress>,
    pub(super) task_slots: NonZeroUsize,
    pub(super) data_dir: PathBuf,
}

/// Runs the tasks of the schedulers in `plan`.
pub(super) async fn serve(
    mut node: Node,
    plan: ExecutorPlan,
    internal: Internal,
) -> anyhow::Result<()> {
    let info = Arc::new(node.info(NodeRole::Executor, Some(&internal)));
    let listener = take(&mut node.listeners.internal)?;
    let work_dir = WorkDir::create(&plan.data_dir)?;
    let readiness = Arc::new(NodeReadiness::new(node.shutdown.clone(), None, None));
    let links = SchedulerLinks::new(&plan.schedulers, node.observer.clone());
    // Set once: nobody else does.
    let _ = info.links.set(links.clone());
    readiness.set_links(links.clone());
    // Health is answered from the first moment on; readiness says what is still missing.
    let mut servings = public::serve(&mut node, None, readiness.clone(), info.clone());
    let node_id = internal.node_id.clone();
    let slots = plan.task_slots.get();
    node.metrics
        .task_slots
        .set(i64::try_from(slots).unwrap_or(i64::MAX));
    let metrics = OwnMetrics::new(node.registry.clone(), &node_id, Role::Executor);
    let options = ExecutorOptions {
        node_id: internal.node_id,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        links: links.clone(),
        transport: internal.transport,
        task_slots: slots,
        work_dir: work_dir.path().to_owned(),
        runtime: node.runtime.clone(),
        decisions: node.observer.clone(),
        events: node.observer.clone(),
        metrics,
    };
    let (shutdown, tables) = (node.shutdown.clone(), node.metrics.tables.clone());
    let working = async move {
        let executor = match Executor::boot(options, &shutdown).await {
            Ok(executor) => executor,
            Err(BootError::Stopped) => return Ok(()),
            Err(error) => return Err(described(error)),
        };
        // Opened once: nobody else sets it.
        let _ = info.tables.set(executor.runtime());
        tables.watch(executor.runtime());
        announce("internal", &listener);
        readiness.set_started();
        let told = tell_when_ready(&links, executor.dataset_count(), &node_id);
        tokio::select! {
            () = executor.serve(listener, shutdown) => {}
            () = told => {}
        }
        Ok(())
    };
    servings.push(working.boxed());
    let served = try_join_all(servings).await;
    node.shutdown.cancel();
    served.map(|_| ())
}

/// Says that the node is ready once it works for a scheduler, and then nothing any more.
async fn tell_when_ready(links: &SchedulerLinks, datasets: usize, node_id: &NodeId) {
    links.any_connected().await;
    tracing::info!(role = "executor", node = %node_id, datasets, "ready");
    std::future::pending::<()>().await;
}

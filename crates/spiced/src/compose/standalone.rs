use std::sync::Arc;

use futures::future::try_join_all;
use public_api::NodeRole;
use spice_runtime::{SqlEngine, TaskHistory};
use spicepod::{App, SchedulerSettings};

use super::{Node, public};
use crate::info::OwnInfo;
use crate::manifest::Manifest;
use crate::readiness::NodeReadiness;

/// Answers SQL over `app` in this process alone.
pub(super) async fn serve(mut node: Node, app: App, manifest: Manifest) -> anyhow::Result<()> {
    if *app.scheduler() != SchedulerSettings::default() {
        tracing::warn!("runtime.scheduler has no effect on a node that is in no cluster");
    }
    node.runtime.history = Some(TaskHistory::new("standalone", "standalone"));
    let (writer, runtime) = node.open(&app).await?;
    node.metrics.tables.watch(runtime.clone());
    let info = Arc::new(OwnInfo {
        tables: runtime.clone().into(),
        ..node.info(NodeRole::Standalone, None)
    });
    let readiness = Arc::new(NodeReadiness::new(node.shutdown.clone(), None, None));
    let sql = SqlEngine::local(runtime);
    let servings = public::serve(&mut node, Some(sql), readiness.clone(), info);
    node.follow((&app, manifest), writer, None)?;
    readiness.set_started();
    tracing::info!(role = "standalone", "ready");
    let served = try_join_all(servings).await;
    node.shutdown.cancel();
    served.map(|_| ())
}

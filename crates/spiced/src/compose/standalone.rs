use std::sync::Arc;

use futures::future::try_join_all;
use spice_runtime::{Runtime, SqlEngine};
use spicepod::App;

use super::{Node, described, public};
use crate::readiness::NodeReadiness;

/// Answers SQL over `app` in this process alone.
pub(super) async fn serve(mut node: Node, app: App) -> anyhow::Result<()> {
    let runtime = Runtime::open(&app, node.runtime.clone())
        .await
        .map_err(described)?;
    let readiness = Arc::new(NodeReadiness::new(node.shutdown.clone(), None));
    let sql = SqlEngine::local(Arc::new(runtime));
    let servings = public::serve(&mut node, Some(sql), readiness.clone());
    readiness.set_started();
    tracing::info!(role = "standalone", "ready");
    let served = try_join_all(servings).await;
    node.shutdown.cancel();
    served.map(|_| ())
}

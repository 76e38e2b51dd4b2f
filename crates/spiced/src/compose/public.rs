//! The public listeners of a node.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use public_api::{HttpState, MetricsState, serve_flight, serve_http, serve_metrics};
use spice_runtime::SqlEngine;

use super::{Node, described};
use crate::info::OwnInfo;
use crate::listeners::announce;
use crate::own_metrics::own_cluster;
use crate::readiness::NodeReadiness;

/// A listener that is served until the node stops.
pub(super) type Serving = BoxFuture<'static, anyhow::Result<()>>;

/// Serves every public listener that was bound. SQL is answered where `sql` is there.
pub(super) fn serve(
    node: &mut Node,
    sql: Option<SqlEngine>,
    readiness: Arc<NodeReadiness>,
    info: Arc<OwnInfo>,
) -> Vec<Serving> {
    let mut servings: Vec<Serving> = vec![];
    let shutdown = node.shutdown.clone();
    let cluster = own_cluster(&info);
    if let Some(listener) = node.listeners.http.take() {
        announce("http", &listener);
        let state = HttpState {
            sql: sql.clone(),
            readiness,
            info,
        };
        let served = serve_http(listener, state, shutdown.clone());
        servings.push(served.map(|served| served.map_err(described)).boxed());
    }
    if let (Some(listener), Some(sql)) = (node.listeners.flight.take(), sql) {
        announce("flight", &listener);
        let served = serve_flight(listener, sql, shutdown.clone());
        servings.push(served.map(|served| served.map_err(described)).boxed());
    }
    if let Some(listener) = node.listeners.metrics.take() {
        announce("metrics", &listener);
        let state = MetricsState {
            registry: node.registry.clone(),
            cluster,
        };
        let served = serve_metrics(listener, state, shutdown);
        servings.push(served.map(|served| served.map_err(described)).boxed());
    }
    servings
}

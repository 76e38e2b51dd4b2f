//! The metrics listener: one route, no principal, nothing else.

mod cluster;
mod family;
mod merge;
mod names;
mod otlp;
mod text;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::cluster::ClusterPage;
use crate::connections;
use crate::error::ServeError;

pub use self::cluster::{ClusterMetrics, NodeSample};
pub use self::otlp::{ResourceAttributes, export_metrics};

/// What the metrics listener shows.
#[derive(Clone)]
pub struct MetricsState {
    /// This node's metrics.
    pub registry: Arc<Registry>,
    /// Those of the other nodes of its cluster; `None` on a node that keeps no list of them.
    pub cluster: Option<OwnCluster>,
}

/// The cluster of a node that knows its members.
#[derive(Clone)]
pub struct OwnCluster {
    /// The id of this node, as its own series are labelled.
    pub node_id: String,
    /// What it does.
    pub node_role: &'static str,
    /// Asks the others.
    pub members: Arc<dyn ClusterMetrics>,
}

/// Serve `GET /metrics` in the OpenMetrics text format until `shutdown`: this node's, and with
/// `?scope=cluster` those of its whole cluster.
///
/// # Errors
///
/// [`ServeError::Accept`] where the listening socket breaks.
pub async fn serve_metrics(
    listener: TcpListener,
    state: MetricsState,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let page = state.cluster.map(|cluster| {
        let registry = Arc::clone(&state.registry);
        Arc::new(ClusterPage::new(registry, cluster))
    });
    let router = Router::new()
        .route("/metrics", get(expose))
        .with_state((state.registry, page));
    connections::serve(listener, router, shutdown).await
}

#[derive(Deserialize)]
struct Parameters {
    scope: Option<String>,
}

type Shown = (Arc<Registry>, Option<Arc<ClusterPage>>);

async fn expose(
    State((registry, page)): State<Shown>,
    Query(Parameters { scope }): Query<Parameters>,
) -> Response {
    match (scope.as_deref(), page) {
        (None | Some("node"), _) => shown(own(&registry)),
        (Some("cluster"), Some(page)) => shown(page.text().await),
        (Some("cluster"), None) => refused(StatusCode::NOT_FOUND, NO_CLUSTER),
        (Some(_), _) => refused(StatusCode::BAD_REQUEST, NO_SUCH_SCOPE),
    }
}

fn own(registry: &Registry) -> Option<bytes::Bytes> {
    let mut text = String::new();
    encode(&mut text, registry).ok()?;
    Some(text.into())
}

fn shown(text: Option<bytes::Bytes>) -> Response {
    match text {
        Some(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        None => {
            tracing::error!("metrics could not be encoded");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn refused(status: StatusCode, text: &'static str) -> Response {
    (status, text).into_response()
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const NO_SUCH_SCOPE: &str = "there is no such scope; ask for /metrics or /metrics?scope=node (this \
    node), or for /metrics?scope=cluster (every node)\n";

const NO_CLUSTER: &str = "this node keeps no list of members; ask a scheduler of its cluster for /metrics?scope=cluster\n";

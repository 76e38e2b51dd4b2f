//! The HTTP interface.

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Router, middleware};
use spice_runtime::{ClientProtocol, SqlEngine};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::connections;
use crate::error::ServeError;

mod accept;
mod body;
mod datasets;
mod encode;
mod error;
mod node_info;
mod nodes;
mod ready;
mod request_id;
mod sql;
mod status;

pub use self::node_info::{
    AppDescription, AppFault, BoundListener, ExecutorFault, MAX_FAULTS, MAX_MEMBERS,
    MAX_UNAVAILABLE, Member, MemberCertificate, MemberList, NodeDescription, NodeInfo, NodeRole,
    OwnCertificate, RootCertificate, SchedulerConnection, Security, Unavailable,
};
pub use self::ready::{Readiness, ReadyState};

/// What the HTTP routes work with.
#[derive(Clone)]
pub struct HttpState {
    /// Where queries enter; `None` on a node that answers none, such as an executor.
    pub sql: Option<SqlEngine>,
    /// Whether the node can serve.
    pub readiness: Arc<dyn Readiness>,
    /// What there is to know about the node.
    pub info: Arc<dyn NodeInfo>,
}

/// Serve the HTTP interface until `shutdown`.
///
/// # Errors
///
/// [`ServeError::Accept`] where the listening socket breaks.
pub async fn serve_http(
    listener: TcpListener,
    state: HttpState,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let sql = state.sql.map(|sql| sql.over(ClientProtocol::Http));
    connections::serve(listener, router(HttpState { sql, ..state }), shutdown).await
}

fn router(state: HttpState) -> Router {
    Router::new()
        .route("/health", get(health))
        .route("/v1/ready", get(ready::ready))
        .route("/v1/sql", post(sql::sql))
        .route("/v1/status", get(status::status))
        .route("/v1/nodes", get(nodes::nodes))
        .route("/v1/datasets", get(datasets::datasets))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        .layer(middleware::from_fn(request_id::attach))
        .with_state(state)
}

/// Whether the process answers at all; it says so while draining, too.
async fn health() -> &'static str {
    "ok"
}

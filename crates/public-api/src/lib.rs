//! The public listeners of a node: Flight SQL, HTTP and metrics.
//!
//! Each `serve_*` function takes a bound listener and a token that ends it, serves until then,
//! and gives what is under way a bounded grace. Queries enter through
//! [`SqlEngine`](spice_runtime::SqlEngine), so no listener knows whether a node runs them itself.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use public_api::{HttpState, NodeInfo, ReadyState, Readiness, serve_http};
//! # use spice_runtime::{NoSecrets, Runtime, RuntimeOptions, SqlEngine};
//! struct AlwaysReady;
//!
//! impl Readiness for AlwaysReady {
//!     fn check(&self) -> ReadyState {
//!         ReadyState::Ready
//!     }
//!
//!     fn executors(&self) -> Option<usize> {
//!         None
//!     }
//! }
//!
//! # async fn run(info: Arc<dyn NodeInfo>) -> Result<(), Box<dyn std::error::Error>> {
//! let app = spicepod::App::empty();
//! let runtime = Runtime::open(&app, RuntimeOptions::default(), Arc::new(NoSecrets)).await?;
//! let state = HttpState {
//!     sql: Some(SqlEngine::local(Arc::new(runtime))),
//!     readiness: Arc::new(AlwaysReady),
//!     info,
//! };
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8090").await?;
//! let shutdown = tokio_util::sync::CancellationToken::new();
//! serve_http(listener, state, shutdown).await?;
//! # Ok(())
//! # }
//! ```

mod connections;
mod error;
mod flight;
mod http;
mod metrics;

pub use crate::connections::SHUTDOWN_GRACE;
pub use crate::error::ServeError;
pub use crate::flight::serve_flight;
pub use crate::http::{
    AppDescription, AppFault, BoundListener, ExecutorFault, HttpState, MAX_FAULTS, MAX_MEMBERS,
    MAX_UNAVAILABLE, Member, MemberCertificate, MemberList, NodeDescription, NodeInfo, NodeRole,
    OwnCertificate, Readiness, ReadyState, RootCertificate, SchedulerConnection, Security,
    Unavailable, serve_http,
};
pub use crate::metrics::{
    ClusterMetrics, MetricsState, NodeSample, OwnCluster, ResourceAttributes, export_metrics,
    serve_metrics,
};

/// How long the text of one statement may be, in bytes. Statements that programs write reach
/// some hundred kilobytes; data does not belong into them.
pub const MAX_SQL_BYTES: usize = 1024 * 1024;

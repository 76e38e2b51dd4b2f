//! One node's SQL: a DataFusion session with the datasets and views of a spicepod.
//!
//! [`Runtime::open`] turns an [`App`](spicepod::App) into tables, or says everything that is
//! wrong with its data at once. [`SqlEngine`] turns SQL text into rows and decides where a query
//! runs: what reads no dataset runs here, the rest goes to the [`Distributor`], if there is one.
//! SQL is read-only, and what was asked is a table itself: see [`TaskHistory`].
//!
//! ```
//! # use std::sync::Arc;
//! # use futures::TryStreamExt as _;
//! # use spice_runtime::{NoSecrets, QueryError, Runtime, RuntimeOptions, SqlEngine};
//! # let tokio = tokio::runtime::Builder::new_multi_thread().build()?;
//! # tokio.block_on(async {
//! let app = spicepod::App::empty();
//! let runtime = Runtime::open(&app, RuntimeOptions::default(), Arc::new(NoSecrets)).await?;
//! let engine = SqlEngine::local(Arc::new(runtime));
//! let query = engine.plan("SELECT 40 + 2 AS answer").await?;
//! assert_eq!(query.schema().field(0).name(), "answer");
//! let batches: Vec<_> = engine.execute(query).await?.try_collect().await.map_err(QueryError::from)?;
//! assert_eq!(batches[0].num_rows(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod causes;
mod complexity;
mod contents;
mod current;
mod engine;
mod history;
mod ipc;
mod open_error;
mod opened;
mod opening;
mod origin;
mod placement;
mod postgres;
mod probe;
mod query_error;
mod remote;
mod reopening;
mod runtime;
mod s3;
mod said;
mod secrets;
mod session;
mod statement;
mod survey;
mod table;
mod unlike;
mod views;

pub use crate::contents::UnavailableTable;
pub use crate::current::{CurrentRuntime, RuntimeWriter, publish};
pub use crate::engine::{Distributor, PlannedQuery, SqlEngine};
pub use crate::history::{
    ClientProtocol, HistoryPeers, PeerHistory, QuerySpan, SpanContext, TaskHistory, TaskRecord,
};
pub use crate::ipc::{IpcError, IpcMessage, IpcMessages, IpcPiece, ensure_bounded};
pub use crate::open_error::{OpenError, OpenFault};
pub use crate::origin::{app_digest, with_app_digest};
pub use crate::postgres::PostgresError;
pub use crate::query_error::QueryError;
pub use crate::remote::{SCAN_MARK, scan_request};
pub use crate::runtime::{OwnTable, Runtime, TableEntry, TableKind};
pub use crate::s3::ObjectError;
pub use crate::secrets::{
    KubernetesApi, LocalSecrets, NoSecrets, SecretError, SecretSource, SecretStores, StoreError,
    expand,
};
pub use crate::session::{CATALOG, RuntimeOptions};
pub use crate::survey::TableState;

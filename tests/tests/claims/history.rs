//! What ran and how it ended, as a table: on one scheduler and over all of them.

mod recorded;
mod remote;
mod shared;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, Node, http_post};
use serde_json::Value;
use tokio::time::timeout;

use crate::fixture::PATIENCE;

/// The rows of a query, as JSON objects.
async fn rows(scheduler: &Node, sql: &str) -> Result<Vec<Value>> {
    let http = scheduler.address(Listener::Http)?;
    let reply = http_post(http, "/v1/sql", sql).await?;
    ensure!(
        reply.status == 200,
        "{sql}: {} {}",
        reply.status,
        reply.body
    );
    let rows: Value = serde_json::from_str(&reply.body)?;
    rows.as_array().cloned().context("no rows")
}

/// Asks until there are `wanted` rows: a record is written when the last row was read, and that
/// may be a moment after the client has it.
async fn rows_until(scheduler: &Node, sql: &str, wanted: usize) -> Result<Vec<Value>> {
    let asking = async {
        loop {
            let found = rows(scheduler, sql).await?;
            if found.len() >= wanted {
                return anyhow::Ok(found);
            }
        }
    };
    let found = timeout(PATIENCE, asking).await;
    found.with_context(|| format!("there are never {wanted} rows of {sql}"))?
}

/// A label of a row.
fn label(row: &Value, name: &str) -> Option<String> {
    let labels: Value = serde_json::from_str(row["labels"].as_str()?).ok()?;
    labels[name].as_str().map(ToOwned::to_owned)
}

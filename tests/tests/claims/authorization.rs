//! Who may call what, through real sockets to real nodes: every method with every role.

pub(crate) mod calls;
mod denials;
mod forgery;
mod gate;
mod insecure;
mod matrix;
mod messages;
mod polls;
mod ports;
mod rows;
mod seats;
mod slow;
mod streams;
mod tickets;

use std::sync::Arc;

use anyhow::{Result, ensure};
use arrow::array::RecordBatch;
use cluster_test::{Leaf, Listener, LogLine, Node, SqlClient};
use cluster_tls::Role;

use crate::fixture::{Fixture, PATIENCE};
use calls::Caller;

/// A scheduler with one executor, and certificates for whoever calls them.
struct Scene {
    fixture: Fixture,
    scheduler: Node,
    executor: Node,
}

impl Scene {
    async fn start() -> Result<Self> {
        let fixture = Fixture::new()?;
        let scheduler = fixture.scheduler().await?;
        let executor = fixture.executor(&scheduler).await?;
        let connected = |line: &LogLine| line.message() == "executor connected";
        scheduler.log().wait_for(connected, PATIENCE).await?;
        Ok(Self {
            fixture,
            scheduler,
            executor,
        })
    }

    /// A caller of the scheduler's internal port.
    fn to_scheduler(&self, leaf: &Leaf) -> Result<Caller> {
        let server = self.scheduler.address(Listener::Internal)?;
        Caller::new(self.fixture.pki(), leaf, server, Role::Scheduler)
    }

    /// A caller of the executor's internal port.
    fn to_executor(&self, leaf: &Leaf) -> Result<Caller> {
        let server = self.executor.address(Listener::Internal)?;
        Caller::new(self.fixture.pki(), leaf, server, Role::Executor)
    }

    /// Both nodes go on working, and nothing of what they were sent made them panic.
    async fn still_answers(&self) -> Result<()> {
        let flight = self.scheduler.address(Listener::Flight)?;
        let sql = "SELECT count(*) FROM numbers";
        let rows = SqlClient::connect(flight).await?.query(sql).await?;
        ensure!(rows.iter().map(RecordBatch::num_rows).sum::<usize>() == 1);
        for node in [&self.scheduler, &self.executor] {
            let lines = node.log().lines();
            let panicked = lines.iter().find(|line| line.raw().contains("panicked"));
            ensure!(panicked.is_none(), "{}: {panicked:?}", node.name());
        }
        Ok(())
    }

    /// The id of the running executor, which is where its internal port is.
    fn executor_id(&self) -> Result<String> {
        Ok(self.executor.address(Listener::Internal)?.to_string())
    }
}

/// A certificate of `role` that names 127.0.0.1 among others.
fn holder_of(role: Role) -> Leaf {
    let leaf = Leaf::new("caller");
    if role == Role::Unspecified {
        leaf
    } else {
        leaf.with_role(role)
    }
}

/// Waits for the event about a denied call.
async fn call_denied(node: &Node, method: &str, role: Role, reason: &str) -> Result<Arc<LogLine>> {
    let wanted = |line: &LogLine| {
        line.message() == "call denied"
            && line.field("method") == Some(method)
            && line.field("role") == Some(role.as_str())
            && line.field("reason") == Some(reason)
    };
    node.log().wait_for(wanted, PATIENCE).await
}

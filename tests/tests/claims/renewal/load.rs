//! Queries that go on while something else happens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Result, ensure};
use arrow::array::RecordBatch;
use cluster_test::{Listener, LogLine, SqlClient, TestCluster};
use tokio::task::JoinHandle;

use crate::fixture::PATIENCE;

/// Clients that ask the same distributed query again and again.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<JoinHandle<Result<usize>>>,
}

impl Load {
    /// Starts clients; each answer must have `rows` rows.
    pub(super) fn start(cluster: &TestCluster, sql: &'static str, rows: usize) -> Result<Self> {
        let server = cluster.node("scheduler1")?.address(Listener::Flight)?;
        let stop = Arc::new(AtomicBool::new(false));
        let clients = (0..CLIENTS).map(|_| {
            let stop = Arc::clone(&stop);
            tokio::spawn(async move {
                let mut client = SqlClient::connect(server).await?;
                let mut asked = 0;
                while !stop.load(Ordering::Relaxed) {
                    let batches = client.query(sql).await?;
                    let found: usize = batches.iter().map(RecordBatch::num_rows).sum();
                    ensure!(found == rows, "{found} rows instead of {rows}");
                    asked += 1;
                }
                Ok(asked)
            })
        });
        Ok(Self {
            clients: clients.collect(),
            stop,
        })
    }

    /// Ends the load and counts the queries. The first one that failed is the error.
    pub(super) async fn finish(self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let mut asked = 0;
        for client in self.clients {
            asked += client.await??;
        }
        Ok(asked)
    }
}

const CLIENTS: usize = 4;

/// Waits until every node has renewed its credentials as often.
pub(super) async fn all_renewed(cluster: &TestCluster, generations: u64) -> Result<()> {
    let generation = generations + 1;
    for name in NODES {
        let renewed = |line: &LogLine| {
            line.message() == "credentials renewed"
                && line.value("generation").is_some_and(|it| *it == generation)
        };
        cluster.wait_for_event(name, renewed, PATIENCE).await?;
    }
    Ok(())
}

/// The nodes of the cluster, the scheduler first.
pub(super) const NODES: [&str; 3] = ["scheduler1", "executor1", "executor2"];

/// Joins and groups, so that rows travel between executors.
pub(super) const SHUFFLED: &str = "SELECT n_name, count(*) FROM customer JOIN nation ON c_nationkey = n_nationkey GROUP BY n_name";

/// How many rows that has.
pub(super) const NATIONS: usize = 25;

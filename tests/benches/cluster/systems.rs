use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster_test::tpch::Table;
use cluster_test::{ClusterPlan, Listener, NodePlan, Security, SqlClient, TestCluster, binary};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};

use crate::figures::Figures;

/// The systems that are compared, all of them running.
pub(crate) struct Systems {
    pub(crate) reference: SessionContext,
    pub(crate) mutual: Cluster,
    pub(crate) insecure: Cluster,
}

/// A running cluster and a client of its scheduler.
pub(crate) struct Cluster {
    pub(crate) client: SqlClient,
    /// Kept for its processes, which end with it.
    _nodes: TestCluster,
}

pub(crate) async fn start(tables: &Path, manifest: &Path) -> Result<Systems> {
    println!("\nstart to ready, per node (process start included)");
    Ok(Systems {
        reference: reference(tables).await?,
        mutual: cluster(manifest, Security::Mutual).await?,
        insecure: cluster(manifest, Security::Plaintext).await?,
    })
}

/// DataFusion as its users have it, with as many partitions as the clusters have task slots.
async fn reference(tables: &Path) -> Result<SessionContext> {
    let config = SessionConfig::new()
        .with_target_partitions(EXECUTORS)
        .with_collect_statistics(true);
    let session = SessionContext::new_with_config(config);
    for table in Table::ALL {
        let path = tables.join(table.name());
        let path = path
            .to_str()
            .context("the temporary directory is no UTF-8")?;
        session
            .register_parquet(
                table.name(),
                format!("{path}/"),
                ParquetReadOptions::default(),
            )
            .await?;
    }
    Ok(session)
}

async fn cluster(manifest: &Path, security: Security) -> Result<Cluster> {
    let label = format!("{security:?}");
    let plan = ClusterPlan::new(binary("spiced")?, manifest.to_owned())
        .with_security(security)
        .with_executors(vec![]);
    let started = Instant::now();
    let mut nodes = TestCluster::start(plan).await?;
    show(&label, "scheduler", &[started.elapsed()]);
    let mut executors = vec![];
    for number in 1..=EXECUTORS {
        let plan = NodePlan::new(&format!("executor{number}")).with_task_slots(1);
        let started = Instant::now();
        nodes.add_executor(&plan).await?;
        executors.push(started.elapsed());
    }
    show(&label, "executor", &executors);
    let flight = nodes.node("scheduler1")?.address(Listener::Flight)?;
    Ok(Cluster {
        client: SqlClient::connect(flight).await?,
        _nodes: nodes,
    })
}

fn show(cluster: &str, node: &str, durations: &[Duration]) {
    let figures = Figures::new(durations);
    println!(
        "  {cluster:<9} {node:<10} {:>7.0} ms .. {:>5.0} ms",
        figures.minimum(),
        figures.maximum()
    );
}

const EXECUTORS: usize = 2;

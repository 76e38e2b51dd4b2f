//! A new authority for a running cluster, with overlap and under load.

use std::fs;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use cluster_test::{Leaf, Listener, TestCluster, TestPki};
use cluster_tls::Role;

use super::load::{Load, NATIONS, NODES, SHUFFLED, all_renewed};
use crate::dataset::TpchData;
use crate::refusals::stranger::{Answer, Stranger};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_authority_is_rolled_out_under_load_without_a_failed_query() -> Result<()> {
    let data = TpchData::shared().await?;
    let cluster = TestCluster::start(data.cluster()?).await?;
    let load = Load::start(&cluster, SHUFFLED, NATIONS)?;
    let (old, new) = (cluster.pki(), TestPki::new()?);
    let address = cluster.node("scheduler1")?.address(Listener::Internal)?;
    let of_old = old.issue(&member())?;

    // Both roots first, everywhere: whoever gets a new certificate is then believed by all.
    fs::write(old.ca_path(), format!("{}{}", old.ca_pem(), new.ca_pem()))?;
    all_renewed(&cluster, 1).await?;
    for name in NODES {
        let role = if name == "scheduler1" {
            Role::Scheduler
        } else {
            Role::Executor
        };
        let leaf = Leaf::new(name).with_role(role);
        old.write_issued(name, &new.issue(&leaf)?)?;
    }
    all_renewed(&cluster, 2).await?;
    fs::write(old.ca_path(), new.ca_pem())?;
    all_renewed(&cluster, 3).await?;

    // Shuffles dial anew for each generation: they go on between executors of the new authority.
    let rows: usize = cluster
        .sql(SHUFFLED)
        .await?
        .iter()
        .map(RecordBatch::num_rows)
        .sum();
    ensure!(rows == NATIONS, "{rows} rows");
    let asked = load.finish().await.context("a query failed meanwhile")?;
    ensure!(asked > 0, "nobody asked anything");

    let loopback = [127, 0, 0, 1].into();
    let answer = Stranger::with(&of_old).knock(loopback, address).await?;
    ensure!(
        matches!(answer, Answer::Closed(_)),
        "the old root is still believed"
    );
    let answer = Stranger::with(&new.issue(&member())?)
        .knock(loopback, address)
        .await?;
    ensure!(answer == Answer::Served, "{answer:?}");
    Ok(())
}

fn member() -> Leaf {
    Leaf::new("executor3").with_role(Role::Executor)
}

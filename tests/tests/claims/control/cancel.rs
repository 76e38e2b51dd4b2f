//! Tasks of queries that nobody waits for any more.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster_test::{ClusterPlan, Listener, NodePlan, SqlClient, TestCluster, binary};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::definition::until;
use crate::fixture::Fixture;
use crate::heavy::{self, Heavy};
use crate::rows::Rows;

const EXECUTORS: [&str; 2] = ["executor1", "executor2"];

/// A cluster over the heavy table. The fixture holds its data.
async fn cluster() -> Result<(Fixture, TestCluster, Heavy)> {
    let fixture = Fixture::new()?;
    let load = Heavy::write(fixture.directory())?;
    let manifest = crate::definition::manifest(&load.datasets(), "");
    fs::write(fixture.manifest(), manifest)?;
    let executors = EXECUTORS.map(|name| NodePlan::new(name).with_task_slots(2));
    let plan = ClusterPlan::new(binary("spiced")?, fixture.manifest());
    let cluster = TestCluster::start(plan.with_executors(executors.to_vec())).await?;
    Ok((fixture, cluster, load))
}

/// Every task has stopped, the commands were acknowledged, and every slot takes tasks again.
async fn all_is_free(cluster: &TestCluster) -> Result<()> {
    let left = Instant::now();
    heavy::idle(cluster, &EXECUTORS).await?;
    // A task is more than what is counted as one: all that it began has to end.
    heavy::at_rest(cluster, &EXECUTORS).await?;
    let stopped = left.elapsed();
    ensure!(stopped < SOON, "they ran on for {stopped:?}");
    let acknowledged = || async {
        let metrics = cluster.metrics("scheduler1").await?;
        let name = "scheduler_control_commands_total";
        let cancelled = metrics.sum_where(name, "cancel_tasks\",outcome=\"acknowledged\"");
        Ok(cancelled.unwrap_or_default())
    };
    until(acknowledged, |commands| *commands >= 1.0).await?;
    let rows = cluster.sql("SELECT count(*) FROM heavy").await?;
    ensure!(Rows::read(&rows)?.len() == 1);
    heavy::idle(cluster, &EXECUTORS).await
}

/// Far below the minutes that the query takes, with room for a busy machine.
const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_client_that_goes_away_takes_its_tasks_along() -> Result<()> {
    let (_fixture, cluster, load) = cluster().await?;
    let flight = cluster.node("scheduler1")?.address(Listener::Flight)?;
    let sql = load.without_end();
    let query = tokio::spawn(async move {
        let mut client = SqlClient::connect(flight).await?;
        client.query(&sql).await
    });
    heavy::at_work(&cluster, &EXECUTORS).await?;
    query.abort();
    ensure!(
        query.await.is_err_and(|error| error.is_cancelled()),
        "it ended"
    );
    all_is_free(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_client_that_hangs_up_takes_its_tasks_along() -> Result<()> {
    let (_fixture, cluster, load) = cluster().await?;
    let http = cluster.node("scheduler1")?.address(Listener::Http)?;
    let sql = load.without_end();
    let mut client = TcpStream::connect(http).await?;
    let head = format!(
        "POST /v1/sql HTTP/1.1\r\nHost: {http}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        sql.len()
    );
    client.write_all(head.as_bytes()).await?;
    client.write_all(sql.as_bytes()).await?;
    heavy::at_work(&cluster, &EXECUTORS).await?;
    drop(client);
    all_is_free(&cluster).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_takes_longer_than_its_client_waits_takes_its_tasks_along() -> Result<()> {
    let (_fixture, cluster, load) = cluster().await?;
    let flight = cluster.node("scheduler1")?.address(Listener::Flight)?;
    let mut client = SqlClient::connect(flight).await?;
    let deadline = Duration::from_secs(5);
    let query = tokio::spawn(async move {
        let sql = load.without_end();
        client.query_within(&sql, deadline).await
    });
    heavy::at_work(&cluster, &EXECUTORS).await?;
    let ended = tokio::time::timeout(heavy::PATIENCE, query).await??;
    let error = ended.err().context("it gave rows")?;
    let status = error.downcast::<tonic::Status>()?;
    // Whoever of the two looks at the clock first.
    let codes = [tonic::Code::DeadlineExceeded, tonic::Code::Cancelled];
    ensure!(codes.contains(&status.code()), "{status:?}");
    all_is_free(&cluster).await
}

//! The cluster gives the rows that one process gives.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use arrow::array::RecordBatch;
use cluster_test::tpch::Query;
use cluster_test::{Launch, Listener, Node, Security, Signals, SqlClient, TestCluster, binary};
use datafusion::prelude::SessionContext;

use crate::dataset::TpchData;
use crate::rows::{Rows, order_by};

#[tokio::test(flavor = "multi_thread")]
async fn all_22_queries_give_the_rows_of_one_process() {
    let data = TpchData::shared().await.unwrap();
    let cluster = TestCluster::start(data.cluster().unwrap()).await.unwrap();
    let reference = data.reference().await.unwrap();
    let mut client = client(&cluster).await.unwrap();
    let mut faults = BTreeMap::new();
    for query in data.queries() {
        let answer = client.query(&query.sql).await;
        let fault = compare(&query, answer, &reference).await.unwrap();
        faults.extend(fault.map(|fault| (query.number, fault)));
    }
    assert!(faults.is_empty(), "{faults:#?}");
    // Both worked, and for all: each query has at least one task.
    let [one, other] = tasks(&cluster).await.unwrap();
    assert!(one > 0.0 && other > 0.0, "{one} and {other} tasks");
    assert!(one + other >= 22.0, "{one} and {other} tasks");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plaintext_cluster_gives_the_rows_of_one_process() {
    let data = TpchData::shared().await.unwrap();
    let plan = data.cluster().unwrap().with_security(Security::Plaintext);
    let cluster = TestCluster::start(plan).await.unwrap();
    let mut client = client(&cluster).await.unwrap();
    let faults = compare_some(&mut client, &data).await.unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
    let [one, other] = tasks(&cluster).await.unwrap();
    assert!(one + other > 0.0, "the executors ran no task");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_cluster_gives_the_rows_of_one_process() {
    let data = TpchData::shared().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let launch = standalone(&data, directory.path()).unwrap();
    let node = Node::start(launch).await.unwrap();
    let flight = node.address(Listener::Flight).unwrap();
    let mut client = SqlClient::connect(flight).await.unwrap();
    let faults = compare_some(&mut client, &data).await.unwrap();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn what_reads_no_dataset_never_leaves_the_scheduler() {
    let data = TpchData::shared().await.unwrap();
    let cluster = TestCluster::start(data.cluster().unwrap()).await.unwrap();
    for sql in [
        "SELECT 1",
        "SELECT table_name FROM information_schema.tables",
        "SHOW TABLES",
        "EXPLAIN SELECT count(*) FROM lineitem",
    ] {
        let rows = Rows::read(&cluster.sql(sql).await.unwrap()).unwrap();
        assert!(rows.len() > 0, "{sql}");
    }
    assert_eq!(tasks(&cluster).await.unwrap(), [0.0, 0.0]);
    // The same counters move as soon as a dataset is read: they had not merely been asleep.
    cluster.sql("SELECT count(*) FROM nation").await.unwrap();
    let [one, other] = tasks(&cluster).await.unwrap();
    assert!(one + other > 0.0, "the executors ran no task");
}

/// What is wrong with the answers to some queries, by their numbers: a join with an aggregate,
/// nested subqueries, and floats.
async fn compare_some(client: &mut SqlClient, data: &TpchData) -> Result<BTreeMap<u8, String>> {
    let reference = data.reference().await?;
    let some = |query: &Query| [3, 8, 16, 22].contains(&query.number);
    let mut faults = BTreeMap::new();
    for query in data.queries().into_iter().filter(some) {
        let answer = client.query(&query.sql).await;
        let fault = compare(&query, answer, &reference).await?;
        faults.extend(fault.map(|fault| (query.number, fault)));
    }
    Ok(faults)
}

/// What is wrong with an answer, if anything is.
async fn compare(
    query: &Query,
    answer: Result<Vec<RecordBatch>>,
    reference: &SessionContext,
) -> Result<Option<String>> {
    let expected = reference.sql(&query.sql).await?.collect().await?;
    let expected = Rows::read(&expected)?;
    // An empty answer would be easy to get right.
    ensure!(expected.len() > 0, "query {} has no rows", query.number);
    Ok(match answer.and_then(|batches| Rows::read(&batches)) {
        Ok(rows) => rows.difference(&expected, &order_by(&query.sql)),
        Err(error) => Some(format!("{error:#}")),
    })
}

async fn client(cluster: &TestCluster) -> Result<SqlClient> {
    let scheduler = cluster.node("scheduler1")?;
    SqlClient::connect(scheduler.address(Listener::Flight)?).await
}

/// How many tasks each executor has finished.
async fn tasks(cluster: &TestCluster) -> Result<[f64; 2]> {
    let mut counts = [0.0; 2];
    for (count, name) in counts.iter_mut().zip(["executor1", "executor2"]) {
        let metrics = cluster.metrics(name).await?;
        *count = metrics.sum("node_tasks_total").context("no such metric")?;
    }
    Ok(counts)
}

fn standalone(data: &TpchData, directory: &Path) -> Result<Launch> {
    let mut arguments: Vec<OsString> = vec![data.manifest().into()];
    for listener in ["--http", "--flight", "--metrics"] {
        arguments.extend([listener.into(), "127.0.0.1:0".into()]);
    }
    arguments.extend(["--data-dir".into(), directory.into()]);
    arguments.extend(["--log-format".into(), "json".into()]);
    Ok(Launch {
        name: "standalone".to_owned(),
        program: binary("spiced")?,
        arguments,
        signals: Signals::Shared,
        patience: Duration::from_secs(60),
    })
}

//! Nodes that die, leave, or come late.

mod gate;

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use cluster_test::{
    Launch, Leaf, Listener, LogLine, Node, NodeArguments, NodePlan, Ports, Protection, Signals,
    SqlClient, TestCluster, TestPki, binary, http_get, http_post,
};
use cluster_tls::Role;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::dataset::TpchData;
use crate::rows::{Rows, order_by};
use gate::Gate;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_survives_the_death_of_an_executor_that_runs_its_tasks() {
    let data = TpchData::shared().await.unwrap();
    let mut cluster = cluster_with_talkative_victim(&data).await.unwrap();
    let query = start_query(&cluster).unwrap();
    cluster
        .wait_for_event("executor1", received_task, PATIENCE)
        .await
        .unwrap();
    cluster.kill("executor1").await.unwrap();
    assert!(!query.is_finished(), "the query was over before");
    let rows = timeout(PATIENCE, query).await.unwrap().unwrap().unwrap();
    check(&rows, &data).await.unwrap();
    let lost = |line: &LogLine| left(line) == Some("control stream lost");
    let event = cluster.wait_for_event("scheduler1", lost, PATIENCE).await;
    event.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_survives_an_executor_that_is_asked_to_end() {
    let data = TpchData::shared().await.unwrap();
    let mut cluster = cluster_with_talkative_victim(&data).await.unwrap();
    let query = start_query(&cluster).unwrap();
    cluster
        .wait_for_event("executor1", received_task, PATIENCE)
        .await
        .unwrap();
    assert!(!query.is_finished(), "the query was over before");
    let status = cluster.terminate("executor1").await.unwrap();
    assert_eq!(status.code(), Some(0));
    let rows = timeout(PATIENCE, query).await.unwrap().unwrap().unwrap();
    check(&rows, &data).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_asked_to_end_says_goodbye_and_leaves_nothing_behind() {
    let data = TpchData::shared().await.unwrap();
    let mut cluster = TestCluster::start(data.cluster().unwrap()).await.unwrap();
    let before = run(&cluster, &data).await.unwrap();
    let shuffle = cluster.data_directory("executor1").join("shuffle");
    assert!(entries(&shuffle) > 0, "it worked without a directory");

    let status = cluster.terminate("executor1").await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(entries(&shuffle), 0);
    // Announced, not found out: the scheduler knew before the process was gone.
    let goodbye = |line: &LogLine| left(line) == Some("executor stopped");
    let logs = cluster.logs("scheduler1").unwrap();
    assert!(logs.iter().any(|line| goodbye(line)));

    let after = run(&cluster, &data).await.unwrap();
    assert_eq!(after.difference(&before, &order_by(HEAVY)), None);
}

#[tokio::test]
async fn without_an_executor_a_query_fails_at_once_and_says_why() {
    let data = TpchData::shared().await.unwrap();
    let plan = data.cluster().unwrap().with_executors(vec![]);
    let mut cluster = TestCluster::start(plan).await.unwrap();
    let sql = "SELECT count(*) FROM nation";

    let refused = timeout(AT_ONCE, cluster.sql(sql)).await.unwrap();
    let status = refused.unwrap_err().downcast::<Status>().unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("no executor"), "{status}");
    let scheduler = cluster.node("scheduler1").unwrap();
    let http = scheduler.address(Listener::Http).unwrap();
    let reply = timeout(AT_ONCE, http_post(http, "/v1/sql", sql)).await;
    let reply = reply.unwrap().unwrap();
    assert_eq!(reply.status, 503);
    assert!(reply.body.contains("no executor"), "{}", reply.body);
    let ready = http_get(http, "/v1/ready?min_ready_executors=1").await;
    assert_eq!(ready.unwrap().status, 503);

    // What needs no executor works without one.
    for sql in ["SELECT 1", "SHOW TABLES"] {
        assert!(!cluster.sql(sql).await.unwrap().is_empty(), "{sql}");
    }
    // And the query works as soon as there is one.
    let late = NodePlan::new("executor1");
    cluster.add_executor(&late).await.unwrap();
    let rows = Rows::read(&cluster.sql(sql).await.unwrap()).unwrap();
    assert_eq!(rows.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_starts_before_its_scheduler_waits_for_it() {
    let data = TpchData::shared().await.unwrap();
    let place = Place::new().unwrap();
    let gate = Gate::shut().await.unwrap();
    let port = gate.address().unwrap().port();
    let executor = place.launch(Role::Executor, None, Some(port)).unwrap();
    let executor = tokio::spawn(Node::start(executor));
    // It comes, and comes again: it neither gives up nor ends.
    for _ in 0..2 {
        let call = timeout(PATIENCE, gate.refuse_one()).await;
        call.unwrap().unwrap();
    }
    assert!(!executor.is_finished());

    let scheduler = place.launch(Role::Scheduler, Some(data.manifest()), None);
    let scheduler = Node::start(scheduler.unwrap()).await.unwrap();
    let _open = gate.open_to(scheduler.address(Listener::Internal).unwrap());
    let mut executor = executor.await.unwrap().unwrap();
    let connected = |line: &LogLine| line.message() == "executor connected";
    let event = scheduler.log().wait_for(connected, PATIENCE).await;
    event.unwrap();
    let flight = scheduler.address(Listener::Flight).unwrap();
    let mut client = SqlClient::connect(flight).await.unwrap();
    let rows = client.query("SELECT * FROM nation").await.unwrap();
    assert_eq!(Rows::read(&rows).unwrap().len(), 25);
    let status = executor.terminate(PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn a_scheduler_that_is_asked_to_end_does_so_and_its_executors_can_follow() {
    let data = TpchData::shared().await.unwrap();
    let mut cluster = TestCluster::start(data.cluster().unwrap()).await.unwrap();
    cluster.sql("SELECT count(*) FROM nation").await.unwrap();
    // The executors last: they have nobody to say goodbye to then.
    for name in ["scheduler1", "executor1", "executor2"] {
        let status = cluster.terminate(name).await.unwrap();
        assert_eq!(status.code(), Some(0), "{name}");
    }
}

/// Two executors, of which the first says when it is given a task: the engine does that at its
/// most talkative only.
async fn cluster_with_talkative_victim(data: &TpchData) -> Result<TestCluster> {
    let victim = NodePlan::new("executor1").with_arguments(["-vv"]);
    let executors = vec![victim, NodePlan::new("executor2")];
    TestCluster::start(data.cluster()?.with_executors(executors)).await
}

/// The heavy query, running in the background.
fn start_query(cluster: &TestCluster) -> Result<JoinHandle<Result<Rows>>> {
    let flight = cluster.node("scheduler1")?.address(Listener::Flight)?;
    Ok(tokio::spawn(async move {
        let mut client = SqlClient::connect(flight).await?;
        Rows::read(&client.query(HEAVY).await?)
    }))
}

/// The heavy query from beginning to end.
async fn run(cluster: &TestCluster, data: &TpchData) -> Result<Rows> {
    let rows = start_query(cluster)?.await??;
    check(&rows, data).await?;
    Ok(rows)
}

/// Holds an answer to the heavy query against that of one process.
async fn check(rows: &Rows, data: &TpchData) -> Result<()> {
    let expected = data.reference().await?.sql(HEAVY).await?.collect().await?;
    let difference = rows.difference(&Rows::read(&expected)?, &order_by(HEAVY));
    ensure!(difference.is_none(), "{difference:?}");
    Ok(())
}

/// The engine's own event, at the moment before a task runs.
fn received_task(line: &LogLine) -> bool {
    line.message().starts_with("Received task")
}

/// The reason for which an executor left, if the line tells of one.
fn left(line: &LogLine) -> Option<&str> {
    (line.message() == "executor left").then(|| line.field("reason"))?
}

/// How many files and directories there are in a directory.
fn entries(directory: &Path) -> usize {
    fs::read_dir(directory).map_or(0, Iterator::count)
}

/// Certificates and data directories of nodes that are started one by one.
struct Place {
    pki: TestPki,
    data: tempfile::TempDir,
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Self {
            pki: TestPki::new()?,
            data: tempfile::tempdir()?,
        })
    }

    fn launch(
        &self,
        role: Role,
        manifest: Option<PathBuf>,
        scheduler: Option<u16>,
    ) -> Result<Launch> {
        let name = role.as_str();
        let leaf = Leaf::new(name).with_role(role);
        let arguments = NodeArguments {
            role,
            manifest,
            host: "127.0.0.1".to_owned(),
            bind: Ipv4Addr::LOCALHOST.into(),
            protection: Protection::Mutual(self.pki.write(name, &leaf)?),
            scheduler,
            ports: Ports::any(role),
            data: self.data.path().join(name),
        };
        Ok(Launch {
            name: name.to_owned(),
            program: binary("spiced")?,
            arguments: arguments.to_args(),
            signals: Signals::Shared,
            patience: PATIENCE,
        })
    }
}

/// Several stages over all of the largest table: a second or two of work at scale 0.1.
const HEAVY: &str = "\
select l1.l_suppkey as supplier, count(*) as pairs, sum(l1.l_quantity * l2.l_quantity) as product,
       max(l2.l_comment) as comment
from lineitem l1 join lineitem l2 on l1.l_partkey = l2.l_partkey
where l1.l_quantity > 45
group by l1.l_suppkey
order by supplier";

/// Includes the grace for an executor that might return, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing to wait for: far below the grace for executors that might return.
const AT_ONCE: Duration = Duration::from_secs(10);

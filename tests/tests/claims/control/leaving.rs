//! Nodes that are asked to end while they work.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_test::{ClusterPlan, Listener, LogLine, NodePlan, SqlClient, TestCluster, binary};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::fixture::{Fixture, PATIENCE};
use crate::heavy::{self, Heavy};
use crate::rows::Rows;

const EXECUTORS: [&str; 2] = ["executor1", "executor2"];

struct Scene {
    _fixture: Fixture,
    cluster: TestCluster,
    load: Heavy,
}

impl Scene {
    async fn start() -> Result<Self> {
        let fixture = Fixture::new()?;
        let load = Heavy::write(fixture.directory())?;
        let manifest = crate::definition::manifest(&load.datasets(), "");
        fs::write(fixture.manifest(), manifest)?;
        let executors = EXECUTORS.map(|name| NodePlan::new(name).with_task_slots(2));
        let plan = ClusterPlan::new(binary("spiced")?, fixture.manifest());
        let cluster = TestCluster::start(plan.with_executors(executors.to_vec())).await?;
        Ok(Self {
            _fixture: fixture,
            cluster,
            load,
        })
    }

    /// A query that runs on both executors by the time this returns.
    async fn running(&self, sql: String) -> Result<JoinHandle<Result<Rows>>> {
        let flight = self.cluster.node("scheduler1")?.address(Listener::Flight)?;
        let query = tokio::spawn(async move {
            let mut client = SqlClient::connect(flight).await?;
            Rows::read(&client.query(&sql).await?)
        });
        heavy::running(&self.cluster, &EXECUTORS).await?;
        Ok(query)
    }

    fn was_run_again(&self) -> Result<bool> {
        let again = "query lost with an executor, running it again";
        let lines = self.cluster.logs("scheduler1")?;
        Ok(lines.iter().any(|line| line.message() == again))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_asked_to_end_finishes_what_it_has_and_nothing_runs_twice() -> Result<()>
{
    let mut scene = Scene::start().await?;
    let query = scene.running(scene.load.a_moment()).await?;
    let status = scene.cluster.terminate("executor1").await?;
    ensure!(status.code() == Some(0), "{status}");
    let rows = timeout(heavy::PATIENCE, query).await???;
    let expected = scene.load.expected_of_a_moment()?;
    ensure!(rows.difference(&expected, &[]).is_none(), "{rows:?}");
    ensure!(!scene.was_run_again()?, "its tasks were lost");
    let drains = |line: &LogLine| line.message() == "executor takes no further tasks";
    scene
        .cluster
        .wait_for_event("scheduler1", drains, PATIENCE)
        .await?;
    // The one that stays takes all of the next.
    let rows = scene.cluster.sql("SELECT count(*) FROM heavy").await?;
    ensure!(Rows::read(&rows)?.len() == 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_is_asked_to_end_finishes_its_queries_and_takes_no_new_ones() -> Result<()>
{
    let mut scene = Scene::start().await?;
    let query = scene.running(scene.load.a_moment()).await?;
    let scheduler = scene.cluster.node("scheduler1")?;
    let flight = scheduler.address(Listener::Flight)?;
    scheduler.signal("TERM").await?;
    let stopping = |line: &LogLine| line.message().starts_with("stopping");
    scheduler.log().wait_for(stopping, PATIENCE).await?;
    ensure!(!query.is_finished(), "it was over before");
    // Nobody new gets in: to a client of Flight that is UNAVAILABLE.
    let refused = async { while SqlClient::connect(flight).await.is_ok() {} };
    timeout(PATIENCE, refused).await?;
    let rows = timeout(heavy::PATIENCE, query).await???;
    let expected = scene.load.expected_of_a_moment()?;
    ensure!(rows.difference(&expected, &[]).is_none(), "{rows:?}");
    let status = scene
        .cluster
        .node_mut("scheduler1")?
        .ended(PATIENCE)
        .await?;
    ensure!(status.code() == Some(0), "{status}");
    let told = |line: &LogLine| {
        line.message() == "control stream lost, reconnecting"
            && line
                .field("error")
                .is_some_and(|it| it.contains("shutting down"))
    };
    scene
        .cluster
        .wait_for_event("executor1", told, PATIENCE)
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_a_node_at_once_whatever_it_does() -> Result<()> {
    let mut scene = Scene::start().await?;
    let _query = scene.running(scene.load.without_end()).await?;
    for name in ["executor1", "scheduler1"] {
        let node = scene.cluster.node_mut(name)?;
        node.signal("TERM").await?;
        let stopping = |line: &LogLine| line.message().starts_with("stopping");
        node.log().wait_for(stopping, PATIENCE).await?;
        ensure!(node.is_running()?, "{name} did not wait for the query");
        let second = Instant::now();
        node.signal("TERM").await?;
        let status = node.ended(PATIENCE).await?;
        ensure!(status.code() == Some(1), "{name}: {status}");
        ensure!(second.elapsed() < AT_ONCE, "{name}: {:?}", second.elapsed());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_waits_for_a_query_without_end_for_a_bounded_time() -> Result<()> {
    let mut scene = Scene::start().await?;
    let query = scene.running(scene.load.without_end()).await?;
    let status = scene.cluster.terminate("executor1").await?;
    ensure!(status.code() == Some(0), "{status}");
    let handed_over = "queries still use this executor, their tasks go to others";
    let lines = scene.cluster.logs("executor1")?;
    ensure!(lines.iter().any(|line| line.message() == handed_over));
    let again = |line: &LogLine| line.message().starts_with("query lost with an executor");
    scene
        .cluster
        .wait_for_event("scheduler1", again, PATIENCE)
        .await?;
    query.abort();
    heavy::idle(&scene.cluster, &["executor2"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tasks_of_a_scheduler_that_has_left_end_with_it() -> Result<()> {
    let mut scene = Scene::start().await?;
    let _query = scene.running(scene.load.without_end()).await?;
    heavy::at_work(&scene.cluster, &EXECUTORS).await?;
    let status = scene.cluster.terminate("scheduler1").await?;
    ensure!(status.code() == Some(0), "{status}");
    let gone = Instant::now();
    heavy::at_rest(&scene.cluster, &EXECUTORS).await?;
    ensure!(gone.elapsed() < SOON, "{:?}", gone.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn executors_whose_schedulers_are_gone_wait_for_nobody() -> Result<()> {
    let mut scene = Scene::start().await?;
    let _query = scene.running(scene.load.without_end()).await?;
    scene.cluster.kill("scheduler1").await?;
    for name in EXECUTORS {
        scene.cluster.node(name)?.signal("TERM").await?;
    }
    for name in EXECUTORS {
        let node = scene.cluster.node_mut(name)?;
        let status = node.ended(PATIENCE).await?;
        ensure!(status.code() == Some(0), "{name}: {status}");
        let said = |message: &str| {
            let lines = node.log().lines();
            lines.iter().any(|line| line.message() == message)
        };
        ensure!(said("no scheduler is left to finish queries for"));
        ensure!(!said(
            "queries still use this executor, their tasks go to others"
        ));
    }
    Ok(())
}

/// Half of what a scheduler is missed for before it is given up.
const SOON: Duration = Duration::from_secs(15);

/// Far below every grace period.
const AT_ONCE: Duration = Duration::from_secs(4);

//! The state is away for a while.

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, LogLine, Metrics, Node, http_get, http_post};
use tokio::time::timeout;

use super::{Cluster, knows_of, listed, said, says};
use crate::fixture::PATIENCE;

pub(super) const AWAY: &str =
    "cluster state out of reach, what was seen last stays and it is tried again";
pub(super) const BACK: &str = "cluster state reached again";

/// Asks until the scheduler is ready, or is not, and gives what it said.
pub(super) async fn ready_until(scheduler: &Node, status: u16) -> Result<String> {
    let http = scheduler.address(Listener::Http)?;
    let asking = async {
        loop {
            let reply = http_get(http, "/v1/ready?verbose=true").await?;
            if reply.status == status {
                return anyhow::Ok(reply.body);
            }
        }
    };
    timeout(PATIENCE, asking)
        .await
        .context("readiness never changes")?
}

async fn executor_of(cluster: &Cluster, scheduler: &Node) -> Result<Node> {
    let executor = cluster.fixture.executor(scheduler).await?;
    let connected = |line: &LogLine| line.message() == "executor connected";
    scheduler.log().wait_for(connected, PATIENCE).await?;
    Ok(executor)
}

async fn reachable(scheduler: &Node) -> Result<Option<f64>> {
    let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
    Ok(metrics.sum("scheduler_state_reachable"))
}

#[tokio::test]
async fn schedulers_whose_state_is_away_go_on_with_what_they_have_and_recover_by_themselves()
-> Result<()> {
    let cluster = Cluster::in_directory()?;
    let first = cluster.start("scheduler1").await?;
    let second = cluster.start("scheduler2").await?;
    knows_of(&first, 2).await?;
    knows_of(&second, 2).await?;
    let _executor = executor_of(&cluster, &first).await?;
    ensure!(reachable(&first).await? == Some(2.0));
    let away = cluster.fixture.directory().join("away");
    fs::rename(cluster.state(), &away)?;
    says(&first, AWAY).await?;
    for scheduler in [&first, &second] {
        let reasons = ready_until(scheduler, 503).await?;
        ensure!(
            reasons.contains("cluster state has been out of reach"),
            "{reasons}"
        );
        ensure!(reachable(scheduler).await? == Some(0.0));
        ensure!(listed(scheduler).await?.len() == 1);
    }
    let http = first.address(Listener::Http)?;
    let answer = http_post(http, "/v1/sql", "SELECT count(*) AS n FROM numbers").await?;
    ensure!(
        answer.status == 200 && answer.body.contains('3'),
        "{answer:?}"
    );
    ensure!(!cluster.state().exists());

    fs::rename(&away, cluster.state())?;
    for scheduler in [&first, &second] {
        says(scheduler, BACK).await?;
        ready_until(scheduler, 200).await?;
        // Being away is nobody's silence.
        ensure!(!said(scheduler, "scheduler left"));
        ensure!(listed(scheduler).await?.len() == 1);
    }
    Ok(())
}

/// Waits until a scheduler has named an object among the heartbeats that is none.
pub(super) async fn names(scheduler: &Node, object: &str) -> Result<()> {
    let named = |line: &LogLine| {
        line.message() == "no heartbeat, left out" && line.field("object") == Some(object)
    };
    scheduler.log().wait_for(named, PATIENCE).await?;
    Ok(())
}

#[tokio::test]
async fn what_is_no_heartbeat_is_named_and_keeps_nobody_from_seeing_the_others() -> Result<()> {
    let cluster = Cluster::in_directory()?;
    let first = cluster.start("scheduler1").await?;
    let heartbeats = cluster.state().join("heartbeats");
    fs::write(heartbeats.join("large:1.json"), vec![b' '; TOO_LARGE_BYTES])?;
    symlink("/dev/zero", heartbeats.join("link:1.json"))?;
    for object in ["heartbeats/large:1.json", "heartbeats/link:1.json"] {
        names(&first, object).await?;
    }
    let second = cluster.start("scheduler2").await?;
    knows_of(&first, 2).await?;
    knows_of(&second, 2).await?;
    ensure!(!said(&first, AWAY) && !said(&second, AWAY));
    Ok(())
}

/// A heartbeat has a few hundred.
pub(super) const TOO_LARGE_BYTES: usize = 20_000;

#[tokio::test]
async fn a_document_that_is_damaged_while_schedulers_run_is_told_and_left_and_its_copy_is_used()
-> Result<()> {
    let cluster = Cluster::in_directory()?;
    let first = cluster.start("scheduler1").await?;
    let second = cluster.start("scheduler2").await?;
    knows_of(&first, 2).await?;
    let document = cluster.state().join("cluster.json");
    let sound = fs::read(&document)?;
    fs::write(&document, &sound[..sound.len() / 2])?;
    let told = |line: &LogLine| {
        line.message() == AWAY && line.raw().contains("is no document of a cluster")
    };
    first.log().wait_for(told, PATIENCE).await?;
    ready_until(&first, 503).await?;
    ensure!(fs::read(&document)? == sound[..sound.len() / 2]);
    ensure!(listed(&first).await?.len() == 1);

    fs::write(&document, &sound)?;
    says(&first, BACK).await?;
    ready_until(&first, 200).await?;
    ensure!(!said(&first, "scheduler left") && !said(&second, "scheduler left"));
    Ok(())
}

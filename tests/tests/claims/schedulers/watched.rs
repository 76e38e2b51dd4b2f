//! What a test sees of the nodes while something happens to them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster_test::{Listener, LogLine, TestCluster, http_get};
use serde_json::Value;
use tokio::time::{Instant, interval};

use super::numbers::Question;

/// Waits until a metric of a node has this value.
pub(super) async fn metric_is(
    cluster: &TestCluster,
    node: &str,
    (name, labels): (&str, &str),
    wanted: f64,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let metrics = cluster.metrics(node).await?;
        let value = metrics.sum_where(name, labels);
        if value == Some(wanted) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{name} of {node} is {value:?}, not {wanted}");
        }
    }
}

/// Waits until a scheduler has so many executors.
pub(super) async fn has_executors(cluster: &TestCluster, node: &str, wanted: f64) -> Result<()> {
    metric_is(cluster, node, (EXECUTORS, ""), wanted).await
}

/// Waits until an executor works for so many schedulers.
pub(super) async fn has_schedulers(cluster: &TestCluster, node: &str, wanted: f64) -> Result<()> {
    metric_is(cluster, node, (LINKS, "state=\"connected\""), wanted).await
}

/// Waits until a scheduler knows of so many schedulers, itself included.
pub(super) async fn knows_schedulers(cluster: &TestCluster, node: &str, wanted: f64) -> Result<()> {
    metric_is(cluster, node, (MEMBERS, ""), wanted).await
}

/// Asks a scheduler until each of these executors has run tasks for it.
pub(super) async fn uses_all(
    cluster: &TestCluster,
    scheduler: &str,
    executors: &[&str],
) -> Result<()> {
    let mut before = vec![];
    for executor in executors {
        before.push(tasks(cluster, executor).await?);
    }
    let mut idle: BTreeSet<usize> = (0..executors.len()).collect();
    for question in Question::all().iter().cycle().take(ASKED_MAX) {
        question.check(&cluster.sql_at(scheduler, question.sql).await?)?;
        for index in idle.clone() {
            if tasks(cluster, executors[index]).await? > before[index] {
                idle.remove(&index);
            }
        }
        if idle.is_empty() {
            return Ok(());
        }
    }
    bail!("{scheduler} never uses {idle:?} of {executors:?}")
}

/// How many tasks an executor has run.
pub(super) async fn tasks(cluster: &TestCluster, executor: &str) -> Result<f64> {
    let metrics = cluster.metrics(executor).await?;
    metrics.sum("node_tasks_total").context("no such metric")
}

/// What a node tells about itself.
pub(super) async fn status(cluster: &TestCluster, node: &str) -> Result<Value> {
    let http = cluster.node(node)?.address(Listener::Http)?;
    let reply = http_get(http, "/v1/status").await?;
    ensure!(reply.status == 200, "{}", reply.body);
    Ok(serde_json::from_str(&reply.body)?)
}

/// Whether a node should get work, with its reasons.
pub(super) async fn ready(cluster: &TestCluster, node: &str) -> Result<(u16, String)> {
    let http = cluster.node(node)?.address(Listener::Http)?;
    let reply = http_get(http, "/v1/ready?verbose=true").await?;
    Ok((reply.status, reply.body))
}

/// Waits until an executor has no shuffle file of any job.
pub(super) async fn has_no_files(cluster: &TestCluster, executor: &str) -> Result<()> {
    let shuffle = cluster.data_directory(executor).join("shuffle");
    let deadline = Instant::now() + PATIENCE;
    let mut looks = interval(LOOK);
    loop {
        looks.tick().await;
        let left = jobs_in(&shuffle)?;
        if left.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "{executor} keeps {left:?}");
    }
}

/// What is in the directories of all runs of an executor.
fn jobs_in(shuffle: &Path) -> Result<Vec<PathBuf>> {
    let mut jobs = vec![];
    for run in fs::read_dir(shuffle)? {
        let run = run?.path();
        if run.is_dir() {
            let entries = fs::read_dir(run)?;
            jobs.extend(
                entries
                    .map(|it| it.map(|it| it.path()))
                    .collect::<Result<Vec<_>, _>>()?,
            );
        }
    }
    Ok(jobs)
}

/// Where other nodes reach it.
pub(super) fn address(cluster: &TestCluster, node: &str) -> Result<String> {
    Ok(cluster.node(node)?.address(Listener::Internal)?.to_string())
}

/// Whether a line tells of this event of this scheduler or executor.
pub(super) fn tells(line: &LogLine, message: &str, (role, address): (&str, &str)) -> bool {
    line.message() == message && line.field(role) == Some(address)
}

/// An executor that is silent is given up after half a minute, and the machine is busy.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);

/// How often is often enough, where only looking tells.
pub(super) const LOOK: Duration = Duration::from_millis(50);

/// Who polls first gets the first tasks; all others are slower than the first only so often.
const ASKED_MAX: usize = 200;

const EXECUTORS: &str = "scheduler_active_executors_count";
const MEMBERS: &str = "scheduler_active_schedulers_count";
const LINKS: &str = "executor_scheduler_links";

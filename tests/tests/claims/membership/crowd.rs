//! As many schedulers as executors believe in, and one more.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, LogLine, Node, http_get, http_post};
use serde_json::{Value, json};

use super::{Cluster, id, list_until, said};
use crate::definition::until;
use crate::fixture::PATIENCE;

/// Writes so many others into the state, with the longest ids and more labels than fit. Nobody is
/// there, and for an hour nobody takes that for death.
fn invent(cluster: &Cluster, count: usize) -> Result<()> {
    let path = cluster.state().join("cluster.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let labels = |bytes| (0..20).map(move |it| (format!("{it:063}"), "v".repeat(bytes)));
    // One label is too long to be told, the others are as long as they may be.
    let long = [("long".to_owned(), "v".repeat(1000))];
    let labels: BTreeMap<_, _> = labels(128).chain(long).collect();
    let middle = "b".repeat(63);
    for number in 0..count {
        let host = format!("{number:063}.{middle}.{middle}.{}.invalid", "c".repeat(53));
        let id = format!("{host}:50052");
        document["schedulers"][&id] = json!({
            "scheduler_id": id, "instance_id": "none", "advertise_address": id,
            "started_at_ms": 1, "ttl_ms": 3_600_000, "build_version": "1", "labels": labels,
        });
    }
    let new = cluster.state().join("cluster.new");
    fs::write(&new, serde_json::to_vec(&document)?)?;
    Ok(fs::rename(new, path)?)
}

async fn connected(scheduler: &Node, executor: &Node) -> Result<()> {
    let address = executor.address(Listener::Internal)?.to_string();
    let connected = |line: &LogLine| {
        line.message() == "executor connected" && line.field("executor") == Some(&address)
    };
    scheduler.log().wait_for(connected, PATIENCE).await?;
    Ok(())
}

async fn answers(scheduler: &Node) -> Result<()> {
    let http = scheduler.address(Listener::Http)?;
    let answer = http_post(http, "/v1/sql", "SELECT count(*) AS n FROM numbers").await?;
    ensure!(
        answer.status == 200 && answer.body.contains('3'),
        "{answer:?}"
    );
    Ok(())
}

/// How many schedulers an executor knows of.
async fn links(executor: &Node) -> Result<usize> {
    let reply = http_get(executor.address(Listener::Http)?, "/v1/status").await?;
    let status: Value = serde_json::from_str(&reply.body)?;
    Ok(status["schedulers"].as_array().context("no list")?.len())
}

#[tokio::test]
async fn sixty_four_schedulers_fit_into_an_answer_and_one_more_cuts_nobody_off() -> Result<()> {
    let cluster = Cluster::in_directory()?;
    let scheduler = cluster.start("scheduler1").await?;
    invent(&cluster, ANSWERED - 1)?;
    list_until(&scheduler, |others| others.len() == ANSWERED - 1).await?;
    let named = cluster.schedulers_of(&scheduler).await?;
    ensure!(named.len() == ANSWERED && named.contains(&id(&scheduler)?));
    let executor = cluster.fixture.executor(&scheduler).await?;
    connected(&scheduler, &executor).await?;
    until(|| links(&executor), |links| *links == ANSWERED).await?;
    answers(&scheduler).await?;

    invent(&cluster, ANSWERED)?;
    list_until(&scheduler, |others| others.len() == ANSWERED).await?;
    let named = cluster.schedulers_of(&scheduler).await?;
    ensure!(named.len() == ANSWERED && named.contains(&id(&scheduler)?));
    // One that comes now is told the same, and both stay.
    let mut late = cluster.fixture.executor_of(&scheduler)?;
    late.data = cluster.fixture.directory().join("executor2-data");
    let late = Node::start(cluster.fixture.launch(&late, &[])).await?;
    connected(&scheduler, &late).await?;
    until(|| links(&late), |links| *links == ANSWERED).await?;
    answers(&scheduler).await?;
    ensure!(!said(&scheduler, "executor disconnected"));
    Ok(())
}

/// What executors believe in.
const ANSWERED: usize = 64;

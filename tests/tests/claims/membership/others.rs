//! Who sees whom.

use std::fs;

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, LogLine, Metrics, Node};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{Cluster, Place, id, knows_of, listed, said, says};
use crate::fixture::PATIENCE;
use crate::status::command::spice;

#[tokio::test]
async fn three_schedulers_see_each_other_within_twice_the_ttl() -> Result<()> {
    let cluster = Cluster::in_directory()?;
    let first = cluster.start("scheduler1").await?;
    ensure!(cluster.schedulers_of(&first).await? == [id(&first)?]);
    let second = cluster.start("scheduler2").await?;
    let third = cluster.start("scheduler3").await?;
    let all = [&first, &second, &third];
    let seen = async {
        for scheduler in all {
            knows_of(scheduler, 3).await?;
        }
        anyhow::Ok(())
    };
    timeout(super::TTL * 2, seen).await.context("too late")??;
    let mut ids = all.map(|it| id(it).unwrap_or_default()).to_vec();
    ids.sort();
    for scheduler in all {
        ensure!(cluster.schedulers_of(scheduler).await? == ids);
        let others = listed(scheduler).await?;
        ensure!(others.len() == 2, "{others:?}");
        for other in others.values() {
            ensure!(other["version"] == env!("CARGO_PKG_VERSION"), "{other}");
            ensure!(
                other["last_seen_s"].as_u64().is_some_and(|it| it < 6),
                "{other}"
            );
        }
        let shown = spice(scheduler, &["nodes"]).await?;
        ensure!(ids.iter().all(|id| shown.stdout.contains(id)), "{shown:?}");
        let metrics = Metrics::scrape(scheduler.address(Listener::Metrics)?).await?;
        let count = metrics.sum("scheduler_active_schedulers_count");
        ensure!(count == Some(3.0), "{count:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_killed_scheduler_is_gone_within_twice_the_ttl_and_one_that_ends_at_once() -> Result<()> {
    // Long enough that a busy machine's pauses do not count.
    let cluster = Cluster::with_scheduler("{state_location: 'file:state', member_ttl: 6s}", "")?;
    let first = cluster.start("scheduler1").await?;
    let mut second = cluster.start("scheduler2").await?;
    let mut third = cluster.start("scheduler3").await?;
    knows_of(&first, 3).await?;
    let left = async |id: String| {
        let left = |line: &LogLine| {
            line.message() == "scheduler left" && line.field("scheduler") == Some(&id)
        };
        first.log().wait_for(left, PATIENCE).await
    };

    let ended = Instant::now();
    third.terminate(PATIENCE).await?;
    let line = left(id(&third)?).await?;
    ensure!(line.field("level") == Some("INFO"), "{line:?}");
    ensure!(line.field("reason") == Some("it stopped"), "{line:?}");
    ensure!(ended.elapsed() < super::TTL * 2, "{:?}", ended.elapsed());

    let killed = Instant::now();
    second.kill().await?;
    let line = left(id(&second)?).await?;
    ensure!(line.field("level") == Some("WARN"), "{line:?}");
    let silent_s = line.value("silent_s").and_then(Value::as_f64);
    ensure!(silent_s.is_some_and(|it| it > 6.0), "{line:?}");
    ensure!(killed.elapsed() < super::TTL * 4, "{:?}", killed.elapsed());
    ensure!(cluster.schedulers_of(&first).await? == [id(&first)?]);
    ensure!(listed(&first).await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn a_scheduler_that_is_back_before_it_was_missed_is_told_of_as_restarted() -> Result<()> {
    let cluster = Cluster::with_scheduler("{state_location: 'file:state', member_ttl: 1m}", "")?;
    let first = cluster.start("scheduler1").await?;
    let mut second = cluster.start("scheduler2").await?;
    knows_of(&first, 2).await?;
    ensure!(!said(&first, "scheduler restarted"));
    let place = Place::of(&second)?;
    second.kill().await?;
    let _second = Node::start(cluster.launch("scheduler2", place)?).await?;
    says(&first, "scheduler restarted").await?;
    ensure!(!said(&first, "scheduler left"));
    Ok(())
}

#[tokio::test]
async fn one_scheduler_needs_no_settings_and_takes_its_entry_away_when_it_ends() -> Result<()> {
    let cluster = Cluster::with_scheduler("{}", "")?;
    let mut scheduler = cluster.start("scheduler1").await?;
    let state = cluster.fixture.directory().join("scheduler1-data/state");
    let members = || -> Result<Vec<String>> {
        let document: Value = serde_json::from_slice(&fs::read(state.join("cluster.json"))?)?;
        ensure!(document["schema_version"] == 1, "{document}");
        let members = document["schedulers"].as_object().context("no members")?;
        Ok(members.keys().cloned().collect())
    };
    ensure!(members()? == [id(&scheduler)?]);
    scheduler.terminate(PATIENCE).await?;
    ensure!(said(&scheduler, "left the cluster"));
    ensure!(members()?.is_empty());
    let beats = fs::read_dir(state.join("heartbeats"))?.count();
    ensure!(beats == 0, "{beats} files are left");
    Ok(())
}

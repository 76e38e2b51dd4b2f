//! Who holds an id.

use std::fs;

use anyhow::{Result, ensure};
use cluster_test::{LogLine, Node};

use super::{Cluster, Place, id, knows_of, list_until, pause, resume, said, says};
use crate::fixture::PATIENCE;

const WAITING: &str =
    "another process has the id of this scheduler, waiting until it was silent for long enough";
const TOOK_OVER: &str = "took over the id of this scheduler";

#[tokio::test]
async fn a_scheduler_that_was_killed_has_its_id_again_at_once_on_the_same_machine() -> Result<()> {
    // Nobody would want to wait for this one.
    let cluster = Cluster::with_scheduler("{state_location: 'file:state', member_ttl: 1h}", "")?;
    let mut killed = cluster.start("scheduler1").await?;
    let place = Place::of(&killed)?;
    killed.kill().await?;
    let next = Node::start(cluster.launch("scheduler1", place)?).await?;
    let reason = |line: &LogLine| line.field("reason") == Some("its process has ended");
    let took_over = |line: &LogLine| line.message() == TOOK_OVER && reason(line);
    next.log().wait_for(took_over, PATIENCE).await?;
    ensure!(!said(&next, WAITING));
    Ok(())
}

#[tokio::test]
async fn a_second_process_with_the_id_of_one_that_lives_is_refused_and_the_first_goes_on()
-> Result<()> {
    let cluster = Cluster::in_directory()?;
    let first = cluster.start("scheduler1").await?;
    let beside = Place::of(&first)?.beside();
    let (status, log) = Node::run_to_end(cluster.launch("scheduler2", beside)?).await?;
    ensure!(status.code() == Some(1), "{status}");
    let told = log.tail(usize::MAX);
    ensure!(told.contains(WAITING), "{told}");
    let fault = format!("another scheduler runs as {}", id(&first)?);
    ensure!(told.contains(&fault), "{told}");
    ensure!(!told.contains("\"ready\""), "{told}");
    ensure!(cluster.schedulers_of(&first).await? == [id(&first)?]);
    Ok(())
}

#[tokio::test]
async fn a_scheduler_that_was_stopped_past_its_ttl_is_missed_and_joins_again() -> Result<()> {
    let cluster = Cluster::in_directory()?;
    let first = cluster.start("scheduler1").await?;
    let second = cluster.start("scheduler2").await?;
    knows_of(&first, 2).await?;
    knows_of(&second, 2).await?;
    pause(&first).await?;
    says(&second, "scheduler left").await?;
    resume(&first).await?;
    says(
        &first,
        "the others had removed this scheduler, joined again",
    )
    .await?;
    let own = id(&first)?;
    list_until(&second, |others| others.contains_key(&own)).await?;
    // It missed nobody: what happened while it stood still is no silence of others.
    ensure!(!said(&first, "scheduler left"));
    ensure!(cluster.schedulers_of(&first).await?.len() == 2);
    Ok(())
}

#[tokio::test]
async fn a_scheduler_that_was_stopped_and_replaced_stops_for_good() -> Result<()> {
    let cluster = Cluster::in_directory()?;
    let mut old = cluster.start("scheduler1").await?;
    let own = id(&old)?;
    pause(&old).await?;
    let new = Node::start(cluster.launch("scheduler2", Place::of(&old)?.beside())?).await?;
    ensure!(said(&new, WAITING));
    let silent = |line: &LogLine| line.field("reason") == Some("it was silent for too long");
    new.log()
        .wait_for(|line| line.message() == TOOK_OVER && silent(line), PATIENCE)
        .await?;
    resume(&old).await?;
    let fault = format!("another scheduler took {own} over");
    old.log()
        .wait_for(|line| line.raw().contains(&fault), PATIENCE)
        .await?;
    let status = old.terminate(PATIENCE).await?;
    ensure!(status.code() == Some(1), "{status}");
    ensure!(cluster.schedulers_of(&new).await? == [own]);
    Ok(())
}

#[tokio::test]
async fn a_state_of_another_version_or_none_is_refused_and_left_as_it_is() -> Result<()> {
    let cluster = Cluster::in_directory()?;
    fs::create_dir(cluster.state())?;
    let document = cluster.state().join("cluster.json");
    for (text, told) in [
        (
            "{\"schema_version\": 2, \"members\": []}",
            "has schema_version 2",
        ),
        (
            "{\"schema_version\": 1, \"sched",
            "is no document of a cluster",
        ),
        ("", "is no document of a cluster"),
    ] {
        fs::write(&document, text)?;
        let (status, log) = Node::run_to_end(cluster.launch("scheduler1", Place::ANY)?).await?;
        ensure!(status.code() == Some(1), "{status}");
        let said = log.tail(usize::MAX);
        ensure!(
            said.contains(told) && said.contains("cluster.json"),
            "{said}"
        );
        ensure!(fs::read_to_string(&document)? == text);
    }
    Ok(())
}

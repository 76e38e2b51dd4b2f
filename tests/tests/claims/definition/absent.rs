//! Executors that are not there when the definition changes.

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, LogLine, NodePlan};
use serde_json::json;

use super::{Scene, manifest, write};
use crate::fixture::PATIENCE;
use crate::rows::Rows;

const LETTERS: &str = "  - {name: letters, from: 'file:letters.csv', params: {file_format: csv}}\n";

impl Scene {
    async fn letters_are_served(&self) -> Result<()> {
        let rows = self.cluster.sql("SELECT l FROM letters").await?;
        ensure!(Rows::read(&rows)?.len() == 2);
        Ok(())
    }
}

#[tokio::test]
async fn an_executor_that_comes_back_after_the_change_has_the_new_definition() -> Result<()> {
    let mut scene = Scene::start().await?;
    write(&scene.fixture.directory().join("letters.csv"), "l\na\nb\n")?;
    scene.cluster.kill("executor1").await?;
    let changed = scene.change_to(&manifest(LETTERS, "")).await?;
    let digest = changed.field("digest").context("no digest")?.to_owned();
    scene.letters_are_served().await?;
    let back = NodePlan::new("executor1").with_task_slots(2);
    scene.cluster.add_executor(&back).await?;
    ensure!(scene.digest_of("executor1").await? == digest);
    scene.cluster.kill("executor2").await?;
    // Now that one is the only one, and a query waits for it.
    scene.letters_are_served().await
}

#[tokio::test]
async fn an_executor_that_stood_still_during_the_change_holds_up_nobody_and_follows() -> Result<()>
{
    let mut scene = Scene::start().await?;
    write(&scene.fixture.directory().join("letters.csv"), "l\na\nb\n")?;
    let executor = scene.cluster.node("executor1")?;
    let id = executor.address(Listener::Internal)?.to_string();
    executor.signal("STOP").await?;
    let changed = scene.change_to(&manifest(LETTERS, "")).await?;
    ensure!(changed.value("ready") == Some(&json!(1)), "{changed:?}");
    let digest = changed.field("digest").context("no digest")?.to_owned();
    let unready = |line: &LogLine| {
        line.message() == "executor has not opened the changed spicepod yet"
            && line.field("executor") == Some(&id)
    };
    let log = scene.scheduler()?.log().clone();
    log.wait_for(unready, PATIENCE).await?;
    scene.letters_are_served().await?;

    scene.cluster.node("executor1")?.signal("CONT").await?;
    let follows = |line: &LogLine| {
        line.message() == "executor has the application open"
            && line.field("executor") == Some(&id)
            && line.field("digest") == Some(&digest)
    };
    log.wait_for(follows, PATIENCE).await?;
    ensure!(scene.digest_of("executor1").await? == digest);
    scene.cluster.kill("executor2").await?;
    scene.letters_are_served().await
}

//! A spicepod on a file system that hangs.

use anyhow::{Result, ensure};
use cluster_test::{HeldFile, LogLine};
use serde_json::{Value, json};

use super::{REJECTED, Scene, app_of, manifest};
use crate::fixture::PATIENCE;
use crate::rows::Rows;

#[tokio::test]
async fn a_spicepod_that_cannot_be_read_in_time_is_told_and_followed_again_when_it_can()
-> Result<()> {
    let scene = Scene::start().await?;
    let held = HeldFile::hold(&scene.fixture.manifest()).await?;
    let silent = |line: &LogLine| {
        let error = line.field("error").unwrap_or_default();
        line.message() == REJECTED && error.contains("could not be read within 10 s")
    };
    let log = scene.scheduler()?.log();
    log.wait_for(silent, PATIENCE).await?;
    let app = app_of(scene.scheduler()?).await?;
    ensure!(app["rejected"] == json!("silent"), "{app}");
    let rows = scene.cluster.sql("SELECT n FROM numbers").await?;
    ensure!(Rows::read(&rows)?.len() == 3);

    held.release().await?;
    let good = |line: &LogLine| line.message() == "spicepod good again, the one in use stays";
    log.wait_for(good, PATIENCE).await?;
    let app = app_of(scene.scheduler()?).await?;
    ensure!(app["rejected"] == Value::Null, "{app}");
    ensure!(log.lines().iter().filter(|line| silent(line)).count() == 1);
    let views = "views:\n  - {name: more, sql: SELECT n + 1 AS n FROM numbers}\n";
    scene.change_to(&manifest("", views)).await?;
    Ok(())
}

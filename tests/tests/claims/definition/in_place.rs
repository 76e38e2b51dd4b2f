//! Spicepods that are written where they stand, and settings that are not followed.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster_test::LogLine;
use serde_json::json;

use super::{CHANGED, REJECTED, Scene, app_of, manifest, write, write_manifest};
use crate::fixture::PATIENCE;
use crate::rows::Rows;

/// Adds to the spicepod without ever pausing for long, until the scheduler says that it does not
/// stand still.
async fn write_slowly(scene: &Scene) -> Result<()> {
    let mut file = OpenOptions::new()
        .append(true)
        .open(scene.fixture.manifest())?;
    let log = scene.scheduler()?.log();
    let rejected = |line: &LogLine| line.message() == REJECTED;
    let begun = Instant::now();
    while !log.lines().iter().any(|line| rejected(line)) {
        ensure!(begun.elapsed() < PATIENCE, "it is waited for without end");
        file.write_all(b"#\n")?;
        app_of(scene.scheduler()?).await?;
    }
    let line = log.wait_for(rejected, PATIENCE).await?;
    let error = line.field("error").unwrap_or_default();
    ensure!(error.contains("does not stand still"), "{error}");
    Ok(())
}

#[tokio::test]
async fn a_spicepod_that_is_written_slowly_where_it_stands_is_used_when_it_is_whole() -> Result<()>
{
    let scene = Scene::start().await?;
    let letters = "  - {name: letters, from: 'file:letters.csv', params: {file_format: csv}}\n";
    write(&scene.fixture.directory().join("letters.csv"), "l\na\n")?;
    // The first half is a spicepod, too: one without what comes later.
    let half = manifest("", "").replace("name: claims", "name: half");
    write(&scene.fixture.manifest(), &half)?;
    write_slowly(&scene).await?;
    let app = app_of(scene.scheduler()?).await?;
    ensure!(app["rejected"] == json!("unsettled"), "{app}");
    let mut file = OpenOptions::new()
        .append(true)
        .open(scene.fixture.manifest())?;
    file.write_all(letters.as_bytes())?;
    let log = scene.scheduler()?.log();
    let changed = |line: &LogLine| line.message() == CHANGED;
    let first = log.wait_for(changed, PATIENCE).await?;
    ensure!(first.value("datasets") == Some(&json!(2)), "{first:?}");
    let rows = scene.cluster.sql("SELECT l FROM letters").await?;
    ensure!(Rows::read(&rows)?.len() == 1);
    Ok(())
}

#[tokio::test]
async fn a_spicepod_that_is_renamed_into_place_is_not_waited_for() -> Result<()> {
    let scene = Scene::start().await?;
    let views = "views:\n  - {name: more, sql: SELECT n + 1 AS n FROM numbers}\n";
    let log = scene.scheduler()?.log();
    let changed = |line: &LogLine| line.message() == CHANGED;
    let mut shortest = Duration::MAX;
    for number in 0..5 {
        let manifest = manifest("", &views.replace("+ 1", &format!("+ {number}")));
        let (begun, before) = (Instant::now(), log.lines().len());
        write_manifest(&scene.fixture, &manifest)?;
        scene.scheduler()?.hang_up().await?;
        log.wait_for_after(before, changed, PATIENCE).await?;
        shortest = shortest.min(begun.elapsed());
    }
    // One that has to stand still takes longer than that each time.
    ensure!(shortest < Duration::from_secs(2), "{shortest:?}");
    Ok(())
}

#[tokio::test]
async fn settings_of_the_scheduler_that_changed_are_told_and_other_changes_are_not() -> Result<()> {
    let scene = Scene::start().await?;
    let log = scene.scheduler()?.log();
    let told = |line: &LogLine| line.message().starts_with("runtime.scheduler has changed");
    let views = "views:\n  - {name: more, sql: SELECT n + 1 AS n FROM numbers}\n";
    scene.change_to(&manifest("", views)).await?;
    ensure!(!log.lines().iter().any(|line| told(line)));
    let settings = "runtime: {scheduler: {member_ttl: 40s}}\n";
    write_manifest(&scene.fixture, &manifest("", &format!("{views}{settings}")))?;
    log.wait_for(told, PATIENCE).await?;
    Ok(())
}

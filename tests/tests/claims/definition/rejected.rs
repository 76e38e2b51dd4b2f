//! Spicepods that cannot be used.

use std::fs;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use cluster_test::LogLine;
use serde_json::{Value, json};

use super::{CHANGED, REJECTED, Scene, app_of, manifest, write_manifest};
use crate::fixture::PATIENCE;
use crate::rows::Rows;
use crate::status::command::spice;

async fn rejections(scene: &Scene, at_least: usize) -> Result<Vec<String>> {
    let log = scene.scheduler()?.log();
    let enough = |lines: &[Arc<LogLine>]| {
        let rejected = lines.iter().filter(|line| line.message() == REJECTED);
        rejected.count() >= at_least
    };
    log.wait_until(enough, PATIENCE).await?;
    let lines = log.lines();
    let rejected = lines.iter().filter(|line| line.message() == REJECTED);
    Ok(rejected
        .map(|line| line.field("error").unwrap_or_default().to_owned())
        .collect())
}

/// Why the spicepod is not used, for whoever asks.
async fn reason(scene: &Scene) -> Result<String> {
    let app = app_of(scene.scheduler()?).await?;
    let reason = app["rejected_reason"].as_str();
    Ok(reason.context("no reason")?.to_owned())
}

async fn ensure_old_serves(scene: &Scene, rejected: Value) -> Result<()> {
    let rows = scene.cluster.sql("SELECT n FROM numbers").await?;
    ensure!(Rows::read(&rows)?.len() == 3);
    let app = app_of(scene.scheduler()?).await?;
    ensure!(app["rejected"] == rejected, "{app}");
    let metrics = scene.cluster.metrics("scheduler1").await?;
    let gauge = metrics.sum("runtime_app_rejected");
    ensure!(
        gauge == Some(f64::from(u8::from(!rejected.is_null()))),
        "{gauge:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_broken_spicepod_keeps_the_one_in_use_and_every_fault_of_it_is_told_once() -> Result<()> {
    let scene = Scene::start().await?;
    ensure_old_serves(&scene, Value::Null).await?;
    let original = fs::read_to_string(scene.fixture.manifest())?;
    write_manifest(&scene.fixture, &original.replace("from:", "form:"))?;
    let errors = rejections(&scene, 1).await?;
    ensure!(errors[0].contains("form"), "{errors:?}");
    ensure_old_serves(&scene, json!("invalid")).await?;
    let reason = reason(&scene).await?;
    for word in [
        "line ",
        "datasets[0] has an unknown key; the log says which",
        "the key `from` is missing",
    ] {
        ensure!(reason.contains(word), "no {word} in {reason}");
    }
    let shown = spice(scene.scheduler()?, &["status"]).await?.stdout;
    let line = format!("! not used (invalid), the one before is: {reason}\n");
    ensure!(shown.contains(&line), "{shown}");

    // What is no YAML may hold anything.
    let unclear = "name: ${env:A\npg_pass: 'hunter2";
    write_manifest(&scene.fixture, unclear)?;
    let errors = rejections(&scene, 2).await?;
    ensure!(errors.len() == 2, "{errors:?}");
    let reason = self::reason(&scene).await?;
    ensure!(!reason.contains("hunter2"), "{reason}");
    let directory = scene.fixture.directory().display().to_string();
    ensure!(!reason.contains(&directory), "{reason}");
    ensure!(reason.ends_with("the log says what is wrong"), "{reason}");

    // Asked for, it is told again: so by itself it was told once.
    scene.scheduler()?.hang_up().await?;
    let errors = rejections(&scene, 3).await?;
    ensure!(errors.len() == 3, "{errors:?}");

    // Another fault is news; so is that there is none any more.
    fs::remove_file(scene.fixture.manifest())?;
    let errors = rejections(&scene, 4).await?;
    ensure!(errors[3].contains("spicepod"), "{errors:?}");
    let missing = app_of(scene.scheduler()?).await?;
    ensure!(missing["rejected"] == "missing", "{missing}");
    let reason = &missing["rejected_reason"];
    ensure!(*reason == "it is not there any more", "{missing}");
    write_manifest(&scene.fixture, &original)?;
    let repaired = |line: &LogLine| line.message() == "spicepod good again, the one in use stays";
    let log = scene.scheduler()?.log();
    log.wait_for(repaired, PATIENCE).await?;
    ensure_old_serves(&scene, Value::Null).await?;
    ensure!(!log.lines().iter().any(|line| line.message() == CHANGED));
    Ok(())
}

#[tokio::test]
async fn of_a_view_that_is_refused_the_name_is_shown_and_the_sql_is_in_the_log_alone() -> Result<()>
{
    let scene = Scene::start().await?;
    let views = "views:\n  - {name: typed, sql: SELECT hunter2 FROM numbers}\n";
    write_manifest(&scene.fixture, &manifest("", views))?;
    let errors = rejections(&scene, 1).await?;
    ensure!(errors[0].contains("hunter2"), "{errors:?}");
    ensure_old_serves(&scene, json!("datasets")).await?;
    let reason = reason(&scene).await?;
    ensure!(
        reason == "view `typed` cannot be made; the log says why",
        "{reason}"
    );
    Ok(())
}

#[tokio::test]
async fn a_spicepod_whose_data_comes_later_is_used_when_the_data_is_there() -> Result<()> {
    let scene = Scene::start().await?;
    let late = "  - {name: late, from: 'file:late.csv', params: {file_format: csv}}\n";
    write_manifest(&scene.fixture, &manifest(late, ""))?;
    let errors = rejections(&scene, 1).await?;
    ensure!(errors[0].contains("late.csv"), "{errors:?}");
    ensure_old_serves(&scene, json!("datasets")).await?;

    super::write(&scene.fixture.directory().join("late.csv"), "a\n1\n")?;
    let changed = |line: &LogLine| line.message() == CHANGED;
    scene.scheduler()?.log().wait_for(changed, PATIENCE).await?;
    let rows = scene.cluster.sql("SELECT a FROM late").await?;
    ensure!(Rows::read(&rows)?.len() == 1);
    ensure_old_serves(&scene, Value::Null).await
}

//! Datasets and views that appear, change and disappear on a running cluster.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster_test::{Listener, Node, SqlClient, http_get, http_post};
use serde_json::{Value, json};

use super::{Scene, manifest, until, write};
use crate::rows::Rows;

/// Rows as JSON, by HTTP.
async fn http_rows(node: &Node, sql: &str) -> Result<Value> {
    let reply = http_post(node.address(Listener::Http)?, "/v1/sql", sql).await?;
    ensure!(reply.status == 200, "{sql}: {reply:?}");
    Ok(serde_json::from_str(&reply.body)?)
}

async fn table_names(node: &Node) -> Result<Vec<Value>> {
    let reply = http_get(node.address(Listener::Http)?, "/v1/datasets").await?;
    ensure!(reply.status == 200, "{reply:?}");
    let document: Value = serde_json::from_str(&reply.body)?;
    let datasets = document["datasets"].as_array().context("no list")?;
    Ok(datasets.iter().map(|it| it["name"].clone()).collect())
}

#[tokio::test]
async fn datasets_and_views_appear_change_and_disappear_within_seconds_and_without_a_restart()
-> Result<()> {
    let scene = Scene::start().await?;
    let directory = scene.fixture.directory();
    let original = std::fs::read_to_string(scene.fixture.manifest())?;
    let before = scene.digest_of("scheduler1").await?;
    let scheduler = scene.scheduler()?;
    let no_letters = scene.cluster.sql("SELECT * FROM letters").await;
    ensure!(no_letters.is_err(), "it is there already");

    // A dataset and a view over both appear.
    write(&directory.join("letters.csv"), "l,n\na,1\nb,2\n")?;
    let letters = |file: &str| {
        let params = "params: {file_format: csv}";
        format!("  - {{name: letters, from: 'file:{file}', {params}}}\n")
    };
    let views = "views:\n  - {name: spelt, sql: 'SELECT l, m.n FROM letters JOIN numbers m ON letters.n = m.n'}\n";
    let started = Instant::now();
    let changed = scene
        .change_to(&manifest(&letters("letters.csv"), views))
        .await?;
    ensure!(
        started.elapsed() < WITHIN_SECONDS,
        "{:?}",
        started.elapsed()
    );
    ensure!(changed.value("ready") == Some(&json!(2)), "{changed:?}");
    let rows = scene.cluster.sql("SELECT l FROM spelt ORDER BY l").await?;
    ensure!(Rows::read(&rows)?.len() == 2);
    let sum = http_rows(scheduler, "SELECT sum(n) AS s FROM letters").await?;
    ensure!(sum == json!([{"s": 3}]), "{sum}");
    let digest = scene.digest_of("scheduler1").await?;
    for name in ["executor1", "executor2"] {
        ensure!(scene.digest_of(name).await? == digest, "{name}");
        let names = table_names(scene.cluster.node(name)?).await?;
        ensure!(names.contains(&json!("letters")), "{name}: {names:?}");
    }

    // It changes: another file, other columns.
    write(&directory.join("other.csv"), "l,weight\nx,10\ny,20\nz,30\n")?;
    scene
        .change_to(&manifest(&letters("other.csv"), ""))
        .await?;
    let sum = http_rows(scheduler, "SELECT sum(weight) AS s FROM letters").await?;
    ensure!(sum == json!([{"s": 60}]), "{sum}");
    let gone = scene.cluster.sql("SELECT n FROM letters").await;
    ensure!(gone.is_err(), "the old column is there");
    let gone = scene.cluster.sql("SELECT * FROM spelt").await;
    ensure!(gone.is_err(), "the view is there");

    // It disappears.
    scene.change_to(&original).await?;
    ensure!(scene.digest_of("scheduler1").await? == before);
    let gone = scene.cluster.sql("SELECT * FROM letters").await;
    ensure!(gone.is_err(), "the dataset is there");
    ensure!(table_names(scheduler).await? == [json!("numbers")]);
    let rows = scene.cluster.sql("SELECT n FROM numbers").await?;
    ensure!(Rows::read(&rows)?.len() == 3);
    Ok(())
}

#[tokio::test]
async fn a_change_of_words_that_changes_no_meaning_changes_nothing() -> Result<()> {
    let scene = Scene::start().await?;
    let before = scene.digest_of("scheduler1").await?;
    let original = std::fs::read_to_string(scene.fixture.manifest())?;
    super::write_manifest(&scene.fixture, &format!("# the same\n{original}"))?;
    let scheduler = scene.scheduler()?;
    scheduler.hang_up().await?;
    let unchanged = |line: &cluster_test::LogLine| line.message() == "spicepod unchanged";
    let log = scheduler.log();
    log.wait_for(unchanged, crate::fixture::PATIENCE).await?;
    ensure!(scene.digest_of("scheduler1").await? == before);
    ensure!(
        !log.lines()
            .iter()
            .any(|line| line.message() == super::CHANGED)
    );
    Ok(())
}

#[tokio::test]
async fn a_single_node_follows_its_spicepod_too() -> Result<()> {
    let fixture = crate::fixture::Fixture::new()?;
    let node = Node::start(crate::status::standalone(&fixture)?).await?;
    let views = "views:\n  - {name: doubled, sql: SELECT n * 2 AS n FROM numbers}\n";
    super::write_manifest(&fixture, &manifest("", views))?;
    let flight = node.address(Listener::Flight)?;
    let client = SqlClient::connect(flight).await?;
    let ask = || async {
        let rows = client.clone().query("SELECT n FROM doubled").await;
        Ok(rows.is_ok_and(|rows| Rows::read(&rows).is_ok_and(|rows| rows.len() == 3)))
    };
    until(ask, |there| *there).await?;
    Ok(())
}

/// A look every two seconds, a quarter of one to settle, and room for a busy machine.
const WITHIN_SECONDS: Duration = Duration::from_secs(10);

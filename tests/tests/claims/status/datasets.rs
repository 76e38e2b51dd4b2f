//! The tables of nodes, and data that is not where it was.

use std::fs;

use anyhow::{Context, Result, ensure};
use cluster_test::Node;
use serde_json::{Value, json};

use super::command::{spice, standalone};
use super::document;
use crate::fixture::Fixture;

const VIEW: &str = "views:\n  - {name: doubled, sql: SELECT n * 2 AS n FROM numbers}\n";

fn with_view() -> Result<Fixture> {
    let fixture = Fixture::new()?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    fs::write(fixture.manifest(), manifest + VIEW)?;
    Ok(fixture)
}

async fn entries(node: &Node) -> Result<Vec<Value>> {
    let document = document(node, "/v1/datasets").await?;
    let entries = document["datasets"].as_array().context("no list")?;
    Ok(entries.clone())
}

#[tokio::test]
async fn every_node_lists_the_datasets_and_views_that_it_has_open() -> Result<()> {
    let fixture = with_view()?;
    let scheduler = fixture.scheduler().await?;
    let executor = fixture.executor(&scheduler).await?;
    let single = Node::start(standalone(&fixture)?).await?;
    let data = fixture.directory().join("numbers");
    let source = format!("file:{}", data.display());
    let expected = [
        json!({"name": "numbers", "kind": "dataset", "source": source, "status": "ready",
               "error": null}),
        json!({"name": "doubled", "kind": "view", "source": null, "status": "ready",
               "error": null}),
    ];
    for node in [&scheduler, &executor, &single] {
        let entries = entries(node).await?;
        ensure!(entries == expected, "{}: {entries:?}", node.name());
    }
    Ok(())
}

#[tokio::test]
async fn data_that_has_gone_is_told_until_it_is_back() -> Result<()> {
    let fixture = with_view()?;
    let scheduler = fixture.scheduler().await?;
    let data = fixture.directory().join("numbers");
    let away = fixture.directory().join("away");
    fs::rename(&data, &away)?;
    for entry in entries(&scheduler).await? {
        ensure!(entry["status"] == "error", "{entry}");
        let error = entry["error"].as_str().unwrap_or_default();
        ensure!(error.contains("does not exist"), "{entry}");
    }
    let shown = spice(&scheduler, &["datasets"]).await?;
    ensure!(shown.code == Some(0), "{shown:?}");
    ensure!(
        shown.stdout.contains("\n! dataset `numbers`: "),
        "{shown:?}"
    );

    fs::rename(&away, &data)?;
    for entry in entries(&scheduler).await? {
        ensure!(entry["status"] == "ready", "{entry}");
    }
    let shown = spice(&scheduler, &["datasets"]).await?;
    ensure!(!shown.stdout.contains('!'), "{shown:?}");
    Ok(())
}

//! Queries that run while the definition changes.

use anyhow::{Result, ensure};
use cluster_test::{Listener, LogLine, SqlClient};
use serde_json::json;
use tokio::time::timeout;

use super::{CHANGED, Scene, manifest, write, write_manifest};
use crate::fixture::PATIENCE;
use crate::heavy::{self, Heavy};
use crate::rows::Rows;

#[tokio::test(flavor = "multi_thread")]
async fn a_query_in_flight_ends_with_what_it_began_with() -> Result<()> {
    let scene = Scene::start().await?;
    let directory = scene.fixture.directory();
    let load = Heavy::write(directory)?;
    scene.change_to(&manifest(&load.datasets(), "")).await?;
    let flight = scene.scheduler()?.address(Listener::Flight)?;
    // Two stages: the tasks of the second are given out after the change.
    let sql = load.some_seconds();
    let query = tokio::spawn(async move {
        let mut client = SqlClient::connect(flight).await?;
        Rows::read(&client.query(&sql).await?)
    });
    heavy::running(&scene.cluster, &["executor1", "executor2"]).await?;

    write(&directory.join("other.csv"), "n\n7\n")?;
    let other = "  - {name: heavy, from: 'file:other.csv', params: {file_format: csv}}\n";
    let log = scene.scheduler()?.log();
    let before = log.lines().len();
    write_manifest(&scene.fixture, &manifest(other, ""))?;
    // Asked for once it is there, it is looked at sooner than it would be.
    scene.scheduler()?.hang_up().await?;
    let changed = |line: &LogLine| line.message() == CHANGED;
    let changed = log.wait_for_after(before, changed, PATIENCE).await?;
    ensure!(!query.is_finished(), "it was over before");
    ensure!(changed.value("ready") == Some(&json!(2)), "{changed:?}");
    let new = scene.cluster.sql("SELECT n FROM heavy").await?;
    ensure!(Rows::read(&new)?.len() == 1, "new queries see the new data");
    ensure!(!query.is_finished(), "it was over before");

    let rows = timeout(heavy::PATIENCE, query).await???;
    ensure!(
        rows.difference(&load.expected()?, &[]).is_none(),
        "{rows:?}"
    );
    let again = "query lost with an executor, running it again";
    ensure!(!log.lines().iter().any(|line| line.message() == again));
    Ok(())
}

//! Schedulers that do not serve the same.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use cluster_test::{LogLine, Node};

use super::{Cluster, Place, id, knows_of, listed};
use crate::fixture::PATIENCE;
use crate::status::command::spice;

const DIFFERS: &str = "scheduler serves another application, give both the same spicepod";
const AGREES: &str = "scheduler serves the same application again";

const VIEW: &str = "views:\n  - {name: doubled, sql: SELECT n * 2 AS n FROM numbers}\n";

/// Puts `text` in place in one step.
fn replace(manifest: &Path, text: &str) -> Result<()> {
    let new = manifest.with_extension("new");
    fs::write(&new, text)?;
    Ok(fs::rename(new, manifest)?)
}

#[tokio::test]
async fn schedulers_with_other_spicepods_are_marked_and_told_of_once_until_they_agree_again()
-> Result<()> {
    let cluster = Cluster::in_directory()?;
    let (manifest, other) = (
        cluster.fixture.manifest(),
        cluster.fixture.directory().join("other.yaml"),
    );
    let original = fs::read_to_string(&manifest)?;
    fs::write(&other, &original)?;
    let first = cluster.start("scheduler1").await?;
    let launch = cluster.launch_with(other.clone(), "scheduler2", Place::ANY)?;
    let second = Node::start(launch).await?;
    let pair = [(&first, id(&second)?), (&second, id(&first)?)];
    for (scheduler, peer) in &pair {
        knows_of(scheduler, 2).await?;
        let same = listed(scheduler).await?[peer].clone();
        ensure!(same["app_digest"].is_string(), "{same}");
        ensure!(same["app_differs"] == false, "{same}");
    }

    let changed = original + VIEW;
    replace(&other, &changed)?;
    for (scheduler, peer) in &pair {
        let told = |line: &LogLine| {
            line.message() == DIFFERS && line.field("scheduler") == Some(peer.as_str())
        };
        let line = scheduler.log().wait_for(told, PATIENCE).await?;
        ensure!(line.field("level") == Some("WARN"), "{line:?}");
        let digest = line.field("theirs").context("no digest")?;
        let marked = listed(scheduler).await?[peer].clone();
        ensure!(marked["app_digest"] == digest, "{marked}");
        ensure!(marked["app_differs"] == true, "{marked}");
        let shown = spice(scheduler, &["nodes"]).await?.stdout;
        let remark = format!("! {peer} serves another application than this scheduler");
        let short = format!("  ! {}  ", &digest[..12]);
        ensure!(shown.contains(&remark) && shown.contains(&short), "{shown}");
    }

    replace(&manifest, &changed)?;
    for (scheduler, peer) in &pair {
        let told = |line: &LogLine| {
            line.message() == AGREES && line.field("scheduler") == Some(peer.as_str())
        };
        let line = scheduler.log().wait_for(told, PATIENCE).await?;
        ensure!(line.field("level") == Some("INFO"), "{line:?}");
        let same = listed(scheduler).await?[peer].clone();
        ensure!(same["app_digest"].is_string(), "{same}");
        ensure!(same["app_differs"] == false, "{same}");
        let shown = spice(scheduler, &["nodes"]).await?.stdout;
        ensure!(!shown.contains("serves another"), "{shown}");
        let lines = scheduler.log().lines();
        let warned = lines.iter().filter(|line| line.message() == DIFFERS);
        ensure!(warned.count() == 1);
    }
    Ok(())
}

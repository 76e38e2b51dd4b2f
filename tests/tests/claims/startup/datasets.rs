//! Data that is not where the spicepod says.

use std::fs;

use anyhow::{Result, ensure};
use cluster_test::{LogLine, Node};

use super::{Faults, HEADING, scheduler};
use crate::fixture::Fixture;

#[tokio::test]
async fn a_scheduler_names_every_dataset_that_is_not_there() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    let manifest = fs::read_to_string(fixture.manifest())?;
    let second = "  - name: letters\n    from: file:letters.csv\n";
    fs::write(fixture.manifest(), manifest + second)?;
    fs::remove_dir_all(fixture.directory().join("numbers"))?;
    let faults = Faults::of(fixture.launch(&arguments, &[])).await?;
    for (dataset, path) in [("numbers", "numbers"), ("letters", "letters.csv")] {
        let path = fixture.directory().join(path).display().to_string();
        let dataset = format!("dataset `{dataset}`");
        faults.tell(&[&dataset, &path, "does not exist", "correct `from`"])?;
    }
    Ok(())
}

/// The executor has no spicepod: what it cannot open it learned from the scheduler, after it
/// joined far enough to be told.
#[tokio::test]
async fn an_executor_that_cannot_read_a_dataset_says_which_and_ends() -> Result<()> {
    let fixture = Fixture::new()?;
    let scheduler = fixture.scheduler().await?;
    let data = fixture.directory().join("numbers");
    fs::rename(&data, fixture.directory().join("away"))?;
    let arguments = fixture.executor_of(&scheduler)?;
    let (status, log) = Node::run_to_end(fixture.launch(&arguments, &[])).await?;
    let text = log.tail(usize::MAX);
    ensure!(status.code() == Some(1), "{status}: {text}");
    let report = text.split(HEADING).nth(1).unwrap_or_default();
    for words in [
        "1. ",
        "this executor",
        "dataset `numbers`",
        "does not exist",
    ] {
        ensure!(report.contains(words), "no {words:?} in {text}");
    }
    ensure!(report.contains(&data.display().to_string()), "{text}");
    let joined = |line: &LogLine| line.message() == "executor connected";
    ensure!(!scheduler.log().lines().iter().any(|line| joined(line)));
    let left = fs::read_dir(arguments.data.join("shuffle"))?.count();
    ensure!(
        left == 0,
        "{left} entries are left in the shuffle directory"
    );

    fs::rename(fixture.directory().join("away"), &data)?;
    Node::start(fixture.launch(&arguments, &[])).await?;
    Ok(())
}

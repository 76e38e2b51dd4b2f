//! The spicepod.

use std::fs;

use anyhow::Result;
use cluster_test::HeldFile;

use super::{Faults, scheduler};
use crate::fixture::Fixture;

async fn faults_of(manifest: &str) -> Result<Faults> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    fs::write(fixture.manifest(), manifest)?;
    Faults::of(fixture.launch(&arguments, &[])).await
}

#[tokio::test]
async fn yaml_that_does_not_parse_is_told_with_its_place() -> Result<()> {
    let faults = faults_of("version: v1\nkind: Spicepod\nname: [x\n").await?;
    faults.tell_only(&["spicepod.yaml:3:7", "bracket"])
}

#[tokio::test]
async fn an_unknown_key_is_told_with_its_place_and_the_known_one_beside_it() -> Result<()> {
    let faults = faults_of(
        "version: v1\nkind: Spicepod\nname: x\ndatasets:\n  - name: numbers\n    form: file:numbers/\n",
    )
    .await?;
    faults.tell(&["spicepod.yaml:6:5", "form", "did you mean `from`"])
}

#[tokio::test]
async fn a_manifest_that_is_not_there_is_told_with_where_it_was_looked_for() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    fs::remove_file(fixture.manifest())?;
    let faults = Faults::of(fixture.launch(&arguments, &[])).await?;
    faults.tell_only(&[&fixture.manifest().display().to_string()])
}

#[tokio::test]
async fn files_that_cannot_be_read_in_time_are_told_beside_the_other_faults() -> Result<()> {
    let fixture = Fixture::new()?;
    let (arguments, _) = scheduler(&fixture)?;
    let mut launch = fixture.launch(&arguments, &["--task-slots", "4"]);
    // It waits for the files for half a minute.
    launch.patience *= 3;
    let held = HeldFile::hold(&fixture.manifest()).await?;
    let faults = Faults::of(launch).await?;
    faults.tell(&["not read within 30 s"])?;
    faults.tell(&["--task-slots is for executors"])?;
    faults.count(2)?;
    held.release().await
}

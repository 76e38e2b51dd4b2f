//! The benchmarks, always with optimized binaries.

mod certificates;

use anyhow::Result;

use crate::binaries::{self, Profile};
use crate::suite;
use crate::workspace::{Workspace, succeed};

/// Builds for release and runs the benchmark of the cluster with `argument`, if there is one.
pub(crate) fn run(workspace: &Workspace, argument: Option<&str>) -> Result<()> {
    of_the_cluster(workspace, "cluster", argument)
}

/// Builds for release and measures the control streams of many executors.
pub(crate) fn control(workspace: &Workspace, argument: Option<&str>) -> Result<()> {
    of_the_cluster(workspace, "control", argument)
}

fn of_the_cluster(workspace: &Workspace, bench: &str, argument: Option<&str>) -> Result<()> {
    let directory = binaries::build(workspace, Profile::Release)?;
    let (variable, value) = binaries::bin_dir_entry(directory);
    let mut command = workspace.cargo();
    // The whole workspace is selected for its feature set; only one package has the bench.
    command
        .args(["bench", "--workspace", "--bench", bench, "--"])
        .args(argument)
        .env(variable, value);
    succeed(&mut command)
}

/// Runs the benchmark of the state that schedulers share with `argument`, if there is one.
pub(crate) fn state(workspace: &Workspace, argument: Option<&str>) -> Result<()> {
    let (variable, python) = suite::servers::see_to()?;
    let mut command = workspace.cargo();
    command
        .args(["bench", "--workspace", "--bench", "state", "--"])
        .args(argument)
        .env(variable, python);
    succeed(&mut command)
}

/// Runs the benchmark of cluster-tls with `argument`, if there is one.
///
/// That package alone is built: the query engine takes half an hour and is not asked.
pub(crate) fn transport(workspace: &Workspace, argument: Option<&str>) -> Result<()> {
    let mut command = workspace.cargo();
    command
        .args(["bench", "-p", "cluster-tls", "--features", "notify,tonic"])
        .args(["--bench", "transport", "--"])
        .args(argument);
    succeed(&mut command)
}

/// Runs the comparison of one certificate with those of other tools.
pub(crate) fn certificates(workspace: &Workspace) -> Result<()> {
    certificates::run(workspace)
}

//! The benchmark of the cluster, always with optimized binaries.

use anyhow::Result;

use crate::binaries::{self, Profile};
use crate::workspace::{Workspace, succeed};

/// Builds for release and runs the benchmark with `argument`, if there is one.
pub(crate) fn run(workspace: &Workspace, argument: Option<&str>) -> Result<()> {
    let directory = binaries::build(workspace, Profile::Release)?;
    let (variable, value) = binaries::bin_dir_entry(directory);
    let mut command = workspace.cargo();
    // The whole workspace is selected for its feature set; only one package has the bench.
    command
        .args(["bench", "--workspace", "--bench", "cluster", "--"])
        .args(argument)
        .env(variable, value);
    succeed(&mut command)
}

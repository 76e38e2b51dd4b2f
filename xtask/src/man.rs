//! The manual pages of `spice`, written by `spice` itself.

use std::path::{self, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::{Workspace, succeed};

/// Builds `spice` and lets it write its pages into `directory`, or into `man` of the target
/// directory.
///
/// `spice` is built alone: it has no query engine, so that this is no second build of it.
pub(crate) fn run(workspace: &Workspace, directory: Option<PathBuf>) -> Result<()> {
    let directory = match directory {
        // Cargo is started in the workspace's root, and the path was typed elsewhere.
        Some(given) => path::absolute(&given)
            .with_context(|| format!("cannot make out where {} is", given.display()))?,
        None => workspace.target().join("man"),
    };
    let mut command = workspace.cargo();
    command.args(["run", "--package", "spice-cli", "--bin", "spice", "--"]);
    command.arg("man").arg(directory);
    succeed(&mut command)
}

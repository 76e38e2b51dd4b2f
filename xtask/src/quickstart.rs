//! Builds everything, then hands over to the demonstration.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result};

use crate::binaries::{self, Profile};
use crate::workspace::Workspace;

/// Builds, then becomes the `quickstart` program: with no process in between, Ctrl-C and the
/// exit status are its own.
pub(crate) fn run(workspace: &Workspace, profile: Profile, arguments: &[String]) -> Result<()> {
    let directory = binaries::build(workspace, profile)?;
    let program = directory.join("quickstart");
    let (variable, value) = binaries::bin_dir_entry(directory);
    let error = Command::new(&program)
        .args(arguments)
        .env(variable, value)
        .exec();
    Err(error).with_context(|| format!("cannot start {}", program.display()))
}

//! Programs of others that checks run, at one version, installed on first use.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::workspace::{Workspace, cache_dir, output, succeed};

/// A program from the registry.
pub(crate) struct Tool {
    /// Its package, which is also what the program is called.
    pub(crate) name: &'static str,
    /// The only version that is used: a build must not change by itself.
    pub(crate) version: &'static str,
    /// How long who waits has to wait, on two cores.
    pub(crate) first_time: &'static str,
}

impl Tool {
    /// The path of the program, which is installed where it is missing or another version.
    pub(crate) fn installed(&self, workspace: &Workspace) -> Result<PathBuf> {
        let root = cache_dir()?.join("tools");
        let program = root.join("bin").join(self.name);
        if !self.is_pinned(&program) {
            eprintln!(
                "installing {} {}: this takes about {}, once",
                self.name, self.version, self.first_time
            );
            self.install(workspace, &root)?;
        }
        Ok(program)
    }

    /// Its `--version` prints the name and the version.
    fn is_pinned(&self, program: &Path) -> bool {
        output(Command::new(program).arg("--version"))
            .is_ok_and(|text| text.split_whitespace().nth(1) == Some(self.version))
    }

    fn install(&self, workspace: &Workspace, root: &Path) -> Result<()> {
        let mut command = workspace.cargo();
        command
            .args(["install", "--locked", "--debug", "--version", self.version])
            .arg("--root")
            .arg(root)
            .arg(self.name)
            // Apart from the workspace's own output, which a tool's crates would only fill.
            .env("CARGO_TARGET_DIR", root.join("target"))
            .env("CARGO_PROFILE_DEV_DEBUG", "0");
        succeed(&mut command)
    }
}

//! Python packages that checks use, in environments of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::interop::packages;
use crate::workspace::{cache_dir, output, succeed};

/// An environment that holds exactly the named packages, and what those bring along.
pub(crate) struct Environment {
    /// Its directory within the cache.
    pub(crate) name: &'static str,
    /// Pinned, so that a failure is ours and not a release of today.
    pub(crate) requirements: &'static [&'static str],
}

impl Environment {
    /// Its interpreter; the packages are installed where they are missing.
    pub(crate) fn interpreter(&self) -> Result<PathBuf> {
        let directory = cache_dir()?.join(self.name);
        let python = directory.join("bin/python");
        // Written last: an installation that was interrupted starts over.
        let stamp = directory.join("installed");
        let wanted = self.requirements.join("\n");
        if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
            return Ok(python);
        }
        create(&directory)?;
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(self.requirements);
        succeed(&mut pip)?;
        fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
        Ok(python)
    }
}

fn create(directory: &Path) -> Result<()> {
    let make = || {
        let mut command = Command::new("python3");
        command.args(["-m", "venv", "--clear"]).arg(directory);
        output(&mut command)
    };
    // Debian has the module in a package of its own, also where Python is there.
    if make().is_err() {
        packages::install(&["python3", "python3-venv"])?;
        make().context("Python 3 does not make an environment with its venv module")?;
    }
    Ok(())
}

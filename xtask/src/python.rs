//! Python packages that checks use, in environments of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

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
    let mut command = Command::new("python3");
    command.args(["-m", "venv", "--clear"]).arg(directory);
    if let Err(error) = output(&mut command) {
        bail!(
            "{error:#}\nthis check needs Python 3 with its venv module: \
             on Debian and Ubuntu `apt-get install python3-venv`"
        );
    }
    Ok(())
}

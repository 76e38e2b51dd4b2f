//! Programs of others against ours: TLS implementations against cluster-tls, readers of
//! certificates against the `spice` command, an unmodified Flight SQL client against a real node;
//! and the pages of the README on two machines.

mod certificates;
pub(crate) mod packages;
mod tls;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::binaries::{self, Profile};
use crate::workspace::{Workspace, cache_dir, output, succeed};

/// Pinned, so that a failure is ours and not a release of today.
const REQUIREMENTS: [&str; 4] = [
    "adbc-driver-manager==1.13.0",
    "adbc-driver-flightsql==1.13.0",
    "pyarrow==26.0.1",
    // Brings the schemas of the Kubernetes versions that the tests name.
    "kubernetes-validate==1.37.0",
];

/// Runs all checks; those that build less come first.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    tls::run(workspace)?;
    let python = environment()?;
    certificates::run(workspace, &python)?;
    packages::see_to(&PAGE_TOOLS, &[])?;
    let directory = binaries::build(workspace, Profile::Dev)?;
    flight_sql(workspace, &python, &directory)?;
    page(workspace, &python, &directory)
}

/// What makes two machines of one.
const PAGE_TOOLS: [(&str, &str); 4] = [
    ("ip", "iproute2"),
    ("curl", "curl"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// Types what the README says on a machine for each node.
fn page(workspace: &Workspace, python: &Path, directory: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command
        .arg(workspace.root().join("tests/interop/page.py"))
        .arg(directory)
        .arg(workspace.root().join("README.md"));
    succeed(&mut command)
}

/// Runs the script, which starts a node.
fn flight_sql(workspace: &Workspace, python: &Path, directory: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command
        .arg(workspace.root().join("tests/interop/flightsql.py"))
        .arg(directory.join("spiced"));
    succeed(&mut command)
}

/// The interpreter of an environment that holds exactly the pinned packages.
fn environment() -> Result<PathBuf> {
    let venv = cache_dir()?.join("venv");
    let python = venv.join("bin/python");
    // Written last: an installation that was interrupted starts over.
    let stamp = venv.join("installed");
    let wanted = REQUIREMENTS.join("\n");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(python);
    }
    create(&venv)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(REQUIREMENTS);
    succeed(&mut pip)?;
    fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(python)
}

fn create(venv: &Path) -> Result<()> {
    let mut command = Command::new("python3");
    command.args(["-m", "venv", "--clear"]).arg(venv);
    if let Err(error) = output(&mut command) {
        bail!(
            "{error:#}\nthe interoperability check needs Python 3 with its venv module: \
             on Debian and Ubuntu `apt-get install python3-venv`"
        );
    }
    Ok(())
}

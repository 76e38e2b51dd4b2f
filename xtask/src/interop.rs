//! Programs of others against ours: TLS implementations against cluster-tls, readers of
//! certificates against the `spice` command, an unmodified Flight SQL client against a real node;
//! the pages of the README on two machines, and a cable between them that is pulled.

mod certificates;
pub(crate) mod packages;
mod tls;

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::binaries::{self, Profile};
use crate::python::Environment;
use crate::workspace::{Workspace, succeed};

/// What programs of others in Python need.
const PYTHON: Environment = Environment {
    name: "venv",
    requirements: &[
        "adbc-driver-manager==1.13.0",
        "adbc-driver-flightsql==1.13.0",
        "pyarrow==26.0.1",
        // Brings the schemas of the Kubernetes versions that the tests name.
        "kubernetes-validate==1.37.0",
    ],
};

/// Runs all checks; those that build less come first.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    tls::run(workspace)?;
    let python = PYTHON.interpreter()?;
    certificates::run(workspace, &python)?;
    packages::see_to(&PAGE_TOOLS, &[])?;
    let directory = binaries::build(workspace, Profile::Dev)?;
    flight_sql(workspace, &python, &directory)?;
    page(workspace, &python, &directory)?;
    cut(workspace, &python, &directory)
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

/// Pulls the cable between a scheduler and one of its executors.
fn cut(workspace: &Workspace, python: &Path, directory: &Path) -> Result<()> {
    let mut command = Command::new(python);
    command
        .arg(workspace.root().join("tests/interop/cut.py"))
        .arg(directory);
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

//! OpenSSL, GnuTLS, Java and Kubernetes against the certificates of `spice`; kills, interrupts and
//! full disks against the commands that write them.

use std::env;
use std::path::Path;

use anyhow::{Context, Result};

use super::packages;
use crate::workspace::{Workspace, succeed};

const TOOLS: [(&str, &str); 7] = [
    ("openssl", "openssl"),
    ("certtool", "gnutls-bin"),
    ("keytool", "default-jre-headless"),
    ("strace", "strace"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
];

const VERSIONS: [[&str; 2]; 5] = [
    ["openssl", "version"],
    ["certtool", "--version"],
    ["java", "--version"],
    ["strace", "--version"],
    ["unshare", "--version"],
];

/// Sees to the tools and runs the test target that starts them, `kubernetes-validate` out of the
/// environment of `python`. The whole workspace is selected for the reason that
/// [`tls`](super::tls::run) gives.
pub(super) fn run(workspace: &Workspace, python: &Path) -> Result<()> {
    packages::see_to(&TOOLS, &VERSIONS)?;
    let programs = python
        .parent()
        .context("an interpreter is in a directory")?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = [programs.to_owned()]
        .into_iter()
        .chain(env::split_paths(&path));
    let mut tests = workspace.cargo();
    tests
        .args(["test", "--workspace", "--test", "certificates"])
        .env("PATH", env::join_paths(path)?);
    succeed(&mut tests)
}

//! OpenSSL, GnuTLS and cfssl against cluster-tls.

use anyhow::Result;

use super::packages;
use crate::workspace::{Workspace, succeed};

const TOOLS: [(&str, &str); 7] = [
    ("openssl", "openssl"),
    ("gnutls-cli", "gnutls-bin"),
    ("gnutls-serv", "gnutls-bin"),
    ("certtool", "gnutls-bin"),
    ("cfssl", "golang-cfssl"),
    ("cfssljson", "golang-cfssl"),
    ("stdbuf", "coreutils"),
];

const VERSIONS: [[&str; 2]; 3] = [
    ["openssl", "version"],
    ["gnutls-cli", "--version"],
    ["cfssl", "version"],
];

/// Sees to the tools and runs the test target that talks to them.
///
/// The whole workspace is selected although one target of one package is built: the features of
/// its dependencies are then those of `cargo test --workspace`, and after that nothing but the
/// target itself is compiled. Selecting cluster-tls alone would build 30 crates anew.
pub(super) fn run(workspace: &Workspace) -> Result<()> {
    packages::see_to(&TOOLS, &VERSIONS)?;
    let mut tests = workspace.cargo();
    tests.args(["test", "--workspace", "--test", "interop"]);
    succeed(&mut tests)
}

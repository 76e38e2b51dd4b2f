//! OpenSSL, GnuTLS and cfssl against cluster-tls.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{Workspace, output, succeed};

/// The programs that the tests start, and the Debian packages that they are in.
const TOOLS: [(&str, &str); 7] = [
    ("openssl", "openssl"),
    ("gnutls-cli", "gnutls-bin"),
    ("gnutls-serv", "gnutls-bin"),
    ("certtool", "gnutls-bin"),
    ("cfssl", "golang-cfssl"),
    ("cfssljson", "golang-cfssl"),
    ("stdbuf", "coreutils"),
];

/// How the versions are asked for: what passes with one may fail with another.
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
    let missing = missing_packages(&TOOLS, is_installed);
    if !missing.is_empty() {
        install(&missing)?;
    }
    for [program, argument] in VERSIONS {
        let version = output(Command::new(program).arg(argument))?;
        eprintln!("{program}: {}", version.lines().next().unwrap_or("unknown"));
    }
    let mut tests = workspace.cargo();
    tests.args(["test", "--workspace", "--test", "interop"]);
    succeed(&mut tests)
}

/// Each package once, in the order of the alphabet.
fn missing_packages<'a>(
    tools: &[(&'a str, &'a str)],
    is_installed: impl Fn(&str) -> bool,
) -> Vec<&'a str> {
    let missing = tools.iter().filter(|(program, _)| !is_installed(program));
    let packages: BTreeSet<_> = missing.map(|(_, package)| *package).collect();
    packages.into_iter().collect()
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Installs what is missing where nobody has to be asked for a password, as in a CI container.
fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    ensure!(
        is_installed("apt-get") && is_root(),
        "the check against other TLS implementations needs programs of {names}: \
         on Debian and Ubuntu `sudo apt-get install {names}`"
    );
    eprintln!("installing {names}");
    apt_get(&["update", "--quiet"])?;
    let options = ["install", "--quiet", "--yes", "--no-install-recommends"];
    apt_get(&[&options, packages].concat())
        .with_context(|| format!("cannot install {names} for the check against other TLS"))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    succeed(&mut command)
}

fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once_whichever_of_its_programs_is_missing() {
        let missing = missing_packages(&TOOLS, |program| program == "openssl");
        assert_eq!(missing, ["coreutils", "gnutls-bin", "golang-cfssl"]);
        assert!(missing_packages(&TOOLS, |_| true).is_empty());
    }
}

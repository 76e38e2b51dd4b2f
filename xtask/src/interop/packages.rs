//! The programs of others: where they are missing their packages are installed.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

use crate::workspace::{output, succeed};

/// Programs, and the Debian packages that they are in.
pub(crate) type Tools = [(&'static str, &'static str)];

/// Programs and how each is asked for its version: what passes with one may fail with another.
pub(crate) type Versions = [[&'static str; 2]];

/// Installs what is missing and says which versions there are.
pub(crate) fn see_to(tools: &Tools, versions: &Versions) -> Result<()> {
    let missing = missing_packages(tools, is_installed);
    if !missing.is_empty() {
        install(&missing)?;
    }
    for [program, argument] in versions {
        let version = output(Command::new(program).arg(argument))?;
        eprintln!("{program}: {}", version.lines().next().unwrap_or("unknown"));
    }
    Ok(())
}

/// Each package once, in the order of the alphabet.
fn missing_packages(tools: &Tools, is_installed: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let missing = tools.iter().filter(|(program, _)| !is_installed(program));
    let packages: BTreeSet<_> = missing.map(|(_, package)| *package).collect();
    packages.into_iter().collect()
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(apart())
        .any(|directory| directory.join(program).is_file())
}

/// Where packages keep programs that nobody is meant to type: those of each PostgreSQL version.
fn apart() -> impl Iterator<Item = PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter();
    let versions = versions.flatten().flatten();
    versions.map(|version| version.path().join("bin"))
}

/// Installs what is missing where nobody has to be asked for a password, as in a CI container.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    let names = packages.join(" ");
    ensure!(
        is_installed("apt-get") && is_root(),
        "this check needs the programs of {names}: \
         on Debian and Ubuntu `sudo apt-get install {names}`"
    );
    eprintln!("installing {names}");
    apt_get(&["update", "--quiet"])?;
    let options = ["install", "--quiet", "--yes", "--no-install-recommends"];
    apt_get(&[&options, packages].concat())
        .with_context(|| format!("cannot install {names}, which this check needs"))
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
        let tools = [
            ("openssl", "openssl"),
            ("gnutls-cli", "gnutls-bin"),
            ("stdbuf", "coreutils"),
            ("certtool", "gnutls-bin"),
        ];
        let missing = missing_packages(&tools, |program| program == "openssl");
        assert_eq!(missing, ["coreutils", "gnutls-bin"]);
        assert!(missing_packages(&tools, |_| true).is_empty());
    }
}

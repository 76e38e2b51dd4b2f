//! Licences, banned crates and sources of everything the workspace depends on.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::workspace::{Workspace, cache_dir, output, succeed};

/// Pinned: a new version may know new checks, and a build must not change by itself.
const VERSION: &str = "0.20.2";

/// Installs cargo-deny where it is missing and runs it.
///
/// Advisories are left out: their database is fetched from a host that a sealed-off CI cannot
/// reach. `cargo deny check` without arguments runs them as well.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let program = installed(workspace)?;
    let mut command = Command::new(program);
    command.current_dir(workspace.root()).args([
        "--workspace",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    succeed(&mut command)
}

/// The path of a cargo-deny of the pinned version.
fn installed(workspace: &Workspace) -> Result<PathBuf> {
    let root = cache_dir()?.join("tools");
    let program = root.join("bin/cargo-deny");
    if !is_pinned(&program) {
        eprintln!("installing cargo-deny {VERSION}: this takes about 5 minutes, once");
        install(workspace, &root)?;
    }
    Ok(program)
}

fn is_pinned(program: &Path) -> bool {
    output(Command::new(program).arg("--version"))
        .is_ok_and(|text| text.split_whitespace().nth(1) == Some(VERSION))
}

fn install(workspace: &Workspace, root: &Path) -> Result<()> {
    let mut command = workspace.cargo();
    command
        .args(["install", "--locked", "--debug", "--version", VERSION])
        .arg("--root")
        .arg(root)
        .arg("cargo-deny")
        // Apart from the workspace's own output, which a tool's crates would only fill.
        .env("CARGO_TARGET_DIR", root.join("target"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0");
    succeed(&mut command)
}

//! Licences, banned crates and sources of everything the workspace depends on.

use std::process::Command;

use anyhow::Result;

use crate::tool::Tool;
use crate::workspace::{Workspace, succeed};

const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    first_time: "5 minutes",
};

/// Installs cargo-deny where it is missing and runs it.
///
/// Advisories are left out: their database is fetched from a host that a sealed-off CI cannot
/// reach. `cargo deny check` without arguments runs them as well.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let program = CARGO_DENY.installed(workspace)?;
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

//! Options that the stable toolchain still guards, for checks whose output nobody ships.

use std::process::Command;

use crate::workspace::Workspace;

/// A cargo for rustdoc's JSON and the resolver's minimal versions.
///
/// The variable opens both on stable Rust; a nightly would have to be installed and pinned, and
/// would judge another language than the one we build with.
///
/// The build output is kept apart, because build scripts watch the variable (that of proc-macro2
/// does): in the shared directory everything above them would be compiled again, once with and
/// once without it, and that is the query engine.
pub(crate) fn cargo(workspace: &Workspace) -> Command {
    let mut command = workspace.cargo();
    command.env("RUSTC_BOOTSTRAP", "1").env(
        "CARGO_TARGET_DIR",
        workspace.target().join("xtask/unstable"),
    );
    command
}

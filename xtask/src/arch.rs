//! The rules of the architecture that a program can check.
//!
//! Three kinds: who may depend on whom (from `cargo metadata`), what a package must not even
//! link (from `cargo tree`), and which words may stand in which source files.

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;

use crate::workspace::Workspace;

mod code;
mod graph;
mod links;
mod rooms;
mod words;

/// Checks everything and names every broken rule, not only the first.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let metadata = MetadataCommand::new()
        .current_dir(workspace.root())
        .exec()
        .context("cargo metadata failed")?;
    let packages = graph::workspace_packages(&metadata);
    let mut broken = graph::broken_arrows(&packages, &rooms::ROOMS, &rooms::GUARDED);
    broken.extend(links::broken(&links::LINKS, |package| {
        links::linked_by(workspace, package)
    })?);
    broken.extend(links::broken_choices(&links::linked_crates(workspace)?));
    broken.extend(words::broken(&words::source_files(workspace.root())?));
    if broken.is_empty() {
        println!(
            "arch: {} packages keep the rules of ARCHITECTURE.md",
            packages.len()
        );
        return Ok(());
    }
    let list: Vec<String> = broken
        .iter()
        .enumerate()
        .map(|(index, rule)| format!("  {}. {rule}", index + 1))
        .collect();
    bail!("{} rules are broken\n{}", broken.len(), list.join("\n"))
}

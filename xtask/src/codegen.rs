//! The code of the internal wire, generated without protoc and checked in.
//!
//! Checked in so that a build needs no generator and a review sees what changed; never edited
//! by hand, which the check of this command proves.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{Workspace, succeed};

/// What to do with the generated files.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Replace what is checked in.
    Write,
    /// Fail when what is checked in differs.
    Check,
}

impl Mode {
    /// From the flag of the command line.
    pub(crate) fn from_check_flag(check: bool) -> Self {
        if check { Self::Check } else { Self::Write }
    }
}

/// Generates the code of `cluster-proto`.
pub(crate) fn run(workspace: &Workspace, mode: Mode) -> Result<()> {
    let crate_dir = workspace.root().join("crates/cluster-proto");
    let checked_in = crate_dir.join("src/generated");
    let fresh = workspace.target().join("xtask/generated");
    generate(&crate_dir.join("proto"), &fresh)?;
    format(workspace, &fresh)?;
    match mode {
        Mode::Write => replace(&checked_in, &fresh)?,
        Mode::Check => compare(&texts(&checked_in)?, &texts(&fresh)?)?,
    }
    println!("codegen: {} is up to date", checked_in.display());
    Ok(())
}

/// Compiles every `.proto` file under `protos` into an emptied `out`.
fn generate(protos: &Path, out: &Path) -> Result<()> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot empty {}", out.display()))?;
    }
    fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let files = files_with_extension(protos, "proto")?;
    ensure!(!files.is_empty(), "no .proto file in {}", protos.display());
    let descriptors =
        protox::compile(&files, [protos]).context("the .proto files do not compile")?;
    tonic_prost_build::configure()
        // The crate has no transport and no TLS: connections are made by cluster-tls alone.
        .build_transport(false)
        // The crate writes it, without the secret.
        .skip_debug(["spice.protobuf.ExpandSecretResponse"])
        .out_dir(out)
        .compile_fds(descriptors)
        .context("cannot generate code")
}

/// Formats as `cargo fmt` would, so that the two checks never disagree.
fn format(workspace: &Workspace, directory: &Path) -> Result<()> {
    let mut rustfmt = Command::new("rustfmt");
    rustfmt
        .current_dir(workspace.root())
        .args(["--edition", "2024"])
        .args(files_with_extension(directory, "rs")?);
    succeed(&mut rustfmt)
}

/// Makes `checked_in` hold exactly the files of `fresh`.
fn replace(checked_in: &Path, fresh: &Path) -> Result<()> {
    fs::create_dir_all(checked_in)
        .with_context(|| format!("cannot create {}", checked_in.display()))?;
    let wanted = texts(fresh)?;
    for name in texts(checked_in)?.keys() {
        if !wanted.contains_key(name) {
            fs::remove_file(checked_in.join(name))
                .with_context(|| format!("cannot remove {name}"))?;
        }
    }
    for (name, text) in &wanted {
        fs::write(checked_in.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

/// Fails with the names of all files that differ, are missing or are not generated.
fn compare(checked_in: &BTreeMap<String, String>, fresh: &BTreeMap<String, String>) -> Result<()> {
    let changed = fresh
        .iter()
        .filter(|(name, text)| checked_in.get(*name) != Some(text));
    let stale = checked_in.keys().filter(|name| !fresh.contains_key(*name));
    let names: Vec<&str> = changed
        .map(|(name, _)| name.as_str())
        .chain(stale.map(String::as_str))
        .collect();
    if names.is_empty() {
        return Ok(());
    }
    bail!(
        "generated code differs from the .proto files: {}; run `cargo xtask codegen`",
        names.join(", ")
    )
}

/// The files of a directory by name; an absent directory has none.
fn texts(directory: &Path) -> Result<BTreeMap<String, String>> {
    if !directory.exists() {
        return Ok(BTreeMap::new());
    }
    let mut texts = BTreeMap::new();
    for path in files_with_extension(directory, "rs")? {
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.file_name().unwrap_or_default();
        texts.insert(name.to_string_lossy().into_owned(), text);
    }
    Ok(texts)
}

fn files_with_extension(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    }

    #[test]
    fn equal_files_pass_the_comparison() {
        let same = files(&[("a.rs", "1"), ("b.rs", "2")]);
        compare(&same, &same.clone()).unwrap();
    }

    #[test]
    fn an_edited_a_missing_and_a_stale_file_are_all_named() {
        let checked_in = files(&[("edited.rs", "by hand"), ("stale.rs", "old")]);
        let fresh = files(&[("edited.rs", "generated"), ("missing.rs", "new")]);
        let text = compare(&checked_in, &fresh).unwrap_err().to_string();
        for name in ["edited.rs", "missing.rs", "stale.rs"] {
            assert!(text.contains(name), "{name} is not in {text}");
        }
    }
}

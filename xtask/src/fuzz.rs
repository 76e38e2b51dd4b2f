//! Made-up bytes for what strangers reach first, for a bounded time.
//!
//! Corpora are kept in `fuzz/corpus` and not checked in: each run goes on where the last one
//! ended, and a target builds the frames of its formats itself.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::tool::Tool;
use crate::workspace::{Workspace, succeed};

const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    first_time: "one minute",
};

/// Long enough to find what a change broke at the surface; nights are for `--seconds`.
pub(crate) const DEFAULT_SECONDS: u64 = 10;

/// More than a chain with its intermediates, so that nothing is left out for its length.
const MAX_INPUT_BYTES: usize = 16 * 1024;

/// Inputs of that size are read in microseconds: one that takes seconds is a way to stop a node.
const INPUT_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs one target, or all of them, and fails when any has found something.
pub(crate) fn run(workspace: &Workspace, target: Option<&str>, seconds: u64) -> Result<()> {
    let targets = selected(targets(workspace.root())?, target)?;
    take_lock_file(workspace.root())?;
    let program = CARGO_FUZZ.installed(workspace)?;
    let mut found = Vec::new();
    for target in &targets {
        println!("\n==> {target}");
        if let Err(error) = fuzz(workspace, &program, target, seconds) {
            eprintln!("error: {error:#}");
            found.push(target.as_str());
        }
    }
    ensure!(
        found.is_empty(),
        "fuzzing failed in {}: above stands the input, which was kept in fuzz/artifacts; a test \
         that feeds it to the library comes before the repair",
        found.join(", ")
    );
    println!(
        "fuzz: nothing found by {} in {seconds} s each",
        targets.join(", ")
    );
    Ok(())
}

/// The names of all targets, which are those of their files.
fn targets(root: &Path) -> Result<Vec<String>> {
    let directory = root.join("fuzz/fuzz_targets");
    let read = || format!("cannot read {}", directory.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).with_context(read)? {
        let path = entry.with_context(read)?.path();
        names.extend(
            path.file_stem()
                .map(|stem| stem.to_string_lossy().into_owned()),
        );
    }
    names.sort();
    Ok(names)
}

fn selected(targets: Vec<String>, wanted: Option<&str>) -> Result<Vec<String>> {
    match wanted {
        None => Ok(targets),
        Some(name) if targets.iter().any(|target| target == name) => Ok(vec![name.to_owned()]),
        Some(name) => bail!("no fuzz target {name}; there are {}", targets.join(", ")),
    }
}

/// What is fuzzed has the dependencies of what is shipped: cargo keeps the versions of a lock
/// file that it is given and adds to it what is new.
fn take_lock_file(root: &Path) -> Result<()> {
    fs::copy(root.join("Cargo.lock"), root.join("fuzz/Cargo.lock"))
        .context("cannot copy Cargo.lock to fuzz/")?;
    Ok(())
}

fn fuzz(workspace: &Workspace, program: &Path, target: &str, seconds: u64) -> Result<()> {
    let mut command = Command::new(program);
    command
        .current_dir(workspace.root())
        // The address sanitizer needs unstable options. It finds misuse of memory, of which
        // code without `unsafe` has none; panics and endless loops are found without it.
        .args(["run", "--sanitizer", "none"])
        .arg("--target-dir")
        .arg(workspace.target().join("xtask/fuzz"))
        .arg(target)
        .arg("--")
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MAX_INPUT_BYTES}"))
        .arg(format!("-timeout={}", INPUT_TIMEOUT.as_secs()))
        // How often it ran is worth a line; every input that reached new code is not.
        .args(["-verbosity=0", "-print_funcs=0", "-print_final_stats=1"]);
    succeed(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Vec<String> {
        vec!["crl".to_owned(), "first_bytes".to_owned()]
    }

    #[test]
    fn all_targets_run_unless_one_is_named() {
        assert_eq!(selected(names(), None).unwrap(), names());
        assert_eq!(selected(names(), Some("crl")).unwrap(), ["crl"]);
    }

    #[test]
    fn an_unknown_target_is_refused_with_those_there_are() {
        let error = selected(names(), Some("clr")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no fuzz target clr; there are crl, first_bytes"
        );
    }
}

//! Whether cluster-tls builds with the oldest dependencies that its manifest allows.
//!
//! In the workspace every dependency is at what the lock file holds, so a bound that is too low
//! goes unnoticed here and meets an embedder whose lock file is older than ours.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::unstable;
use crate::workspace::{Workspace, succeed};

/// What the manifest says about tests, examples and benches. Their dependencies are no embedder's,
/// and old ones would not even get along with each other.
const OF_TESTS: [&str; 4] = ["dev-dependencies", "test", "example", "bench"];

/// The default build, and what can be added to it without tools other than Rust's own.
const FEATURES: [&str; 3] = ["", "tonic", "notify"];

/// Copies the package out of the workspace, resolves it anew and checks it.
///
/// Only its direct dependencies are taken at their oldest: a bound between other people's crates
/// is not ours to repair. Those others are the newest there are, as in an embedder's first build.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let alone = workspace.target().join("xtask/minimal-versions");
    copy_package(workspace.root(), &alone)?;
    resolve(workspace, &alone)?;
    for features in FEATURES {
        check(workspace, &alone, features).with_context(|| {
            format!(
                "cluster-tls with features [{features}] does not build with the versions of {}: \
                 raise the bound of what is too old in the root Cargo.toml",
                alone.join("Cargo.lock").display()
            )
        })?;
    }
    println!("minimal-versions: cluster-tls builds with the oldest dependencies it allows");
    Ok(())
}

/// Replaces `alone` by a workspace with the package as its only member.
///
/// Other members would be resolved along, and their bounds would raise those under test.
fn copy_package(root: &Path, alone: &Path) -> Result<()> {
    if alone.exists() {
        fs::remove_dir_all(alone).with_context(|| format!("cannot empty {}", alone.display()))?;
    }
    let package = Path::new("crates/cluster-tls");
    copy(&root.join(package), &alone.join(package))?;
    let manifest = package.join("Cargo.toml");
    rewrite(&alone.join(manifest), |text| {
        Ok(without_tables(text, &OF_TESTS))
    })?;
    copy(&root.join("Cargo.toml"), &alone.join("Cargo.toml"))?;
    rewrite(&alone.join("Cargo.toml"), with_one_member)
}

fn rewrite(path: &Path, change: impl FnOnce(&str) -> Result<String>) -> Result<()> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    fs::write(path, change(&text)?).with_context(|| format!("cannot write {}", path.display()))
}

/// The root manifest with the list of its members replaced. What the package inherits from it
/// stays word for word.
fn with_one_member(manifest: &str) -> Result<String> {
    let is_members = |line: &&str| line.starts_with("members = ");
    ensure!(
        manifest.lines().filter(is_members).count() == 1,
        "the root Cargo.toml has no line `members = [...]`, or several"
    );
    let lines = manifest.lines().map(|line| {
        if is_members(&line) {
            "members = [\"crates/cluster-tls\"]"
        } else {
            line
        }
    });
    Ok(lines.flat_map(|line| [line, "\n"]).collect())
}

/// A manifest without the tables of these names, `[name]` and `[name.part]` and `[[name]]`.
fn without_tables(manifest: &str, names: &[&str]) -> String {
    let mut kept = String::new();
    let mut skipping = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            let header = line.trim_matches(['[', ']']);
            let name = header.split('.').next().unwrap_or(header);
            skipping = names.contains(&name);
        }
        if !skipping {
            kept.extend([line, "\n"]);
        }
    }
    kept
}

/// Copies a file, or a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let copied = || format!("cannot copy {} to {}", from.display(), to.display());
    if from.is_file() {
        fs::copy(from, to).with_context(copied)?;
        return Ok(());
    }
    fs::create_dir_all(to).with_context(copied)?;
    for entry in fs::read_dir(from).with_context(copied)? {
        let name = entry.with_context(copied)?.file_name();
        copy(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn resolve(workspace: &Workspace, alone: &Path) -> Result<()> {
    let mut command = unstable::cargo(workspace);
    command
        .args(["generate-lockfile", "-Z", "direct-minimal-versions"])
        .current_dir(alone);
    succeed(&mut command).context(
        "a bound in the root Cargo.toml is below what another dependency asks for: raise it to that",
    )
}

/// Nothing unstable is needed once the lock file is there.
fn check(workspace: &Workspace, alone: &Path, features: &str) -> Result<()> {
    let mut command = workspace.cargo();
    command
        .args(["check", "--locked", "--package", "cluster-tls", "--lib"])
        .arg(format!("--features={features}"))
        .env("CARGO_TARGET_DIR", build_output(workspace))
        .current_dir(alone);
    succeed(&mut command)
}

/// Apart from the workspace's own, which old versions of everything would only fill.
fn build_output(workspace: &Workspace) -> PathBuf {
    workspace.target().join("xtask/minimal-versions-target")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_only_member_is_the_package_and_the_rest_stays() {
        let manifest = "[workspace]\nmembers = [\"crates/*\", \"xtask\"]\n\n[workspace.package]\nedition = \"2024\"\n";
        assert_eq!(
            with_one_member(manifest).unwrap(),
            "[workspace]\nmembers = [\"crates/cluster-tls\"]\n\n[workspace.package]\nedition = \"2024\"\n"
        );
    }

    #[test]
    fn a_manifest_without_members_is_refused_and_not_resolved_as_it_is() {
        assert!(with_one_member("[workspace]\nmembers = []\nmembers = []\n").is_err());
        assert!(with_one_member("[workspace]\n").is_err());
    }

    #[test]
    fn tables_of_tests_go_and_those_of_the_product_stay() {
        let manifest = "\
            [dependencies]\nrustls = \"1\"\n\n\
            [[example]]\nname = \"hello\"\n\n\
            [dev-dependencies]\nrcgen = \"1\"\n\n\
            [dev-dependencies.axum]\nversion = \"1\"\n\n\
            [features]\ntest = []\n";
        assert_eq!(
            without_tables(manifest, &OF_TESTS),
            "[dependencies]\nrustls = \"1\"\n\n[features]\ntest = []\n"
        );
    }
}

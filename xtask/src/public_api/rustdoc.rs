//! The documentation of cluster-tls in the form that programs read.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::unstable;
use crate::workspace::{Workspace, succeed};

/// Documents the library, built with `features`.
///
/// Items hidden from the documentation are included: a user can name them, and they bind as
/// much as the others.
pub(super) fn json(workspace: &Workspace, features: &[&str]) -> Result<Value> {
    let path = workspace
        .target()
        .join("xtask/unstable/doc/cluster_tls.json");
    // All builds write to the same place: what an earlier one left must not be read as ours.
    remove(&path)?;
    let mut command = unstable::cargo(workspace);
    command
        .args(["rustdoc", "--quiet", "--package", "cluster-tls", "--lib"])
        .arg(format!("--features={}", features.join(",")))
        .args(["--", "-Zunstable-options", "--output-format", "json"])
        .arg("--document-hidden-items")
        // The promise is about the package alone, also where builds unify features.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    succeed(&mut command)?;
    let file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("{} is not JSON", path.display()))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

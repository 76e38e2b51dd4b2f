//! How many packages an embedder of cluster-tls takes on.
//!
//! Each is somebody else's code in the process that holds the private key. The numbers are for
//! the reviewer of a change; what fails is gRPC in the build of who did not ask for it.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};

use crate::workspace::{Workspace, output};

/// Proof that somebody's default feature brought a whole HTTP stack along.
const NOT_BY_DEFAULT: [&str; 3] = ["tonic", "hyper", "h2"];

/// Prints the numbers and fails when the default build holds what it must not.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let default = linked(workspace, "")?;
    let with_tonic = linked(workspace, "tonic")?;
    println!(
        "packages: below cluster-tls are {} by default and {} with tonic",
        default.len(),
        with_tonic.len()
    );
    let unasked = unasked(&default);
    ensure!(
        unasked.is_empty(),
        "cluster-tls has {} in its default build: `cargo tree -p cluster-tls -i {}` shows the way",
        unasked.join(", "),
        unasked[0]
    );
    Ok(())
}

/// The packages below cluster-tls, each `name vVERSION`: what is built for this platform and
/// ends in the program, the macros expanded on the way included.
fn linked(workspace: &Workspace, features: &str) -> Result<BTreeSet<String>> {
    let mut command = workspace.cargo();
    command
        .args(["tree", "--quiet", "--package", "cluster-tls"])
        .args(["--edges", "normal", "--prefix", "none"])
        .arg(format!("--features={features}"))
        // The count is of the package alone, also where builds unify features.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    Ok(packages(&output(&mut command)?))
}

/// Reads lines like `rustls v0.23.46 (*)`. The first one is the package itself.
fn packages(tree: &str) -> BTreeSet<String> {
    let package = |line: &str| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    };
    tree.lines().skip(1).filter_map(package).collect()
}

fn unasked(packages: &BTreeSet<String>) -> Vec<&'static str> {
    let is_there = |name: &&str| {
        packages
            .iter()
            .any(|package| package.split(' ').next() == Some(*name))
    };
    NOT_BY_DEFAULT.into_iter().filter(is_there).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_counts_once_and_each_of_its_versions_does() {
        let tree = "cluster-tls v0.1.0 (/x)\nrustls v0.23.46\nlog v0.4.1\nrustls v0.23.46 (*)\nlog v0.3.9\n";
        assert_eq!(packages(tree).len(), 3);
    }

    #[test]
    fn an_http_stack_in_the_default_build_is_named() {
        let lean = packages("cluster-tls v0.1.0\ntokio v1.52.0\nhyper-util v0.1.21\nhttp v1.1.0");
        assert!(unasked(&lean).is_empty());
        let heavy = packages("cluster-tls v0.1.0\ntonic v0.14.9\nhyper v1.12.0\ntokio v1.52.0");
        assert_eq!(unasked(&heavy), ["tonic", "hyper"]);
    }
}

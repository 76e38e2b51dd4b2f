//! What ends up in a package's program, dependencies of dependencies included.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use crate::workspace::{Workspace, output};

/// A crate that must not be linked by a package, however long the way to it is.
pub(super) struct Link {
    package: &'static str,
    banned: &'static str,
    reason: &'static str,
}

/// The promises that an embedder and an operator rely on.
pub(super) const LINKS: [Link; 6] = [
    Link {
        package: "spiced",
        banned: "cluster-pki",
        reason: "a node must not even link the code that can sign",
    },
    Link {
        package: "spiced",
        banned: "rcgen",
        reason: "a node must not even link the code that can sign",
    },
    Link {
        package: "cluster-tls",
        banned: "tonic",
        reason: "gRPC is an optional feature of the TLS library",
    },
    Link {
        package: "cluster-proto",
        banned: "rustls",
        reason: "the wire has messages and no transport",
    },
    Link {
        package: "spice-cli",
        banned: "datafusion",
        reason: "the command line tool executes no query itself",
    },
    Link {
        package: "xtask",
        banned: "datafusion",
        reason: "a first `cargo xtask arch` must not compile the query engine",
    },
];

/// TLS stacks and parsers that were decided against, or are no longer maintained.
const REJECTED: [&str; 7] = [
    "ring",
    "openssl",
    "openssl-sys",
    "native-tls",
    "rustls-pemfile",
    "webpki",
    "serde_yaml",
];

/// Crates whose types cross our rooms: a second version would not fit the first. object_store is
/// not among them: the newer one speaks to S3 behind an adapter, and its types stay there.
const SINGLE: [&str; 5] = ["rustls", "rustls-webpki", "tonic", "arrow", "datafusion"];

/// One sentence for each promise that `linked_by` shows broken.
pub(super) fn broken(
    links: &[Link],
    mut linked_by: impl FnMut(&str) -> Result<BTreeSet<Linked>>,
) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for link in links {
        let linked = linked_by(link.package)?;
        if linked.iter().any(|found| found.name == link.banned) {
            broken.push(format!(
                "{} links {}: {} (`cargo tree -p {} -i {}`)",
                link.package, link.banned, link.reason, link.package, link.banned
            ));
        }
    }
    Ok(broken)
}

/// One sentence for each rejected crate, and for each crate that is there in two versions.
pub(super) fn broken_choices(linked: &BTreeSet<Linked>) -> Vec<String> {
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for found in linked {
        versions
            .entry(&found.name)
            .or_default()
            .push(&found.version);
    }
    let rejected = REJECTED
        .iter()
        .filter(|name| versions.contains_key(*name))
        .map(|name| format!("{name} is linked (`cargo tree -i {name}`)"));
    let several = SINGLE.iter().filter_map(|name| {
        let found = versions.get(name).filter(|found| found.len() > 1)?;
        Some(format!("{name} is linked as {}", found.join(" and ")))
    });
    rejected.chain(several).collect()
}

/// A crate in the tree of another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Linked {
    name: String,
    version: String,
}

/// What one package links with its default features.
pub(super) fn linked_by(workspace: &Workspace, package: &str) -> Result<BTreeSet<Linked>> {
    tree(workspace, &["--package", package])
}

/// What all packages of the workspace link, their tests included.
pub(super) fn linked_crates(workspace: &Workspace) -> Result<BTreeSet<Linked>> {
    tree(workspace, &["--workspace", "--edges", "all"])
}

fn tree(workspace: &Workspace, selection: &[&str]) -> Result<BTreeSet<Linked>> {
    let mut command = workspace.cargo();
    command
        .args(["tree", "--quiet", "--prefix", "none", "--edges", "normal"])
        .args(selection)
        // The promise is about the package alone, also where builds unify features.
        .env_remove("CARGO_RESOLVER_FEATURE_UNIFICATION");
    Ok(output(&mut command)?.lines().filter_map(parsed).collect())
}

/// Reads a line like `rustls v0.23.46 (*)`; lines without a version are headings.
fn parsed(line: &str) -> Option<Linked> {
    let mut words = line.split_whitespace();
    let name = words.next()?;
    let version = words.next()?.strip_prefix('v')?;
    Some(Linked {
        name: name.to_owned(),
        version: version.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linked(lines: &str) -> BTreeSet<Linked> {
        lines.lines().filter_map(parsed).collect()
    }

    #[test]
    fn a_node_that_links_the_signing_room_by_a_detour_is_named() {
        let broken = broken(&LINKS[..1], |_| {
            Ok(linked(
                "spiced v0.1.0 (/x)\npublic-api v0.1.0\ncluster-pki v0.1.0 (*)",
            ))
        });
        let broken = broken.unwrap();
        assert_eq!(broken.len(), 1);
        assert!(
            broken[0].starts_with("spiced links cluster-pki: "),
            "{broken:?}"
        );
    }

    #[test]
    fn a_tree_without_the_banned_crate_passes() {
        let broken = broken(&LINKS, |_| {
            Ok(linked("cluster-pki-reader v1.0.0\nrustls-pki-types v1.0.0"))
        });
        assert_eq!(broken.unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_rejected_crate_and_a_second_version_are_named() {
        let broken = broken_choices(&linked(
            "rustls v0.23.46\nrustls v0.22.4\nring v0.17.14\narrow v59.2.0\narrow v59.2.0 (*)",
        ));
        assert_eq!(
            broken,
            [
                "ring is linked (`cargo tree -i ring`)",
                "rustls is linked as 0.22.4 and 0.23.46"
            ]
        );
    }
}

//! Who may depend on whom, decided from what the manifests declare.

use std::collections::BTreeSet;

use cargo_metadata::{DependencyKind, Metadata};

use super::rooms::{Guard, Release, Room};

/// What the rules need to know of a package.
pub(super) struct PackageFacts {
    name: String,
    release: Release,
    dependencies: Vec<DependencyFacts>,
}

/// One declared dependency.
struct DependencyFacts {
    name: String,
    stage: Stage,
}

/// When a dependency is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In what is built, or while it is built.
    Product,
    /// Only in tests, examples and benches.
    Tests,
}

/// Support for the tests of every package, and part of none.
const TEST_SUPPORT: &str = "cluster-test";

/// The facts about the members of the workspace.
pub(super) fn workspace_packages(metadata: &Metadata) -> Vec<PackageFacts> {
    metadata
        .workspace_packages()
        .into_iter()
        .map(|package| PackageFacts {
            name: package.name.to_string(),
            release: match &package.publish {
                Some(registries) if registries.is_empty() => Release::Internal,
                _ => Release::Published,
            },
            dependencies: package
                .dependencies
                .iter()
                .map(|dependency| DependencyFacts {
                    name: dependency.name.clone(),
                    stage: match dependency.kind {
                        DependencyKind::Development => Stage::Tests,
                        _ => Stage::Product,
                    },
                })
                .collect(),
        })
        .collect()
}

/// One sentence for each dependency that no rule allows.
pub(super) fn broken_arrows(
    packages: &[PackageFacts],
    rooms: &[Room],
    guarded: &[Guard],
) -> Vec<String> {
    let members: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut broken = Vec::new();
    for package in packages {
        let Some(room) = rooms.iter().find(|room| room.name == package.name) else {
            broken.push(format!("{} is not on the map of the rooms", package.name));
            continue;
        };
        broken.extend(wrong_release(package, room));
        for dependency in &package.dependencies {
            if members.contains(dependency.name.as_str()) {
                broken.extend(wrong_arrow(room, dependency, rooms));
                broken.extend(unpublished(room, dependency, packages));
            } else {
                broken.extend(
                    guarded
                        .iter()
                        .filter_map(|guard| trespass(room, dependency, guard)),
                );
            }
        }
    }
    broken
}

fn wrong_release(package: &PackageFacts, room: &Room) -> Option<String> {
    (package.release != room.release).then(|| {
        format!(
            "{} is {:?} by its manifest and {:?} on the map",
            package.name, package.release, room.release
        )
    })
}

fn wrong_arrow(room: &Room, dependency: &DependencyFacts, rooms: &[Room]) -> Option<String> {
    let name = dependency.name.as_str();
    let allowed = room.may_use.contains(&name)
        || (dependency.stage == Stage::Tests
            && (name == TEST_SUPPORT || is_below(room, name, rooms)));
    (!allowed).then(|| format!("{} must not depend on {name}", room.name))
}

/// Tests may build what a room is given, so they see the rooms of its rooms too.
fn is_below(room: &Room, name: &str, rooms: &[Room]) -> bool {
    let mut below = rooms.iter().filter(|it| room.may_use.contains(&it.name));
    below.any(|it| it.may_use.contains(&name) || is_below(it, name, rooms))
}

/// A published package whose dependency stays here could never be published.
fn unpublished(
    room: &Room,
    dependency: &DependencyFacts,
    packages: &[PackageFacts],
) -> Option<String> {
    let stays = packages
        .iter()
        .any(|package| package.name == dependency.name && package.release == Release::Internal);
    let broken = room.release == Release::Published && dependency.stage == Stage::Product && stays;
    broken.then(|| {
        format!(
            "{} is published and depends on {}, which is not",
            room.name, dependency.name
        )
    })
}

/// Tests may use what they like: they end up in nobody's process.
fn trespass(room: &Room, dependency: &DependencyFacts, guard: &Guard) -> Option<String> {
    let named = match guard.crates.strip_suffix('*') {
        Some(prefix) => dependency.name.starts_with(prefix),
        None => dependency.name == guard.crates,
    };
    let broken = named && dependency.stage == Stage::Product && !guard.rooms.contains(&room.name);
    broken.then(|| {
        format!(
            "{} must not depend on {}: it belongs to {}",
            room.name,
            dependency.name,
            guard.rooms.join(", ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::rooms::{GUARDED, ROOMS};

    fn package(name: &str, dependencies: &[(&str, Stage)]) -> PackageFacts {
        let room = ROOMS.iter().find(|room| room.name == name);
        PackageFacts {
            name: name.to_owned(),
            release: room.map_or(Release::Published, |room| room.release),
            dependencies: dependencies
                .iter()
                .map(|(name, stage)| DependencyFacts {
                    name: (*name).to_owned(),
                    stage: *stage,
                })
                .collect(),
        }
    }

    fn broken(packages: &[PackageFacts]) -> Vec<String> {
        broken_arrows(packages, &ROOMS, &GUARDED)
    }

    #[test]
    fn allowed_arrows_pass() {
        let packages = [
            package(
                "cluster-tls",
                &[("rustls", Stage::Product), ("rcgen", Stage::Tests)],
            ),
            package(
                "cluster-pki",
                &[("cluster-tls", Stage::Product), ("rcgen", Stage::Product)],
            ),
            package(
                "spiced",
                &[
                    ("cluster-tls", Stage::Product),
                    ("cluster-test", Stage::Tests),
                ],
            ),
            package("cluster-test", &[("rcgen", Stage::Product)]),
        ];
        assert_eq!(broken(&packages), Vec::<String>::new());
    }

    #[test]
    fn a_node_that_depends_on_the_signing_room_is_named() {
        let packages = [
            package("cluster-pki", &[]),
            package("spiced", &[("cluster-pki", Stage::Product)]),
        ];
        assert_eq!(broken(&packages), ["spiced must not depend on cluster-pki"]);
    }

    #[test]
    fn scheduler_and_executor_do_not_meet_even_in_tests() {
        let packages = [
            package("cluster-executor", &[]),
            package("cluster-scheduler", &[("cluster-executor", Stage::Tests)]),
        ];
        assert_eq!(
            broken(&packages),
            ["cluster-scheduler must not depend on cluster-executor"]
        );
    }

    #[test]
    fn tests_see_the_rooms_below_and_the_product_does_not() {
        let with = |stage| {
            [
                package("spicepod", &[]),
                package("public-api", &[("spicepod", stage)]),
            ]
        };
        assert_eq!(broken(&with(Stage::Tests)), Vec::<String>::new());
        assert_eq!(
            broken(&with(Stage::Product)),
            ["public-api must not depend on spicepod"]
        );
    }

    #[test]
    fn a_guarded_crate_outside_its_rooms_is_named() {
        let packages = [package("public-api", &[("ballista-core", Stage::Product)])];
        let broken = broken(&packages);
        assert_eq!(broken.len(), 1);
        assert!(broken[0].starts_with("public-api must not depend on ballista-core"));
    }

    #[test]
    fn test_support_inside_the_product_breaks_two_rules() {
        let packages = [
            package("cluster-test", &[]),
            package("spicepod", &[("cluster-test", Stage::Product)]),
        ];
        assert_eq!(
            broken(&packages),
            [
                "spicepod must not depend on cluster-test",
                "spicepod is published and depends on cluster-test, which is not"
            ]
        );
    }

    #[test]
    fn a_package_that_nobody_put_on_the_map_is_named() {
        assert_eq!(
            broken(&[package("utils", &[])]),
            ["utils is not on the map of the rooms"]
        );
    }
}

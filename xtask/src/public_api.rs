//! Whose types the public API of cluster-tls names.
//!
//! A foreign type in a public signature ties every user to our version of that crate, and us to
//! theirs: the TLS stack below must be replaceable without a new major version of our own.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail, ensure};

use crate::workspace::Workspace;

use self::surface::Mention;

mod rustdoc;
mod surface;

/// One build of the library, and the crates whose types users may meet in it.
struct Promise {
    build: &'static str,
    features: &'static [&'static str],
    allowed: &'static [&'static str],
}

/// Everything else is a leak: the TLS stack, its certificate parsers, the error derive.
const PROMISES: [Promise; 3] = [
    Promise {
        build: "by default",
        features: &[],
        // Streams are made from sockets of tokio and are read and written through its traits.
        allowed: &["core", "alloc", "std", "tokio"],
    },
    Promise {
        build: "with notify",
        features: &["notify"],
        // Who watches the files is a detail: no event and no error of the watcher's.
        allowed: &["core", "alloc", "std", "tokio"],
    },
    Promise {
        build: "with tonic",
        features: &["tonic"],
        allowed: &[
            "core",
            "alloc",
            "std",
            "tokio",
            // What tonic's own API is made of; who uses the feature has chosen these.
            "tonic",
            "http",
            "tower_service",
            "tower_layer",
            "futures_core",
        ],
    },
];

/// Where every program finds the standard library: nobody needs to hear of it.
const STANDARD: [&str; 3] = ["core", "alloc", "std"];

/// Reads the public API of every build and fails with all that it should not name.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut leaks = BTreeMap::new();
    for promise in &PROMISES {
        let mentions = surface::mentions(&rustdoc::json(workspace, promise.features)?)?;
        // A format that we misread would look like an API without types, and pass.
        ensure!(
            mentions.iter().any(|mention| mention.crate_name == "core"),
            "rustdoc's JSON was not understood: no type of the standard library in it"
        );
        println!("public-api: {}", summary(promise, &mentions));
        for leak in leaked(promise, mentions) {
            // The larger build repeats the leaks of the smaller one.
            leaks.entry(leak).or_insert(promise.build);
        }
    }
    verdict(&leaks)
}

/// What of `mentions` belongs to a crate that the promise does not allow.
fn leaked(promise: &Promise, mentions: BTreeSet<Mention>) -> impl Iterator<Item = Mention> {
    mentions
        .into_iter()
        .filter(|mention| !promise.allowed.contains(&mention.crate_name.as_str()))
}

/// The crates that users of a build meet, beyond the standard library.
fn summary(promise: &Promise, mentions: &BTreeSet<Mention>) -> String {
    let named: BTreeSet<&str> = mentions
        .iter()
        .map(|mention| mention.crate_name.as_str())
        .filter(|name| !STANDARD.contains(name))
        .collect();
    let named: Vec<&str> = named.into_iter().collect();
    format!("{} cluster-tls names {}", promise.build, named.join(", "))
}

fn verdict(leaks: &BTreeMap<Mention, &str>) -> Result<()> {
    if leaks.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = leaks
        .iter()
        .enumerate()
        .map(|(index, (leak, build))| format!("  {}. {leak} ({build})", index + 1))
        .collect();
    bail!(
        "the public API of cluster-tls names what it must not, {} times\n{}\n\
         say it with a type of cluster-tls instead (its text, for an error), or make the item \
         private; a crate that every user shall share is allowed in xtask/src/public_api.rs, \
         with its reason",
        leaks.len(),
        list.join("\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mention(item: &str, crate_name: &str) -> Mention {
        Mention {
            item: format!("cluster_tls::{item}"),
            crate_name: crate_name.to_owned(),
            path: format!("{crate_name}::Thing"),
        }
    }

    fn leaks(promise: &Promise, mentions: &[Mention]) -> Vec<String> {
        leaked(promise, mentions.iter().cloned().collect())
            .map(|leak| leak.crate_name)
            .collect()
    }

    #[test]
    fn the_runtime_and_the_standard_library_pass_in_every_build() {
        let mentions = [mention("accept", "tokio"), mention("load", "std")];
        for promise in &PROMISES {
            assert_eq!(leaks(promise, &mentions), Vec::<String>::new());
        }
    }

    #[test]
    fn tonic_is_for_who_asked_for_it() {
        let mentions = [mention("Incoming", "tonic")];
        let of = |build| PROMISES.iter().find(|promise| promise.build == build);
        assert_eq!(leaks(of("by default").unwrap(), &mentions), ["tonic"]);
        assert!(leaks(of("with tonic").unwrap(), &mentions).is_empty());
    }

    #[test]
    fn the_tls_stack_its_parsers_and_derives_leak_in_every_build() {
        let hidden = [
            "rustls",
            "rustls_pki_types",
            "thiserror",
            "tokio_rustls",
            "webpki",
            "x509_parser",
        ];
        let mentions: Vec<Mention> = hidden.iter().map(|name| mention("x", name)).collect();
        for promise in &PROMISES {
            assert_eq!(leaks(promise, &mentions), hidden);
        }
    }

    #[test]
    fn a_leak_is_told_with_item_type_crate_and_remedy() {
        let leaks = BTreeMap::from([(mention("LoadFault::KeyUnusable", "rustls"), "by default")]);
        let text = verdict(&leaks).unwrap_err().to_string();
        assert!(
            text.contains(
                "  1. cluster_tls::LoadFault::KeyUnusable names rustls::Thing of the crate \
                 rustls (by default)\n"
            ),
            "{text}"
        );
        assert!(text.contains("xtask/src/public_api.rs"), "{text}");
    }

    #[test]
    fn the_summary_leaves_out_what_every_program_has() {
        let mentions = BTreeSet::from([mention("a", "core"), mention("a", "tokio")]);
        assert_eq!(
            summary(&PROMISES[0], &mentions),
            "by default cluster-tls names tokio"
        );
    }
}

//! Which words may stand in which source files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::code;

/// A sequence of tokens that only some files may hold.
struct Word {
    text: &'static str,
    allowed: fn(&str) -> bool,
    reason: &'static str,
}

const WORDS: [Word; 7] = [
    Word {
        text: "ClientConfig::builder",
        allowed: |path| in_cluster_tls(path) || path == TOWARDS_DATABASES,
        reason: "rustls is configured in cluster-tls alone, and towards databases (I1)",
    },
    Word {
        text: "ServerConfig::builder",
        allowed: in_cluster_tls,
        reason: "rustls is configured in cluster-tls alone (I1)",
    },
    Word {
        text: "danger",
        allowed: |path| {
            in_cluster_tls(path) || path.starts_with("crates/spiced/") || path == TOWARDS_DATABASES
        },
        reason: "weakening TLS is for the flag handling of spiced alone",
    },
    Word {
        text: "ballista_core",
        allowed: in_engine,
        reason: ONLY_THE_ENGINE,
    },
    Word {
        text: "ballista_scheduler",
        allowed: in_engine,
        reason: ONLY_THE_ENGINE,
    },
    Word {
        text: "ballista_executor",
        allowed: in_engine,
        reason: ONLY_THE_ENGINE,
    },
    Word {
        text: "ballista",
        allowed: in_engine,
        reason: ONLY_THE_ENGINE,
    },
];

/// TLS with servers that prove themselves to roots of their own. Its verifier of any certificate is
/// for connections that the password exchange is bound to.
const TOWARDS_DATABASES: &str = "crates/spice-runtime/src/postgres/tls.rs";

const ONLY_THE_ENGINE: &str = "only the engine adapters name the distributed query engine (I14)";

/// A source file: its path from the workspace root, with `/`, and its text.
pub(super) struct Source {
    path: String,
    text: String,
}

/// One sentence for each word in a file that may not hold it, with the line.
pub(super) fn broken(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| !is_test(&source.path))
        .flat_map(broken_in)
        .collect()
}

fn broken_in(source: &Source) -> Vec<String> {
    let code = code::of(&source.text);
    let words = WORDS.iter().filter(|word| !(word.allowed)(&source.path));
    words
        .flat_map(|word| {
            lines_with(&code, word.text).into_iter().map(|line| {
                format!(
                    "{}:{line} says `{}`: {}",
                    source.path, word.text, word.reason
                )
            })
        })
        .collect()
}

/// The numbers of the lines that hold `word` as a whole word.
fn lines_with(code: &str, word: &str) -> Vec<usize> {
    let is_part = |letter: Option<char>| letter.is_some_and(|it| it.is_alphanumeric() || it == '_');
    code.lines()
        .enumerate()
        .filter(|(_, line)| {
            line.match_indices(word).any(|(start, _)| {
                let before = line[..start].chars().next_back();
                let after = line[start + word.len()..].chars().next();
                // `ClientConfig::builder_with_protocol_versions` is a builder too.
                let open_end = word.contains("::");
                !is_part(before) && (open_end || !is_part(after))
            })
        })
        .map(|(index, _)| index + 1)
        .collect()
}

fn in_cluster_tls(path: &str) -> bool {
    path.starts_with("crates/cluster-tls/")
}

fn in_engine(path: &str) -> bool {
    ["crates/cluster-scheduler", "crates/cluster-executor"]
        .iter()
        .filter_map(|room| path.strip_prefix(room)?.strip_prefix("/src/engine"))
        .any(|rest| rest.starts_with('/') || rest == ".rs")
}

/// Tests and their support show what must not be done; this program names the words.
fn is_test(path: &str) -> bool {
    ["tests/", "xtask/", "crates/cluster-test/"]
        .iter()
        .any(|start| path.starts_with(start))
        || ["/tests/", "/benches/", "/tests.rs"]
            .iter()
            .any(|part| path.contains(part))
}

/// Every `.rs` file of the workspace's own directories.
pub(super) fn source_files(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut directories = vec![root.join("crates"), root.join("tests"), root.join("xtask")];
    while let Some(directory) = directories.pop() {
        for path in entries(&directory)? {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(source(root, &path)?);
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(sources)
}

fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn source(root: &Path, path: &Path) -> Result<Source> {
    let text =
        fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let path = path.strip_prefix(root).unwrap_or(path);
    Ok(Source {
        path: path.to_string_lossy().replace('\\', "/"),
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken_at(path: &str, text: &str) -> Vec<String> {
        broken(&[Source {
            path: path.to_owned(),
            text: text.to_owned(),
        }])
    }

    #[test]
    fn a_tls_configuration_is_made_in_its_room_and_nowhere_else() {
        let text = "fn f() {\n    rustls::ClientConfig::builder_with_provider(provider);\n}";
        assert!(broken_at("crates/cluster-tls/src/verify.rs", text).is_empty());
        assert!(broken_at(TOWARDS_DATABASES, text).is_empty());
        assert_eq!(
            broken_at("crates/spice-runtime/src/postgres.rs", text).len(),
            1
        );
        let broken = broken_at("crates/public-api/src/flight.rs", text);
        assert_eq!(broken.len(), 1);
        assert!(
            broken[0].starts_with("crates/public-api/src/flight.rs:2 "),
            "{broken:?}"
        );
    }

    #[test]
    fn danger_is_for_the_flags_of_the_node() {
        let text = "use cluster_tls::danger::plaintext_transport;";
        assert!(broken_at("crates/spiced/src/flags.rs", text).is_empty());
        assert!(broken_at("crates/spiced/tests/flags.rs", text).is_empty());
        assert_eq!(
            broken_at("crates/cluster-executor/src/boot.rs", text).len(),
            1
        );
        let inline = format!("#[cfg(test)]\nmod tests {{ {text} }}");
        assert!(broken_at("crates/cluster-executor/src/boot.rs", &inline).is_empty());
    }

    #[test]
    fn the_engine_is_named_by_its_adapters_only() {
        let text = "use ballista_core::serde::protobuf;\nlet ballista_executor_id = 1;";
        assert!(broken_at("crates/cluster-scheduler/src/engine.rs", text).is_empty());
        assert!(broken_at("crates/cluster-executor/src/engine/poll.rs", text).is_empty());
        for path in [
            "crates/cluster-scheduler/src/services.rs",
            "crates/cluster-scheduler/src/engines.rs",
            "crates/spiced/src/main.rs",
        ] {
            assert_eq!(broken_at(path, text).len(), 1, "{path}");
        }
    }

    #[test]
    fn a_comment_may_name_what_code_may_not() {
        let text = "// ballista_core has no such hook\nfn endangered() {}";
        assert!(broken_at("crates/spiced/src/main.rs", text).is_empty());
    }
}

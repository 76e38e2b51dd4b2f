//! Where secrets are kept, and what a manifest calls them. Never a secret itself.

use std::fmt;

/// The store name that stands for all stores of the application, the last declared first.
pub const ALL_STORES: &str = "secrets";

/// The name, and the kind, of the one store that a manifest without `secrets` has.
pub(crate) const ENV: &str = "env";

/// One entry of the manifest's `secrets`: a place that a node looks secrets up in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretStore {
    pub(crate) name: String,
    pub(crate) kind: StoreKind,
}

impl SecretStore {
    /// The environment of the process: what a manifest without `secrets` uses.
    pub(crate) fn environment() -> SecretStore {
        SecretStore {
            name: ENV.to_owned(),
            kind: StoreKind::Env { file_path: None },
        }
    }

    /// What references call the store; unique, and never [`ALL_STORES`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the store is (the manifest's `from`, with its parameters).
    #[must_use]
    pub fn kind(&self) -> &StoreKind {
        &self.kind
    }
}

/// What a secret store is. Exhaustive, so that whoever opens stores handles a new kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreKind {
    /// The environment of the process (`env`).
    Env {
        /// A file of `KEY=value` lines for what the environment lacks; absolute.
        file_path: Option<String>,
    },
    /// A directory with one file for each secret, as orchestrators mount them (`file:<dir>`).
    File {
        /// Absolute; text, because JSON carries it between machines.
        directory: String,
    },
    /// One Secret object of the Kubernetes namespace that the node runs in
    /// (`kubernetes:<name>`).
    Kubernetes {
        /// The name of the object.
        secret: String,
    },
}

impl fmt::Display for StoreKind {
    /// The `from` of a manifest that means this kind; the parameters are not shown.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreKind::Env { .. } => out.write_str(ENV),
            StoreKind::File { directory } => write!(out, "file:{directory}"),
            StoreKind::Kubernetes { secret } => write!(out, "kubernetes:{secret}"),
        }
    }
}

/// A secret by its name: the key, and the store to look it up in.
///
/// Both are checked where one is made: neither can be a path, however a store uses it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretReference {
    store: String,
    key: String,
}

impl SecretReference {
    /// The secret `key` of `store`.
    ///
    /// # Errors
    ///
    /// [`InvalidReference`] where one of the two is no name that a store could have.
    pub fn new(store: &str, key: &str) -> Result<SecretReference, InvalidReference> {
        if store.is_empty() {
            return Err(InvalidReference::EmptyStore);
        }
        if !is_store_name(store) {
            return Err(InvalidReference::Store);
        }
        if key.is_empty() {
            return Err(InvalidReference::EmptyKey);
        }
        if !is_key(key) {
            return Err(InvalidReference::Key);
        }
        Ok(SecretReference {
            store: store.to_owned(),
            key: key.to_owned(),
        })
    }

    /// The store's name, or [`ALL_STORES`].
    #[must_use]
    pub fn store(&self) -> &str {
        &self.store
    }

    /// The secret's name within its store.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Display for SecretReference {
    /// As a manifest writes it: `${store:KEY}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${{{}:{}}}", self.store, self.key)
    }
}

/// Why two words are no secret's name. The words themselves are not repeated: who mistypes a
/// reference may have put a secret into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidReference {
    /// Nothing before the colon.
    #[error("a reference names its store: `${{env:KEY}}`, or `${{secrets:KEY}}` for all stores")]
    EmptyStore,
    /// The store holds something else than letters, digits, `_` and `-`.
    #[error(
        "the store of a reference has letters, digits, `_` and `-`, starts with a letter, and is \
         at most {MAX_NAME_BYTES} bytes long"
    )]
    Store,
    /// Nothing behind the colon.
    #[error("a reference names its key: `${{env:KEY}}`")]
    EmptyKey,
    /// The key holds something else than letters, digits, `_`, `-` and `.`.
    #[error(
        "the key of a reference has letters, digits, `_`, `-` and `.`, starts with no `.`, and is \
         at most {MAX_NAME_BYTES} bytes long"
    )]
    Key,
}

pub(crate) fn is_store_name(name: &str) -> bool {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic());
    starts_well && name.len() <= MAX_NAME_BYTES && name.bytes().all(is_word_byte)
}

/// The rule of Kubernetes for the keys of a Secret, but for a `.` in front: `..data` and its
/// like are how mounted Secrets are swapped.
fn is_key(key: &str) -> bool {
    let holds_well = key.bytes().all(|b| is_word_byte(b) || b == b'.');
    holds_well && !key.starts_with('.') && key.len() <= MAX_NAME_BYTES
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The longest key that Kubernetes takes.
const MAX_NAME_BYTES: usize = 253;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_keys_of_environments_files_and_kubernetes() {
        for key in ["PG_PASS", "tls.key", "s3-secret", "0", "_"] {
            let reference = SecretReference::new("env", key).unwrap();
            assert_eq!(reference.to_string(), format!("${{env:{key}}}"));
        }
    }

    #[test]
    fn no_key_is_a_path_and_no_store_either() {
        for key in [
            "../a", "a/b", "..", ".", "..data", "a\0", "a b", "é", "a\\b", "a=b",
        ] {
            let refused = SecretReference::new("file", key);
            assert_eq!(refused, Err(InvalidReference::Key), "{key:?}");
        }
        let long = "k".repeat(MAX_NAME_BYTES + 1);
        assert_eq!(SecretReference::new("a", &long), Err(InvalidReference::Key));
        assert!(SecretReference::new("a", &long[1..]).is_ok());
        for store in ["..", "a/b", "a.b", "1", "-a", "a b"] {
            let refused = SecretReference::new(store, "KEY");
            assert_eq!(refused, Err(InvalidReference::Store), "{store:?}");
        }
    }
}

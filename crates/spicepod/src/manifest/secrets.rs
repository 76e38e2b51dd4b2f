//! One entry of `secrets`.

use std::path::Path;

use super::path::{self, PathFault};
use super::{Reader, not_among};
use crate::secret::{ALL_STORES, SecretStore, StoreKind, is_store_name};
use crate::section::{Cursor, Keys, Section};

impl Reader<'_> {
    /// The stores, and their names for whatever refers to them.
    pub(super) fn secret_stores(&mut self, document: &Section<'_>) -> Vec<SecretStore> {
        let stores = self.each(document, "secrets", Reader::secret_store);
        if !stores.is_empty() || !self.stores.is_empty() {
            return stores;
        }
        let default = SecretStore::environment();
        self.stores.push(default.name().to_owned());
        vec![default]
    }

    fn secret_store(&mut self, item: &Cursor<'_>) -> Option<SecretStore> {
        let section = item.section(STORE, &mut self.findings)?;
        let name = self.store_name(&section);
        let kind = self.store_kind(&section);
        Some(SecretStore {
            name: name?,
            kind: kind?,
        })
    }

    fn store_name(&mut self, section: &Section<'_>) -> Option<String> {
        let cursor = section.required("name", &mut self.findings)?;
        let name = cursor.text(&mut self.findings)?.to_owned();
        let fault = if name == ALL_STORES {
            Some(format!(
                "`{name}` stands for all stores; choose another name"
            ))
        } else if !is_store_name(&name) {
            let rule = "a store's name has letters, digits, `_` and `-`, and starts with a letter";
            Some(format!("`{name}`: {rule}"))
        } else if self.stores.contains(&name) {
            Some(format!("there is already a secret store `{name}`"))
        } else {
            None
        };
        if let Some(fault) = fault {
            cursor.fault(&mut self.findings, fault);
            return None;
        }
        self.stores.push(name.clone());
        Some(name)
    }

    fn store_kind(&mut self, section: &Section<'_>) -> Option<StoreKind> {
        let cursor = section.required("from", &mut self.findings)?;
        let from = cursor.text(&mut self.findings)?;
        let kind = match from.split_once(':').unwrap_or((from, "")) {
            ("env", "") => Ok(StoreKind::Env {
                file_path: self.env_file(section),
            }),
            ("file", rest) => self.directory(rest),
            ("kubernetes", name) => kubernetes(name),
            (kind, _) => Err(not_among(kind, &["env", "file", "kubernetes"])),
        };
        match kind {
            Ok(kind) => {
                self.refuse_env_file(section, &kind);
                Some(kind)
            }
            Err(fault) => {
                cursor.fault(&mut self.findings, fault);
                None
            }
        }
    }

    fn directory(&self, rest: &str) -> Result<StoreKind, String> {
        let directory =
            path::behind_file(rest).and_then(|path| path::resolved(Path::new(path), self.base));
        match directory {
            Ok(directory) => Ok(StoreKind::File { directory }),
            Err(PathFault::NoPath) => {
                Err("write `file:/path/of/a/directory` with one file for each secret".to_owned())
            }
            Err(fault) => Err(fault.to_string()),
        }
    }

    fn env_file(&mut self, section: &Section<'_>) -> Option<String> {
        let params = section.optional("params")?;
        let params = params.section(STORE_PARAMS, &mut self.findings)?;
        let cursor = params.optional("file_path")?;
        let text = cursor.text(&mut self.findings)?;
        match path::resolved(Path::new(text), self.base) {
            Ok(path) => Some(path),
            Err(fault) => {
                cursor.fault(&mut self.findings, fault.to_string());
                None
            }
        }
    }

    /// Only the environment has a parameter.
    fn refuse_env_file(&mut self, section: &Section<'_>, kind: &StoreKind) {
        if matches!(kind, StoreKind::Env { .. }) {
            return;
        }
        let params = section.optional("params");
        let params = params.and_then(|it| it.section(STORE_PARAMS, &mut self.findings));
        for (_, cursor) in params.iter().flat_map(Section::entries) {
            cursor.fault(&mut self.findings, "applies to the store `env` only");
        }
    }
}

/// The name of a Secret object: labels of lower-case letters, digits and `-`, joined by dots.
fn kubernetes(name: &str) -> Result<StoreKind, String> {
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let label = |label: &str| {
        label.starts_with(edge)
            && label.ends_with(edge)
            && label.chars().all(|c| edge(c) || c == '-')
    };
    if name.len() > MAX_OBJECT_NAME_BYTES || !name.split('.').all(label) {
        return Err(
            "write `kubernetes:name-of-the-secret`: lower-case letters, digits, `-` and `.`"
                .to_owned(),
        );
    }
    Ok(StoreKind::Kubernetes {
        secret: name.to_owned(),
    })
}

/// What Kubernetes allows (RFC 1123).
const MAX_OBJECT_NAME_BYTES: usize = 253;

const STORE: Keys = Keys {
    known: &["from", "name", "params"],
    later: &[],
    ignored: &[],
};

const STORE_PARAMS: Keys = Keys {
    known: &["file_path"],
    later: &[],
    ignored: &[],
};

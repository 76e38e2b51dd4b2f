//! From the tree to the [`App`]: the rules of a spicepod, every one of them, in one pass.

use std::collections::HashMap;
use std::path::Path;

use crate::app::{App, Parts, View};
use crate::error::LoadError;
use crate::finding::{Finding, Findings};
use crate::name::TableName;
use crate::node::{Node, Value};
use crate::param::OPENING;
use crate::secret::ALL_STORES;
use crate::section::{Cursor, Keys, Section, listed};
use crate::suggest::nearest;

mod dataset;
mod format;
mod location;
mod param;
mod path;
mod postgres;
mod runtime;
mod s3;
mod secrets;

/// Interpret a manifest that was written as YAML.
///
/// `origin` is what findings call it; `base` is what relative paths start from.
pub(crate) fn from_yaml(text: &str, origin: &Path, base: &Path) -> Result<App, LoadError> {
    let node = Node::from_yaml(text).map_err(|fault| LoadError::Invalid {
        findings: vec![Finding {
            origin: Some(origin.to_owned()),
            position: fault.position,
            path: String::new(),
            unknown_in: None,
            message: fault.message,
        }],
    })?;
    Reader::new(Findings::new(Some(origin.to_owned())), Some(base)).read(&node)
}

/// Interpret a manifest that another node wrote as JSON.
pub(crate) fn from_json(json: &str) -> Result<App, LoadError> {
    let value = serde_json::from_str(json).map_err(|source| LoadError::Json { source })?;
    let app = Reader::new(Findings::new(None), None).read(&Node::from_json(value))?;
    // Whoever wrote it has told them, and could say where.
    Ok(app.without_warnings())
}

/// The state of one interpretation: what was found, and which names are taken.
struct Reader<'a> {
    base: Option<&'a Path>,
    findings: Findings,
    /// Each name with the key path that declared it first.
    names: HashMap<TableName, String>,
    /// Each secret store that was declared so far.
    stores: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(findings: Findings, base: Option<&'a Path>) -> Reader<'a> {
        Reader {
            base,
            findings,
            names: HashMap::new(),
            stores: Vec::new(),
        }
    }

    fn read(mut self, document: &Node) -> Result<App, LoadError> {
        let parts = self.document(&Cursor::root(document));
        let warnings = self
            .findings
            .finish()
            .map_err(|findings| LoadError::Invalid { findings })?;
        // Without a fault every part was read, so nothing is replaced by the empty one.
        let app = parts.map_or_else(App::empty, |parts| App::new(parts, warnings));
        Ok(app)
    }

    fn document(&mut self, root: &Cursor<'_>) -> Option<Parts> {
        if matches!(root.value(), Value::Null) {
            let message = "the manifest is empty; it needs `version`, `kind` and `name`";
            root.fault(&mut self.findings, message);
            return None;
        }
        let section = root.section(DOCUMENT, &mut self.findings)?;
        self.one_of(&section, "version", &["v1", "v2"]);
        self.one_of(&section, "kind", &["Spicepod"]);
        let name = section
            .required("name", &mut self.findings)
            .and_then(|name| name.text(&mut self.findings));
        // First, because the parameters of datasets refer to them.
        let secret_stores = self.secret_stores(&section);
        let datasets = self.each(&section, "datasets", Reader::dataset);
        let views = self.each(&section, "views", Reader::view);
        let scheduler = self.scheduler_settings(&section);
        Some(Parts {
            name: name?.to_owned(),
            secret_stores,
            datasets,
            views,
            scheduler,
        })
    }

    fn each<T>(
        &mut self,
        section: &Section<'_>,
        key: &str,
        read: fn(&mut Self, &Cursor<'_>) -> Option<T>,
    ) -> Vec<T> {
        let items = section
            .optional(key)
            .map(|list| list.items(&mut self.findings))
            .unwrap_or_default();
        items.iter().filter_map(|item| read(self, item)).collect()
    }

    fn view(&mut self, item: &Cursor<'_>) -> Option<View> {
        let section = item.section(VIEW, &mut self.findings)?;
        let name = self.name(&section);
        let sql = self.sql(&section);
        Some(View {
            name: name?,
            sql: sql?,
        })
    }

    fn sql(&mut self, view: &Section<'_>) -> Option<String> {
        let cursor = view.required("sql", &mut self.findings)?;
        let sql = cursor.text(&mut self.findings)?;
        // `${` by itself may be part of a literal; with a store behind it, it is meant.
        let stores = self.stores.iter().map(String::as_str).chain([ALL_STORES]);
        let mut references = stores.map(|store| format!("{OPENING}{store}:"));
        if references.any(|reference| sql.contains(&reference)) {
            let message = "secret references are for the `params` of datasets only";
            cursor.fault(&mut self.findings, message);
        }
        Some(sql.to_owned())
    }

    /// The `name` of a dataset or view, claimed for it.
    fn name(&mut self, section: &Section<'_>) -> Option<TableName> {
        let cursor = section.required("name", &mut self.findings)?;
        let text = cursor.text(&mut self.findings)?;
        let name: TableName = match text.parse() {
            Ok(name) => name,
            Err(error) => {
                cursor.fault(&mut self.findings, format!("`{text}`: {error}"));
                return None;
            }
        };
        if let Some(first) = self.names.get(&name) {
            let message = format!("the name `{name}` is already taken by {first}");
            cursor.fault(&mut self.findings, message);
            return None;
        }
        self.names.insert(name.clone(), cursor.path().to_owned());
        Some(name)
    }

    fn one_of(&mut self, section: &Section<'_>, key: &str, allowed: &[&str]) {
        let Some(cursor) = section.required(key, &mut self.findings) else {
            return;
        };
        let Some(text) = cursor.text(&mut self.findings) else {
            return;
        };
        if !allowed.contains(&text) {
            cursor.fault(&mut self.findings, not_among(text, allowed));
        }
    }
}

/// "`x` is not known": for a value that must be one of a few words.
fn not_among(text: &str, allowed: &[&str]) -> String {
    if text.contains(OPENING) {
        return format!("takes no secret reference; write {}", listed(allowed));
    }
    match nearest(text, allowed) {
        Some(meant) => format!("`{text}` is not known; did you mean `{meant}`?"),
        None => format!(
            "`{text}` is not known; this version takes {}",
            listed(allowed)
        ),
    }
}

const DOCUMENT: Keys = Keys {
    known: &[
        "version", "kind", "name", "runtime", "secrets", "datasets", "views",
    ],
    later: &["catalogs", "functions"],
    ignored: &["models", "embeddings", "tools", "evals", "workers", "llms"],
};

const VIEW: Keys = Keys {
    known: &["name", "sql"],
    later: &["acceleration"],
    ignored: &[],
};

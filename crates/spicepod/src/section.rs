//! Walking the tree: typed access that reports instead of failing.

use crate::finding::{Findings, Position};
use crate::node::{Entry, Node, Value};
use crate::suggest::nearest;

/// A node together with the key path that leads to it.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    node: &'a Node,
    path: String,
}

/// The keys that one kind of map may hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Keys {
    /// Keys with a meaning.
    pub(crate) known: &'static [&'static str],
    /// Keys whose meaning a later version brings: refused, with those words.
    pub(crate) later: &'static [&'static str],
    /// Keys that concern another product: skipped, with one warning each.
    pub(crate) ignored: &'static [&'static str],
}

/// A map whose keys have been checked.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    path: String,
    position: Option<Position>,
    entries: Vec<(&'a str, Cursor<'a>)>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn root(node: &'a Node) -> Cursor<'a> {
        Cursor {
            node,
            path: String::new(),
        }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn value(&self) -> &'a Value {
        &self.node.value
    }

    pub(crate) fn fault(&self, findings: &mut Findings, message: impl Into<String>) {
        findings.fault(&self.path, self.node.position, message.into());
    }

    pub(crate) fn warn(&self, findings: &mut Findings, message: impl Into<String>) {
        findings.warning(&self.path, self.node.position, message.into());
    }

    /// The text of this node. Surrounding white space is never meant, so it is cut off.
    pub(crate) fn text(&self, findings: &mut Findings) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) if !text.trim().is_empty() => Some(text.trim()),
            Value::Text(_) => {
                self.fault(findings, "must not be empty");
                None
            }
            other => {
                self.mismatch(findings, "text", other);
                None
            }
        }
    }

    /// The items of a list; a key without a value stands for an empty one.
    pub(crate) fn items(&self, findings: &mut Findings) -> Vec<Cursor<'a>> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| Cursor {
                    node,
                    path: format!("{}[{index}]", self.path),
                })
                .collect(),
            other => {
                self.mismatch(findings, "a list", other);
                Vec::new()
            }
        }
    }

    /// The map at this node, with every key that does not belong reported.
    pub(crate) fn section(&self, keys: Keys, findings: &mut Findings) -> Option<Section<'a>> {
        let entries: &[Entry] = match &self.node.value {
            Value::Null => &[],
            Value::Map(entries) => entries,
            other => {
                self.mismatch(findings, "a map", other);
                return None;
            }
        };
        let entries = entries
            .iter()
            .filter_map(|entry| self.admit(entry, keys, findings))
            .collect();
        Some(Section {
            path: self.path.clone(),
            position: self.node.position,
            entries,
        })
    }

    pub(crate) fn mismatch(&self, findings: &mut Findings, expected: &str, found: &Value) {
        self.fault(
            findings,
            format!("expected {expected}, found {}", found.kind()),
        );
    }

    fn admit(
        &self,
        entry: &'a Entry,
        keys: Keys,
        findings: &mut Findings,
    ) -> Option<(&'a str, Cursor<'a>)> {
        let key = entry.key.as_str();
        let path = joined(&self.path, key);
        if keys.known.contains(&key) {
            let node = &entry.node;
            return Some((key, Cursor { node, path }));
        }
        if keys.ignored.contains(&key) {
            let message = "has no effect: this product runs SQL, not AI models".to_owned();
            findings.warning(&path, entry.key_position, message);
        } else if keys.later.contains(&key) {
            let message = "is not supported by this version yet; remove it".to_owned();
            findings.fault(&path, entry.key_position, message);
        } else {
            let message = unknown(key, keys);
            findings.unknown_key(&self.path, &path, entry.key_position, message);
        }
        None
    }
}

impl<'a> Section<'a> {
    pub(crate) fn optional(&self, key: &str) -> Option<&Cursor<'a>> {
        self.entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, cursor)| cursor)
    }

    pub(crate) fn required(&self, key: &str, findings: &mut Findings) -> Option<&Cursor<'a>> {
        let found = self.optional(key);
        if found.is_none() {
            let message = format!("the key `{key}` is missing");
            findings.fault(&self.path, self.position, message);
        }
        found
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, &Cursor<'a>)> {
        self.entries.iter().map(|(key, cursor)| (*key, cursor))
    }
}

fn unknown(key: &str, keys: Keys) -> String {
    match nearest(key, keys.known) {
        Some(meant) => format!("unknown key; did you mean `{meant}`?"),
        None => format!("unknown key; the keys here are {}", listed(keys.known)),
    }
}

/// `a`, `b` and `c`: the words in backticks, for a message.
pub(crate) fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

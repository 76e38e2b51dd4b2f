//! What the public items of a library name, read from rustdoc's JSON.
//!
//! The JSON is walked without a schema: wherever a type or trait is named, in a signature, a
//! bound, a field or the head of an impl, rustdoc writes an object with its id. The kinds of
//! places change with the format's version; the ids have not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

/// An item of ours that names something of another crate.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mention {
    /// The path of our item.
    pub(super) item: String,
    /// The crate that defines what the item names, as it is written in code.
    pub(super) crate_name: String,
    /// The path of what the item names, where that crate defines it.
    pub(super) path: String,
}

impl fmt::Display for Mention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} names {} of the crate {}",
            self.item, self.path, self.crate_name
        )
    }
}

/// Everything foreign that the public items of the documented crate name.
///
/// Left out are impls that nobody wrote down: those of auto traits, and those that come from an
/// `impl<T> Foreign for T` of another crate. What an exported macro expands to is not in the
/// JSON.
pub(super) fn mentions(rustdoc: &Value) -> Result<BTreeSet<Mention>> {
    let library = Library::new(rustdoc)?;
    let mut mentions = BTreeSet::new();
    for (id, item) in library.own_items().filter(|(_, item)| !is_implied(item)) {
        let mut foreign = BTreeSet::new();
        library.collect(&item["inner"], &mut foreign);
        mentions.extend(foreign.into_iter().map(|(crate_name, path)| Mention {
            item: library.path_of(id),
            crate_name,
            path,
        }));
    }
    Ok(mentions)
}

/// The keys under which an item lists the ids of its parts. Whose impl is listed with a type and
/// with a trait is called a part of the type, so that key comes first.
const PARTS: [&str; 6] = [
    "impls",
    "items",
    "fields",
    "tuple",
    "variants",
    "implementations",
];

/// The id of the documented crate among all crates.
const OWN_CRATE: u64 = 0;

/// The tables of rustdoc's JSON.
struct Library<'a> {
    index: &'a Map<String, Value>,
    paths: &'a Map<String, Value>,
    crates: &'a Map<String, Value>,
    /// Which item lists which as its part.
    owners: BTreeMap<String, &'a str>,
}

impl<'a> Library<'a> {
    fn new(rustdoc: &'a Value) -> Result<Self> {
        let table = |name: &str| {
            let table = rustdoc[name].as_object();
            table.with_context(|| format!("rustdoc's JSON has no table `{name}`"))
        };
        let index = table("index")?;
        Ok(Self {
            index,
            paths: table("paths")?,
            crates: table("external_crates")?,
            owners: owners(index),
        })
    }

    fn own_items(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.index
            .iter()
            .filter(|(_, item)| item["crate_id"] == OWN_CRATE)
            .map(|(id, item)| (id.as_str(), item))
    }

    /// Adds the crate and path of everything foreign that is named in `value`.
    fn collect(&self, value: &Value, foreign: &mut BTreeSet<(String, String)>) {
        match value {
            Value::Object(object) => {
                foreign.extend(self.named_by(object));
                foreign.extend(self.linked_by(object));
                for part in object.values() {
                    self.collect(part, foreign);
                }
            }
            Value::Array(parts) => {
                for part in parts {
                    self.collect(part, foreign);
                }
            }
            _ => {}
        }
    }

    /// A type or trait is an object with `id` and `path`, a re-export one with `id` and `source`.
    fn named_by(&self, object: &Map<String, Value>) -> Option<(String, String)> {
        let written = object.get("path").or_else(|| object.get("source"))?;
        let id = object.get("id")?.as_u64()?.to_string();
        let Some(summary) = self.paths.get(&id) else {
            // Not ours and without an origin: better a false alarm than a leak.
            let foreign = !self.index.contains_key(&id);
            return foreign.then(|| ("unknown".to_owned(), text(written).to_owned()));
        };
        let number = summary["crate_id"].as_u64()?;
        let name = text(&self.crates.get(&number.to_string())?["name"]).to_owned();
        (number != OWN_CRATE).then(|| (name, joined(&summary["path"])))
    }

    /// `pub extern crate` has no id; which of its two names is the crate's depends on the
    /// version of rustdoc.
    fn linked_by(&self, object: &Map<String, Value>) -> Option<(String, String)> {
        let names = object.get("extern_crate")?;
        let is_crate = |name: &&str| self.crates.values().any(|it| it["name"] == **name);
        let name = [text(&names["name"]), text(&names["rename"])]
            .into_iter()
            .find(is_crate)
            .unwrap_or("unknown");
        Some((name.to_owned(), name.to_owned()))
    }

    /// The path of an item: its own where it has one, else that of its owner and its name.
    fn path_of(&self, id: &str) -> String {
        if let Some(summary) = self.paths.get(id) {
            return joined(&summary["path"]);
        }
        let name = self.index.get(id).and_then(name_of);
        let owner = self.owners.get(id).map(|owner| self.path_of(owner));
        let parts: Vec<String> = owner.into_iter().chain(name).collect();
        parts.join("::")
    }
}

/// Finds for each part the item that lists it.
fn owners(index: &Map<String, Value>) -> BTreeMap<String, &str> {
    let mut owners = BTreeMap::new();
    for key in PARTS {
        for (id, item) in index {
            let mut parts = Vec::new();
            collect_ids(&item["inner"], key, &mut parts);
            for part in parts {
                owners.entry(part.to_string()).or_insert(id.as_str());
            }
        }
    }
    owners
}

/// The ids that stand in a list called `key`, however deep: structs and variants have lists of
/// fields inside their kind.
fn collect_ids(value: &Value, key: &str, ids: &mut Vec<u64>) {
    let Value::Object(object) = value else {
        return;
    };
    for (name, part) in object {
        match part.as_array() {
            Some(list) if name == key => ids.extend(list.iter().filter_map(Value::as_u64)),
            Some(_) => {}
            None => collect_ids(part, key, ids),
        }
    }
}

/// What an item adds to the path of its owner. An impl without a trait adds nothing.
fn name_of(item: &Value) -> Option<String> {
    let inner = &item["inner"];
    let name = item["name"].as_str().or(inner["use"]["name"].as_str());
    let of_trait = || {
        let name = inner["impl"]["trait"]["path"].as_str()?;
        Some(format!("{{impl {name}}}"))
    };
    name.map(str::to_owned).or_else(of_trait)
}

/// Whether rustdoc added the item as an impl that nobody wrote for this type.
fn is_implied(item: &Value) -> bool {
    let head = &item["inner"]["impl"];
    head["is_synthetic"] == true || head["blanket_impl"].is_object()
}

fn joined(path: &Value) -> String {
    let segments = path.as_array().into_iter().flatten();
    segments.map(text).collect::<Vec<_>>().join("::")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A library with one function `f(input)` in module `m`, beside `more` items.
    fn library(input: &Value, more: &Value) -> Value {
        let function =
            json!({ "function": { "sig": { "inputs": [["it", input]], "output": null } } });
        let mut index = Map::from_iter([
            (
                "1".to_owned(),
                own(Some("m"), &json!({ "module": { "items": [2] } })),
            ),
            ("2".to_owned(), own(Some("f"), &function)),
        ]);
        index.extend(more.as_object().unwrap().clone());
        json!({
            "index": index,
            "paths": {
                "1": { "crate_id": 0, "path": ["ours", "m"] },
                "2": { "crate_id": 0, "path": ["ours", "m", "f"] },
                "3": { "crate_id": 0, "path": ["ours", "m", "Stream"] },
                "20": { "crate_id": 7, "path": ["rustls", "error", "Error"] },
                "21": { "crate_id": 8, "path": ["tokio", "io", "AsyncRead"] },
                "22": { "crate_id": 7, "path": ["rustls"] },
            },
            "external_crates": { "7": { "name": "rustls" }, "8": { "name": "tokio" } },
        })
    }

    fn own(name: Option<&str>, inner: &Value) -> Value {
        json!({ "crate_id": 0, "name": name, "inner": inner })
    }

    fn named(id: u64) -> Value {
        json!({ "resolved_path": { "path": "Something", "id": id, "args": null } })
    }

    fn told(library: &Value) -> Vec<String> {
        let mentions = mentions(library).unwrap();
        mentions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_signature_of_own_and_primitive_types_names_nothing_foreign() {
        assert!(told(&library(&named(3), &json!({}))).is_empty());
        assert!(told(&library(&json!({ "primitive": "u8" }), &json!({}))).is_empty());
    }

    #[test]
    fn a_foreign_type_is_found_however_deep_it_stands() {
        let reference = json!({ "borrowed_ref": { "type": { "slice": named(20) } } });
        let argument = json!({ "resolved_path": { "path": "Own", "id": 3, "args": {
            "angle_bracketed": { "args": [{ "type": named(20) }], "constraints": [] }
        } } });
        let dynamic =
            json!({ "dyn_trait": { "traits": [{ "trait": { "path": "E", "id": 20 } }] } });
        for input in [named(20), reference, argument, dynamic] {
            assert_eq!(
                told(&library(&input, &json!({}))),
                ["ours::m::f names rustls::error::Error of the crate rustls"]
            );
        }
    }

    #[test]
    fn fields_and_methods_are_told_with_their_owners() {
        let more = json!({
            "3": own(Some("Stream"), &json!({ "struct": {
                "kind": { "plain": { "fields": [4] } }, "impls": [5, 7]
            } })),
            "4": own(Some("cause"), &json!({ "struct_field": named(20) })),
            "5": own(None, &json!({ "impl": {
                "trait": { "path": "AsyncRead", "id": 21 }, "items": [6], "blanket_impl": null
            } })),
            "6": own(Some("poll_read"), &json!({ "function": { "sig": { "output": named(20) } } })),
            "7": own(None, &json!({ "impl": { "trait": null, "items": [8] } })),
            "8": own(Some("new"), &json!({ "function": { "sig": { "output": named(20) } } })),
        });
        assert_eq!(
            told(&library(&named(3), &more)),
            [
                "ours::m::Stream::cause names rustls::error::Error of the crate rustls",
                "ours::m::Stream::new names rustls::error::Error of the crate rustls",
                "ours::m::Stream::{impl AsyncRead} names tokio::io::AsyncRead of the crate tokio",
                "ours::m::Stream::{impl AsyncRead}::poll_read names rustls::error::Error of the crate rustls",
            ]
        );
    }

    #[test]
    fn a_reexport_is_found_in_each_of_its_forms() {
        let item = json!({ "use": { "source": "rustls::Error", "name": "TlsError", "id": 20 } });
        let glob = json!({ "use": { "source": "rustls", "name": "rustls", "id": 22 } });
        let linked = json!({ "extern_crate": { "name": "tls", "rename": "rustls" } });
        for inner in [item, glob, linked] {
            let more = json!({ "9": own(None, &inner) });
            let told = told(&library(&named(3), &more));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].ends_with("of the crate rustls"), "{told:?}");
        }
    }

    #[test]
    fn impls_that_nobody_wrote_are_no_mentions() {
        let head = |synthetic: bool, blanket: &Value| {
            let inner = json!({ "impl": {
                "trait": { "path": "Instrument", "id": 20 },
                "is_synthetic": synthetic, "blanket_impl": blanket, "items": []
            } });
            told(&library(&named(3), &json!({ "9": own(None, &inner) }))).len()
        };
        assert_eq!(head(true, &Value::Null), 0);
        assert_eq!(head(false, &json!({ "generic": "T" })), 0);
        assert_eq!(head(false, &Value::Null), 1);
    }

    #[test]
    fn items_of_other_crates_are_not_ours_to_answer_for() {
        let foreign = json!({ "crate_id": 7, "name": "g", "inner": { "constant": named(20) } });
        assert!(told(&library(&named(3), &json!({ "9": foreign }))).is_empty());
    }

    #[test]
    fn what_has_no_origin_is_told_as_foreign() {
        assert_eq!(
            told(&library(&named(99), &json!({}))),
            ["ours::m::f names Something of the crate unknown"]
        );
    }

    #[test]
    fn a_json_of_another_shape_is_refused() {
        let error = mentions(&json!({ "index": {} })).unwrap_err();
        assert_eq!(error.to_string(), "rustdoc's JSON has no table `paths`");
    }
}

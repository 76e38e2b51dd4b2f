//! The manifest as a tree of values that remember where they were written.
//!
//! Deserializing straight into structs would stop at the first fault. A tree is read whole and
//! then interpreted, so that every fault is found, and the same interpretation serves YAML and
//! the JSON that nodes exchange.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, MessageFormatter as _, Options, Spanned, UserMessageFormatter};

use crate::finding::Position;

/// A value and the place it was written at.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) position: Option<Position>,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number that is no `i64`. No key takes one, so its value is not kept.
    Float,
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map with its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_position: Option<Position>,
    pub(crate) node: Node,
}

/// Why a text is no YAML, in words for the user.
#[derive(Debug)]
pub(crate) struct SyntaxFault {
    pub(crate) message: String,
    pub(crate) position: Option<Position>,
}

impl Value {
    /// What the value is, for "expected a list, found ...".
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Integer(_) | Value::Float => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

impl Node {
    /// Read one YAML document.
    pub(crate) fn from_yaml(text: &str) -> Result<Node, SyntaxFault> {
        let spanned: Spanned<Value> = serde_saphyr::from_str_with_options(text, Options::default())
            .map_err(|error| SyntaxFault {
                message: message(&error),
                position: error.location().and_then(position),
            })?;
        Ok(spanned.into())
    }

    /// Take over a JSON value, which has no positions.
    pub(crate) fn from_json(json: serde_json::Value) -> Node {
        let value = match json {
            serde_json::Value::Null => Value::Null,
            serde_json::Value::Bool(value) => Value::Bool(value),
            serde_json::Value::Number(value) => value.as_i64().map_or(Value::Float, Value::Integer),
            serde_json::Value::String(value) => Value::Text(value),
            serde_json::Value::Array(items) => {
                Value::List(items.into_iter().map(Node::from_json).collect())
            }
            serde_json::Value::Object(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, value)| Entry {
                        key,
                        key_position: None,
                        node: Node::from_json(value),
                    })
                    .collect(),
            ),
        };
        Node {
            value,
            position: None,
        }
    }
}

impl From<Spanned<Value>> for Node {
    fn from(spanned: Spanned<Value>) -> Self {
        Node {
            value: spanned.value,
            position: position(spanned.referenced),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float, Value::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Float)
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Spanned<Value>>()? {
            items.push(item.into());
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Value>>()? {
            entries.push(Entry {
                key_position: position(key.referenced),
                key: key.value,
                node: value.into(),
            });
        }
        Ok(Value::Map(entries))
    }
}

/// The sentence without the source snippet: the finding carries position and file already.
fn message(error: &serde_saphyr::Error) -> String {
    let formatter = UserMessageFormatter;
    formatter
        .format_message(error.without_snippet())
        .into_owned()
}

fn position(location: Location) -> Option<Position> {
    (location != Location::UNKNOWN).then(|| Position {
        line: location.line(),
        column: location.column(),
    })
}

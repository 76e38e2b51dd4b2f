//! Parameters of a dataset, one at a time.

use super::{Reader, not_among};
use crate::finding::Findings;
use crate::node::Value;
use crate::param::ParamValue;
use crate::secret::{ALL_STORES, SecretReference};
use crate::section::{Cursor, Section, listed};
use crate::suggest::nearest;

impl Reader<'_> {
    /// The value of a parameter that may refer to secrets; none where there is no such parameter
    /// or it has a fault.
    pub(super) fn param(&mut self, params: &Section<'_>, key: &str) -> Option<ParamValue> {
        let cursor = params.optional(key)?;
        let text = cursor.text(&mut self.findings)?;
        let value = match ParamValue::parse(text) {
            Ok(value) => value,
            Err(fault) => {
                cursor.fault(&mut self.findings, fault.to_string());
                return None;
            }
        };
        for reference in value.references() {
            self.check_store(cursor, reference);
        }
        Some(value)
    }

    /// As [`param`](Self::param), for one that must be there.
    pub(super) fn required_param(&mut self, params: &Section<'_>, key: &str) -> Option<ParamValue> {
        params.required(key, &mut self.findings)?;
        self.param(params, key)
    }

    /// As [`param`](Self::param), for one that should be a reference. Text is accepted, since
    /// some secrets are none (of a test, of a laptop), and told about.
    pub(super) fn secret_param(&mut self, params: &Section<'_>, key: &str) -> Option<ParamValue> {
        let value = self.param(params, key)?;
        if let (Some(_), Some(cursor)) = (value.literal(), params.optional(key)) {
            let message = "holds a secret as text, which every node receives and whoever reads \
                           this file knows; put it into a secret store and write `${store:KEY}`";
            cursor.warn(&mut self.findings, message);
        }
        Some(value)
    }

    /// A parameter that is one of a few words.
    pub(super) fn word<'w>(
        &mut self,
        params: &Section<'_>,
        key: &str,
        words: &[&'w str],
    ) -> Option<&'w str> {
        let cursor = params.optional(key)?;
        let text = cursor.text(&mut self.findings)?;
        let found = words.iter().find(|word| **word == text).copied();
        if found.is_none() {
            let message = not_among(text, words);
            cursor.fault(&mut self.findings, message);
        }
        found
    }

    fn check_store(&mut self, cursor: &Cursor<'_>, reference: &SecretReference) {
        let store = reference.store();
        if store == ALL_STORES || self.stores.iter().any(|name| name == store) {
            return;
        }
        let mut known: Vec<&str> = self.stores.iter().map(String::as_str).collect();
        known.push(ALL_STORES);
        let message = match nearest(store, &known) {
            Some(meant) => format!("there is no secret store `{store}`; did you mean `{meant}`?"),
            None => format!(
                "there is no secret store `{store}`; the stores here are {}",
                listed(&known)
            ),
        };
        cursor.fault(&mut self.findings, message);
    }
}

/// Parameters are text in the Spicepod schema, so `"true"` is as good as `true`.
pub(super) fn flag(cursor: &Cursor<'_>, findings: &mut Findings) -> Option<bool> {
    match cursor.value() {
        Value::Bool(value) => Some(*value),
        Value::Text(text) if text == "true" => Some(true),
        Value::Text(text) if text == "false" => Some(false),
        other => {
            cursor.mismatch(findings, "`true` or `false`", other);
            None
        }
    }
}

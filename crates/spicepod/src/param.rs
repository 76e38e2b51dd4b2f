//! The value of a parameter: text, with secrets in it by their names only.

use std::fmt;

use crate::secret::{InvalidReference, SecretReference};

/// The value of a dataset's parameter, its references not expanded.
///
/// `Display` writes it as the manifest does. `Debug` keeps the literal text to itself, because
/// some manifests have a password there.
#[derive(Clone, PartialEq, Eq)]
pub struct ParamValue {
    parts: Vec<ParamPart>,
}

/// A piece of a [`ParamValue`].
#[derive(Clone, PartialEq, Eq)]
pub enum ParamPart {
    /// Text that stands for itself.
    Literal(String),
    /// Text that a secret store holds.
    Reference(SecretReference),
}

impl ParamValue {
    /// Text without any reference.
    pub(crate) fn from_literal(text: String) -> ParamValue {
        ParamValue {
            parts: vec![ParamPart::Literal(text)],
        }
    }

    /// Read text in which `${store:KEY}` is a reference; white space within the braces is never
    /// meant.
    pub(crate) fn parse(text: &str) -> Result<ParamValue, ReferenceFault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(OPENING) {
            let (inner, after) = behind.split_once('}').ok_or(ReferenceFault::Unclosed)?;
            if !before.is_empty() {
                parts.push(ParamPart::Literal(before.to_owned()));
            }
            parts.push(ParamPart::Reference(reference(inner)?));
            rest = after;
        }
        if !rest.is_empty() || parts.is_empty() {
            parts.push(ParamPart::Literal(rest.to_owned()));
        }
        Ok(ParamValue { parts })
    }

    /// The pieces, in the order of the text; at least one.
    #[must_use]
    pub fn parts(&self) -> &[ParamPart] {
        &self.parts
    }

    /// The whole value, where it holds no reference.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [ParamPart::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The secrets that the value needs, in the order of the text.
    pub fn references(&self) -> impl Iterator<Item = &SecretReference> {
        self.parts.iter().filter_map(|part| match part {
            ParamPart::Reference(reference) => Some(reference),
            ParamPart::Literal(_) => None,
        })
    }
}

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            ParamPart::Literal(text) => f.write_str(text),
            ParamPart::Reference(reference) => write!(f, "{reference}"),
        })
    }
}

impl fmt::Debug for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.parts).finish()
    }
}

impl fmt::Debug for ParamPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParamPart::Literal(_) => f.write_str("Literal(..)"),
            ParamPart::Reference(reference) => write!(f, "{reference}"),
        }
    }
}

/// Why a text is no parameter value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReferenceFault {
    #[error("a reference starts with `${{` and has no `}}` behind it; write `${{store:KEY}}`")]
    Unclosed,
    #[error("{0}")]
    Invalid(InvalidReference),
}

/// What `${` and `}` stand around.
fn reference(inner: &str) -> Result<SecretReference, ReferenceFault> {
    // Without a colon the one word could be either of the two; the store is what is missing.
    let (store, key) = inner.split_once(':').unwrap_or(("", inner));
    SecretReference::new(store.trim(), key.trim()).map_err(ReferenceFault::Invalid)
}

pub(crate) const OPENING: &str = "${";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_text_and_references_and_writes_them_again() {
        for (text, references, again) in [
            ("plain", 0, "plain"),
            ("${env:A}", 1, "${env:A}"),
            ("${ env : A }", 1, "${env:A}"),
            (
                "https://${env:HOST}:${vault:PORT}/x",
                2,
                "https://${env:HOST}:${vault:PORT}/x",
            ),
            ("$ { } $env", 0, "$ { } $env"),
        ] {
            let value = ParamValue::parse(text).unwrap();
            assert_eq!(value.references().count(), references, "{text}");
            assert_eq!(value.to_string(), again);
            assert_eq!(ParamValue::parse(again).unwrap(), value);
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_reference() {
        let fault = |text| ParamValue::parse(text).unwrap_err();
        assert_eq!(fault("a${env:A"), ReferenceFault::Unclosed);
        for (text, invalid) in [
            ("${A}", InvalidReference::EmptyStore),
            ("${}", InvalidReference::EmptyStore),
            ("${:A}", InvalidReference::EmptyStore),
            ("${env:}", InvalidReference::EmptyKey),
            ("${env: }", InvalidReference::EmptyKey),
            ("${env:a:b}", InvalidReference::Key),
            ("${env:../a}", InvalidReference::Key),
            ("${e.v:a}", InvalidReference::Store),
        ] {
            assert_eq!(fault(text), ReferenceFault::Invalid(invalid), "{text}");
        }
    }

    #[test]
    fn shows_no_literal_text_for_debugging() {
        let value = ParamValue::parse("hunter2${env:A}").unwrap();
        assert_eq!(format!("{value:?}"), "[Literal(..), ${env:A}]");
    }
}

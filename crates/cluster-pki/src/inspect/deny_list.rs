//! Deny-lists: one certificate a line, by serial number or SHA-256 fingerprint.
//!
//! The grammar is that of nodes, which refuse a list with a line that they do not understand.

use serde::Serialize;

use crate::inspect::InspectError;
use crate::text::printable;

/// What a deny-list says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DenyListReport {
    /// The certificates that are denied, in the list's order.
    pub entries: Vec<DenyListEntry>,
}

/// One denied certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DenyListEntry {
    /// `serial` or `fingerprint_sha256`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Lower-case hexadecimal.
    pub value: String,
    /// What stands behind it on its line.
    pub comment: Option<String>,
}

impl DenyListReport {
    /// Text whose first line with something on it is an entry is a deny-list, and so is one of
    /// nothing but comments; everything else is something else.
    pub(super) fn read(text: &[u8]) -> Result<Self, InspectError> {
        let text = std::str::from_utf8(text).map_err(|_| InspectError::Unknown)?;
        let mut entries = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let (content, comment) = match line.split_once('#') {
                Some((content, comment)) => (content.trim(), Some(comment.trim())),
                None => (line.trim(), None),
            };
            if content.is_empty() {
                continue;
            }
            let Some((kind, value)) = entry(content) else {
                return Err(match entries.is_empty() {
                    true => InspectError::Unknown,
                    false => InspectError::DenyList { line: index + 1 },
                });
            };
            let comment = comment.filter(|text| !text.is_empty()).map(printable);
            entries.push(DenyListEntry {
                kind,
                value,
                comment,
            });
        }
        Ok(Self { entries })
    }
}

fn entry(text: &str) -> Option<(&'static str, String)> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let mut digits: String = text.chars().filter(|letter| *letter != ':').collect();
    digits.make_ascii_lowercase();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    if digits.len() == FINGERPRINT_DIGITS {
        return Some(("fingerprint_sha256", digits));
    }
    if digits.len() > SERIAL_DIGITS_MAX {
        return None;
    }
    let significant = digits.trim_start_matches('0');
    let is_negative = significant.len() == SERIAL_OCTETS_MAX * 2 && significant >= "8";
    if significant.len() > SERIAL_OCTETS_MAX * 2 || is_negative {
        return None;
    }
    Some(("serial", whole_octets(significant)))
}

/// The serial as certificates show it: whole octets, no zero octets in front.
fn whole_octets(significant: &str) -> String {
    match significant.len() {
        0 => "00".to_owned(),
        length if length % 2 == 1 => format!("0{significant}"),
        _ => significant.to_owned(),
    }
}

const FINGERPRINT_DIGITS: usize = 64;

/// RFC 5280, section 4.1.2.2: at most 20 octets, and one of sign in the encoding.
const SERIAL_DIGITS_MAX: usize = 42;
const SERIAL_OCTETS_MAX: usize = 20;

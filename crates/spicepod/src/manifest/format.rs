//! How the files of a dataset are encoded.

use std::path::Path;

use super::param::flag;
use super::{Reader, not_among};
use crate::finding::Findings;
use crate::format::{CsvOptions, Format};
use crate::node::Value;
use crate::section::{Cursor, Section};

impl Reader<'_> {
    /// `params.file_format`, or else what the extension says.
    ///
    /// `path` is where the files are; without one only what the parameters say is checked.
    pub(super) fn format(
        &mut self,
        dataset: &Section<'_>,
        path: Option<&str>,
        params: Option<&Section<'_>>,
    ) -> Option<Format> {
        let named = params.and_then(|params| params.optional("file_format"));
        let format = match named {
            Some(cursor) => {
                let text = cursor.text(&mut self.findings)?;
                kind(text).or_else(|| {
                    cursor.fault(&mut self.findings, not_among(text, &FORMATS));
                    None
                })
            }
            None => {
                let path = Path::new(path?);
                inferred(path).or_else(|| {
                    let from = dataset.optional("from")?;
                    from.fault(&mut self.findings, unclear(path));
                    None
                })
            }
        };
        self.options(format?, params)
    }

    /// Complete a format with its options; options of another format are faults.
    fn options(&mut self, format: Kind, params: Option<&Section<'_>>) -> Option<Format> {
        let findings = &mut self.findings;
        let entries = params
            .into_iter()
            .flat_map(Section::entries)
            .filter(|(key, _)| key.starts_with("csv_"));
        match format {
            Kind::Parquet => {
                for (_, cursor) in entries {
                    cursor.fault(findings, "applies to csv files only, and this is parquet");
                }
                Some(Format::Parquet)
            }
            Kind::Csv => {
                let mut options = CsvOptions::default();
                for (key, cursor) in entries {
                    csv_option(&mut options, key, cursor, findings);
                }
                if options.delimiter == options.quote
                    && let Some(params) = params.and_then(|params| params.optional("csv_delimiter"))
                {
                    params.fault(findings, "the delimiter and the quote must differ");
                }
                Some(Format::Csv(options))
            }
        }
    }
}

/// A format before its options are known.
#[derive(Clone, Copy)]
enum Kind {
    Parquet,
    Csv,
}

fn kind(text: &str) -> Option<Kind> {
    match text {
        "parquet" => Some(Kind::Parquet),
        "csv" => Some(Kind::Csv),
        _ => None,
    }
}

fn inferred(path: &Path) -> Option<Kind> {
    let extension = path.extension()?.to_str()?;
    kind(&extension.to_ascii_lowercase())
}

fn unclear(path: &Path) -> String {
    match path.extension() {
        Some(extension) => format!(
            "the extension `.{}` names no format that this version reads; set \
             `params.file_format` to `parquet` or `csv`",
            extension.display()
        ),
        None => "the path has no extension to tell the format by; set `params.file_format` to \
                 `parquet` or `csv` (a directory always needs it)"
            .to_owned(),
    }
}

fn csv_option(options: &mut CsvOptions, key: &str, cursor: &Cursor<'_>, findings: &mut Findings) {
    match key {
        "csv_has_header" => assign(&mut options.has_header, flag(cursor, findings)),
        "csv_delimiter" => assign(&mut options.delimiter, byte(cursor, findings)),
        "csv_quote" => assign(&mut options.quote, byte(cursor, findings)),
        "csv_escape" => options.escape = byte(cursor, findings),
        _ => assign(
            &mut options.schema_infer_max_records,
            count(cursor, findings),
        ),
    }
}

/// A value that was refused leaves the default: the fault ends the load anyway.
fn assign<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

fn count(cursor: &Cursor<'_>, findings: &mut Findings) -> Option<u32> {
    let number = match cursor.value() {
        Value::Integer(value) => u32::try_from(*value).ok(),
        Value::Text(text) => text.parse().ok(),
        _ => None,
    };
    let positive = number.filter(|number| *number > 0);
    if positive.is_none() {
        cursor.fault(findings, "expected a whole number, 1 or more");
    }
    positive
}

/// One ASCII character. It is not trimmed, since a tab or a space is a delimiter like any
/// other; `\t` may also be written as those two characters.
fn byte(cursor: &Cursor<'_>, findings: &mut Findings) -> Option<u8> {
    let Value::Text(text) = cursor.value() else {
        cursor.mismatch(findings, "one character as text", cursor.value());
        return None;
    };
    match text.as_bytes() {
        b"\\t" => Some(b'\t'),
        [b'\n' | b'\r' | 0] => {
            cursor.fault(findings, "a line end or NUL cannot be used here");
            None
        }
        [byte] => Some(*byte),
        _ => {
            cursor.fault(findings, "expected exactly one ASCII character");
            None
        }
    }
}

const FORMATS: [&str; 2] = ["parquet", "csv"];

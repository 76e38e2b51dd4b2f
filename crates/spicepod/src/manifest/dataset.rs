//! One entry of `datasets`.

use std::path::Path;

use super::{Reader, not_among, source};
use crate::app::{CsvOptions, Dataset, Format, Source};
use crate::finding::Findings;
use crate::node::Value;
use crate::section::{Cursor, Keys, Section};

impl Reader<'_> {
    pub(super) fn dataset(&mut self, item: &Cursor<'_>) -> Option<Dataset> {
        let section = item.section(DATASET, &mut self.findings)?;
        let name = self.name(&section);
        let source = self.source(&section);
        let params = match section.optional("params") {
            Some(params) => params.section(PARAMS, &mut self.findings),
            None => None,
        };
        let format = self.format(&section, source.as_ref(), params.as_ref());
        Some(Dataset {
            name: name?,
            source: source?,
            format: format?,
        })
    }

    fn source(&mut self, section: &Section<'_>) -> Option<Source> {
        let cursor = section.required("from", &mut self.findings)?;
        let from = cursor.text(&mut self.findings)?;
        match source::parse(from, self.base) {
            Ok(source) => Some(source),
            Err(error) => {
                cursor.fault(&mut self.findings, error.to_string());
                None
            }
        }
    }

    /// `params.file_format`, or else what the extension says.
    fn format(
        &mut self,
        dataset: &Section<'_>,
        source: Option<&Source>,
        params: Option<&Section<'_>>,
    ) -> Option<Format> {
        let named = params.and_then(|params| params.optional("file_format"));
        let format = match named {
            Some(cursor) => {
                let text = param_text(cursor, &mut self.findings)?;
                kind(text).or_else(|| {
                    cursor.fault(&mut self.findings, not_among(text, &FORMATS));
                    None
                })
            }
            None => {
                let path = source?.path();
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
            .filter(|(key, _)| *key != "file_format");
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

/// Parameters are text in the Spicepod schema, so `"true"` is as good as `true`.
fn flag(cursor: &Cursor<'_>, findings: &mut Findings) -> Option<bool> {
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

fn param_text<'a>(cursor: &Cursor<'a>, findings: &mut Findings) -> Option<&'a str> {
    let text = cursor.text(findings)?;
    if source::holds_reference(text) {
        cursor.fault(findings, source::REFERENCE_REFUSED);
        return None;
    }
    Some(text)
}

const FORMATS: [&str; 2] = ["parquet", "csv"];

const DATASET: Keys = Keys {
    known: &["name", "from", "params"],
    later: &["acceleration"],
    ignored: &[],
};

const PARAMS: Keys = Keys {
    known: &[
        "file_format",
        "csv_has_header",
        "csv_delimiter",
        "csv_quote",
        "csv_escape",
        "csv_schema_infer_max_records",
    ],
    later: &["file_compression_type", "hive_partitioning_enabled"],
    ignored: &[],
};

//! The one way to write an application down, so that equal meaning has equal bytes.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest as hash};
use serde::Serialize;

use crate::app::{CsvOptions, Dataset, Format, View};

/// Field order is declaration order, which is what makes the text canonical: a map type would
/// depend on features that other crates of a build switch on.
#[derive(Serialize)]
struct Document<'a> {
    version: &'static str,
    kind: &'static str,
    name: &'a str,
    datasets: Vec<DatasetEntry<'a>>,
    views: Vec<ViewEntry<'a>>,
}

#[derive(Serialize)]
struct DatasetEntry<'a> {
    name: String,
    from: String,
    params: Params<'a>,
}

#[derive(Serialize)]
struct Params<'a> {
    file_format: &'a str,
    #[serde(flatten)]
    csv: Option<CsvParams>,
}

#[derive(Serialize)]
struct CsvParams {
    csv_has_header: bool,
    csv_delimiter: char,
    csv_quote: char,
    #[serde(skip_serializing_if = "Option::is_none")]
    csv_escape: Option<char>,
    csv_schema_infer_max_records: u32,
}

#[derive(Serialize)]
struct ViewEntry<'a> {
    name: String,
    sql: &'a str,
}

/// The canonical JSON of an application's parts.
#[expect(
    clippy::expect_used,
    reason = "strings, numbers and booleans under string keys always serialize"
)]
pub(crate) fn json(name: &str, datasets: &[Dataset], views: &[View]) -> String {
    let document = Document {
        version: "v1",
        kind: "Spicepod",
        name,
        datasets: datasets.iter().map(dataset).collect(),
        views: views.iter().map(view).collect(),
    };
    serde_json::to_string(&document).expect("plain data serializes")
}

/// SHA-256 in lower-case hexadecimal.
pub(crate) fn digest(text: &str) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hash(&SHA256, text.as_bytes()).as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

fn dataset(dataset: &Dataset) -> DatasetEntry<'_> {
    DatasetEntry {
        name: dataset.name.to_string(),
        from: dataset.source.to_string(),
        params: Params {
            file_format: dataset.format.as_str(),
            csv: match &dataset.format {
                Format::Parquet => None,
                Format::Csv(options) => Some(csv(*options)),
            },
        },
    }
}

fn csv(options: CsvOptions) -> CsvParams {
    CsvParams {
        csv_has_header: options.has_header,
        csv_delimiter: char::from(options.delimiter),
        csv_quote: char::from(options.quote),
        csv_escape: options.escape.map(char::from),
        csv_schema_infer_max_records: options.schema_infer_max_records,
    }
}

fn view(view: &View) -> ViewEntry<'_> {
    ViewEntry {
        name: view.name.to_string(),
        sql: &view.sql,
    }
}

//! How files are encoded.

/// How a dataset's files are encoded. Exhaustive, so that whoever reads files handles a new one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet; the files carry their own schema.
    Parquet,
    /// Delimited text; the schema is inferred.
    Csv(CsvOptions),
}

impl Format {
    /// The value of `params.file_format`, which is also the extension (without its dot) that
    /// files of this format carry in a directory.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Format::Parquet => "parquet",
            Format::Csv(_) => "csv",
        }
    }
}

/// How to read delimited text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CsvOptions {
    /// Whether the first line names the columns (`csv_has_header`, true unless given).
    pub has_header: bool,
    /// The byte between two fields (`csv_delimiter`, `,` unless given).
    pub delimiter: u8,
    /// The byte around a field that holds delimiters or newlines (`csv_quote`, `"`).
    pub quote: u8,
    /// The byte that makes the next one literal (`csv_escape`, none: a quote is doubled).
    pub escape: Option<u8>,
    /// How many rows the types of the columns are inferred from
    /// (`csv_schema_infer_max_records`, 1000).
    pub schema_infer_max_records: u32,
}

impl Default for CsvOptions {
    /// RFC 4180 with a header line.
    fn default() -> Self {
        CsvOptions {
            has_header: true,
            delimiter: b',',
            quote: b'"',
            escape: None,
            schema_infer_max_records: 1000,
        }
    }
}

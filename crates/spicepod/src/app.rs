//! What a manifest means once everything in it has been checked.

use std::fmt;
use std::path::Path;

use crate::error::LoadError;
use crate::finding::Finding;
use crate::name::TableName;
use crate::{canonical, manifest};

/// A validated application: the datasets and views a node serves.
///
/// Only this crate makes one, so whoever holds an `App` may rely on its rules: names are valid
/// and unique across datasets and views, and file paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    name: String,
    datasets: Vec<Dataset>,
    views: Vec<View>,
    digest: String,
    warnings: Vec<Finding>,
}

impl App {
    pub(crate) fn new(
        name: String,
        datasets: Vec<Dataset>,
        views: Vec<View>,
        warnings: Vec<Finding>,
    ) -> App {
        let digest = canonical::digest(&canonical::json(&name, &datasets, &views));
        App {
            name,
            datasets,
            views,
            digest,
            warnings,
        }
    }

    /// An application that serves nothing; SQL without tables still works on it.
    #[must_use]
    pub fn empty() -> App {
        App::new("spice".to_owned(), Vec::new(), Vec::new(), Vec::new())
    }

    /// The manifest's `name`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The datasets, in the order of the manifest.
    #[must_use]
    pub fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// The views, in the order of the manifest; a view may use one that comes later.
    #[must_use]
    pub fn views(&self) -> &[View] {
        &self.views
    }

    /// SHA-256 over [`App::to_json`], as 64 lower-case hexadecimal digits.
    ///
    /// Two manifests with the same meaning have the same digest, however they are written.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the manifest holds that is accepted but has no effect, for the log of the node
    /// that loaded it. Warnings are no part of the meaning: they are neither in the digest nor
    /// in the JSON.
    #[must_use]
    pub fn warnings(&self) -> &[Finding] {
        &self.warnings
    }

    /// The application as canonical JSON: a manifest in which every default is spelled out and
    /// every path is absolute. This is what a scheduler hands to its executors.
    #[must_use]
    pub fn to_json(&self) -> String {
        canonical::json(&self.name, &self.datasets, &self.views)
    }

    /// Read what [`App::to_json`] wrote, under the same rules as a manifest.
    ///
    /// # Errors
    ///
    /// [`LoadError::Json`] where the text is not JSON, [`LoadError::Invalid`] with every fault
    /// where it is not a valid manifest, a relative path included: the reader may be another
    /// machine than the writer, so there is no directory to resolve it against.
    pub fn from_json(json: &str) -> Result<App, LoadError> {
        manifest::from_json(json)
    }
}

/// One table of the application that is backed by data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    pub(crate) name: TableName,
    pub(crate) source: Source,
    pub(crate) format: Format,
}

impl Dataset {
    /// The table name that SQL uses.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// Where the data is (the manifest's `from`).
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// How the data is encoded, with the options of that encoding.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }
}

/// Where a dataset's data is. Exhaustive, so that whoever reads data handles a new kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file, or a directory of files, on the node itself.
    File {
        /// Absolute; text, because JSON carries it between machines.
        path: String,
    },
}

impl Source {
    /// The absolute path of the file or directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Source::File { path } => Path::new(path),
        }
    }
}

impl fmt::Display for Source {
    /// The `from` of a manifest that means this source.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File { path } => write!(out, "file:{path}"),
        }
    }
}

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

/// A named query over datasets and other views.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    pub(crate) name: TableName,
    pub(crate) sql: String,
}

impl View {
    /// The table name that SQL uses.
    #[must_use]
    pub fn name(&self) -> &TableName {
        &self.name
    }

    /// The query, as written; it has not been parsed here.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }
}

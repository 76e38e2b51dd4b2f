//! A dataset as a table of the engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::csv::CsvFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use spicepod::{Dataset, FileSource, Format};
use url::Url;

use crate::open_error::OpenFault;
use crate::opened::locate;
use crate::probe::Located;
use crate::s3::S3Dataset;
use crate::unlike;

/// Files, or objects, that make a table together.
pub(crate) struct Files {
    url: ListingTableUrl,
    format: Format,
    located: Located,
    /// What they are called where something is wrong with them.
    shown: PathBuf,
}

impl Files {
    /// Those on this node, if they are there.
    pub(crate) async fn local(dataset: &Dataset, source: &FileSource) -> Result<Self, OpenFault> {
        let located = locate(dataset, source).await?;
        let url = location(source.path(), located);
        Ok(Self {
            url: url.map_err(|source| OpenFault::Engine { source })?,
            format: source.format().clone(),
            located,
            shown: source.path().to_owned(),
        })
    }

    /// Those in a store that the engine knows already.
    pub(crate) fn remote(objects: &S3Dataset) -> Result<Self> {
        Ok(Self {
            url: objects.location()?,
            format: objects.format().clone(),
            located: objects.located(),
            shown: objects.shown().into(),
        })
    }
}

/// Open the files of `dataset`, whose schema is read from them.
pub(crate) async fn open(
    state: &SessionState,
    dataset: &Dataset,
    files: Files,
) -> Result<ListingTable, OpenFault> {
    let options = listing(state, &files.format, files.located);
    let malformed = |error: DataFusionError| OpenFault::Malformed {
        dataset: dataset.name().clone(),
        path: files.shown.clone(),
        format: files.format.as_str(),
        source: Box::new(error),
    };
    let schema = match options.infer_schema(state, &files.url).await {
        Ok(schema) => without_views(&schema),
        Err(error) => {
            let unlike = unlike::find(state, dataset, (&options, &files.url), &error).await;
            return Err(unlike.unwrap_or_else(|| malformed(error)));
        }
    };
    if schema.fields().is_empty() {
        return Err(OpenFault::NoColumns {
            dataset: dataset.name().clone(),
            path: files.shown,
        });
    }
    let config = ListingTableConfig::new(files.url.clone())
        .with_listing_options(options)
        .with_schema(schema);
    ListingTable::try_new(config).map_err(malformed)
}

/// The schema with plain strings and binaries in the place of views.
///
/// Files written by Arrow may ask for views in their metadata. A view keeps the whole buffer
/// that it points into alive, and a shuffle writes that buffer with it: twenty rows of a sorted
/// result were megabytes on the wire. Clients of older Arrow releases cannot read views at all.
fn without_views(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| match field.data_type() {
        DataType::Utf8View => retyped(field, DataType::Utf8),
        DataType::BinaryView => retyped(field, DataType::Binary),
        _ => Arc::clone(field),
    });
    let fields: Fields = fields.collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
}

fn retyped(field: &Field, data_type: DataType) -> FieldRef {
    Arc::new(field.clone().with_data_type(data_type))
}

/// The texts by which the engine may know the place of files, as a file or a directory.
pub(crate) fn locations(path: &Path) -> impl Iterator<Item = String> {
    let kinds = [Located::File, Located::Directory].into_iter();
    let urls = kinds.filter_map(|located| location(path, located).ok());
    urls.map(|url| url.as_str().to_owned())
}

/// The path as a URL; one that ends in a slash is a directory to the engine. Going through
/// `Url` and not through text keeps `?`, `[` and `%` in file names what they are.
fn location(path: &Path, located: Located) -> Result<ListingTableUrl> {
    let url = match located {
        Located::File => Url::from_file_path(path),
        Located::Directory => Url::from_directory_path(path),
    };
    let url = url.map_err(|()| {
        DataFusionError::Configuration(format!("{} is not an absolute path", path.display()))
    })?;
    ListingTableUrl::try_new(url, None)
}

fn listing(state: &SessionState, format: &Format, located: Located) -> ListingOptions {
    // A single file was named by the user, so its extension is not questioned.
    let extension = match located {
        Located::File => String::new(),
        Located::Directory => format!(".{}", format.as_str()),
    };
    ListingOptions::new(file_format(state, format)).with_file_extension(extension)
}

fn file_format(state: &SessionState, format: &Format) -> Arc<dyn FileFormat> {
    let defaults = state.default_table_options();
    match format {
        Format::Csv(csv) => Arc::new(
            CsvFormat::default()
                .with_options(defaults.csv)
                .with_has_header(csv.has_header)
                .with_delimiter(csv.delimiter)
                .with_quote(csv.quote)
                .with_escape(csv.escape)
                .with_schema_infer_max_rec(csv.schema_infer_max_records as usize),
        ),
        Format::Parquet => Arc::new(ParquetFormat::default().with_options(defaults.parquet)),
    }
}

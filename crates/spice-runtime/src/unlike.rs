//! Which two files of a dataset cannot be one table: the engine names the column alone.

use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::error::ArrowError;
use datafusion::datasource::listing::{ListingOptions, ListingTableUrl};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionState;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use spicepod::Dataset;

use crate::open_error::OpenFault;

/// The first file whose columns do not go with those of one before it, where `error` says that there
/// is one. Nothing where the files cannot be read again.
pub(crate) async fn find(
    state: &SessionState,
    dataset: &Dataset,
    (options, url): (&ListingOptions, &ListingTableUrl),
    error: &DataFusionError,
) -> Option<OpenFault> {
    if !is_of_merging(error) {
        return None;
    }
    let schemas = schemas(state, options, url).await.ok()?;
    let (one, other, source) = conflict(&schemas)?;
    Some(OpenFault::Unlike {
        dataset: dataset.name().clone(),
        one: name(one),
        other: name(other),
        source: Box::new(source.into()),
    })
}

fn is_of_merging(error: &DataFusionError) -> bool {
    match error.find_root() {
        DataFusionError::ArrowError(arrow, _) => matches!(**arrow, ArrowError::SchemaError(_)),
        _ => false,
    }
}

/// The columns of each file by itself.
async fn schemas(
    state: &SessionState,
    options: &ListingOptions,
    url: &ListingTableUrl,
) -> Result<Vec<(Path, Schema)>> {
    let store = state.runtime_env().object_store(url)?;
    let files = url.list_all_files(state, store.as_ref(), &options.file_extension);
    let files: Vec<_> = files.await?.take(FILES_LIMIT).try_collect().await?;
    let mut schemas = Vec::new();
    for file in files.into_iter().filter(|file| file.size > 0) {
        let path = file.location.clone();
        let schema = options.format.infer_schema(state, &store, &[file]).await?;
        schemas.push((path, Schema::clone(&schema)));
    }
    Ok(schemas)
}

/// The first that does not go with one before it, and that one.
fn conflict(schemas: &[(Path, Schema)]) -> Option<(&Path, &Path, ArrowError)> {
    schemas
        .iter()
        .enumerate()
        .find_map(|(index, (other, of_other))| {
            schemas[..index].iter().find_map(|(one, of_one)| {
                let merged = Schema::try_merge([of_one.clone(), of_other.clone()]);
                merged.err().map(|error| (one, other, error))
            })
        })
}

fn name(path: &Path) -> String {
    path.filename().unwrap_or_default().to_owned()
}

/// Each is compared with all before it.
const FILES_LIMIT: usize = 1000;

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    fn schema(column: &str, data_type: DataType) -> Schema {
        Schema::new(vec![Field::new(column, data_type, true)])
    }

    #[test]
    fn the_two_files_are_those_that_differ_and_not_those_between() {
        let files = [
            ("a", schema("n", DataType::Int64)),
            ("b", schema("other", DataType::Utf8)),
            ("c", schema("n", DataType::Int64)),
            ("d", schema("n", DataType::Utf8)),
        ];
        let files = files.map(|(name, schema)| (Path::from(format!("x/{name}.csv")), schema));
        let (one, other, error) = conflict(&files).unwrap();
        assert_eq!((name(one), name(other)), ("a.csv".into(), "d.csv".into()));
        assert!(error.to_string().contains('n'), "{error}");
        assert!(conflict(&files[..3]).is_none());
    }
}

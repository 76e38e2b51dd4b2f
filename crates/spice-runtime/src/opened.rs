//! A dataset that can be read, and how to see whether its data is there.

use datafusion::error::DataFusionError;
use spicepod::{Dataset, FileSource};

use crate::open_error::OpenFault;
use crate::postgres::PostgresTable;
use crate::probe::{Located, probe};
use crate::s3::S3Dataset;
use crate::table;

/// An open dataset.
#[derive(Debug, Clone)]
pub(crate) struct OpenDataset {
    pub(crate) dataset: Dataset,
    pub(crate) access: Access,
}

/// How its data is reached.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    File(FileSource),
    S3(Box<S3Dataset>),
    Postgres(PostgresTable),
}

impl OpenDataset {
    /// The texts by which the engine may know the place of its data.
    pub(crate) fn locations(&self) -> Vec<String> {
        match &self.access {
            Access::File(file) => table::locations(file.path()).collect(),
            Access::S3(objects) => {
                let location = objects.location().ok().into_iter();
                location.map(|url| url.as_str().to_owned()).collect()
            }
            Access::Postgres(table) => vec![table.location()],
        }
    }

    /// Checks that the data is there: files and objects, or the table with the columns that it had.
    pub(crate) async fn check(&self) -> Result<(), OpenFault> {
        match &self.access {
            Access::File(file) => locate(&self.dataset, file).await.map(drop),
            Access::S3(objects) => objects.check().await,
            Access::Postgres(table) => table.check().await,
        }
    }

    /// Whether missing data would look like no rows to the engine. A table that is gone would not:
    /// the database refuses to read it.
    pub(crate) fn can_vanish(&self) -> bool {
        !matches!(self.access, Access::Postgres(_))
    }
}

/// Probe off the async workers: a network file system may take its time.
pub(crate) async fn locate(dataset: &Dataset, file: &FileSource) -> Result<Located, OpenFault> {
    let (dataset, file) = (dataset.clone(), file.clone());
    let probing = tokio::task::spawn_blocking(move || probe(&dataset, &file));
    probing.await.unwrap_or_else(|error| {
        let source = DataFusionError::ExecutionJoin(Box::new(error));
        Err(OpenFault::Engine { source })
    })
}

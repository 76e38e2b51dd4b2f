//! An application's tables, open and ready to be queried.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::MemorySchemaProvider;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::SessionContext;
use futures::{StreamExt as _, stream};
use spicepod::{App, DEFAULT_SCHEMA, Dataset, FileSource, Source, TableName};

use crate::open_error::{OpenError, OpenFault};
use crate::placement::{Placement, placement};
use crate::probe::{Located, probe};
use crate::query_error::QueryError;
use crate::secrets::SecretSource;
use crate::session::{CATALOG, RuntimeOptions};
use crate::survey::{Survey, TableState};
use crate::{session, table, views};

/// The datasets and views of one application.
pub struct Runtime {
    context: SessionContext,
    tables: Vec<TableEntry>,
    datasets: Vec<Dataset>,
    survey: Survey,
}

impl Runtime {
    /// Open everything that `app` declares. All of it is tried, so that the error holds every
    /// fault; nothing is served unless all of it opened. The secrets that it refers to are taken
    /// from `secrets`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] with a fault for each dataset or view that cannot be served. A view over a
    /// dataset that has a fault is not reported beside it.
    pub async fn open(
        app: &App,
        options: RuntimeOptions,
        secrets: Arc<dyn SecretSource>,
    ) -> Result<Runtime, OpenError> {
        let context = session::open(&options).map_err(engine)?;
        add_schemas(&context, app).map_err(engine)?;
        let opening = Opening {
            context: &context,
            secrets: &*secrets,
        };
        let (mut faults, broken) = opening.datasets(app.datasets()).await;
        faults.extend(views::create(&context, app.views(), &broken).await);
        if !faults.is_empty() {
            return Err(OpenError { faults });
        }
        let tables = entries(&context, app).await.map_err(engine)?;
        Ok(Runtime {
            context,
            tables,
            datasets: app.datasets().to_vec(),
            survey: Survey::default(),
        })
    }

    /// A session over these tables. Sessions share catalog, caches and memory; since SQL cannot
    /// change settings, they share those as well.
    #[must_use]
    pub fn session(&self) -> SessionContext {
        self.context.clone()
    }

    /// Every dataset and view, in the order of the manifest, datasets first.
    #[must_use]
    pub fn tables(&self) -> &[TableEntry] {
        &self.tables
    }

    /// The schemas of the catalog [`CATALOG`], sorted: those of the tables, the one that SQL may
    /// leave out, and the information schema.
    #[must_use]
    pub fn schemas(&self) -> BTreeSet<&str> {
        let own = self.tables.iter().map(|table| table.name.schema());
        own.chain([DEFAULT_SCHEMA, INFORMATION_SCHEMA]).collect()
    }

    /// Looks whether the data behind every table is there now; the tables in the order of
    /// [`tables`](Self::tables). It reads the file system, a few looks at a time.
    ///
    /// # Errors
    ///
    /// [`QueryError::Failed`] where the look itself was interrupted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A look that has begun goes on by itself, and counts until it ends.
    pub async fn survey(&self) -> Result<Vec<TableState>, QueryError> {
        self.survey.of(&self.datasets, &self.tables).await
    }

    /// Checks that the data at `locations` is still there. To the engine a directory that has
    /// gone is one without rows, and a wrong answer looks like a right one.
    pub(crate) async fn check_present(
        &self,
        locations: &BTreeSet<String>,
    ) -> Result<(), QueryError> {
        for dataset in &self.datasets {
            let Source::File(file) = dataset.source() else {
                continue;
            };
            if table::locations(dataset).any(|it| locations.contains(&it)) {
                let located = locate(dataset.clone(), file.clone()).await;
                located.map_err(|fault| QueryError::Failed(fault.to_string()))?;
            }
        }
        Ok(())
    }

    /// The names of the datasets, in the order of the manifest.
    pub fn dataset_names(&self) -> impl Iterator<Item = &TableName> {
        self.tables
            .iter()
            .filter(|table| table.kind == TableKind::Dataset)
            .map(|table| &table.name)
    }
}

/// A table as a client may list it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TableEntry {
    /// Its name within the catalog [`CATALOG`].
    pub name: TableName,
    /// What stands behind it.
    pub kind: TableKind,
    /// Its columns.
    pub schema: SchemaRef,
    /// Where its data is; `None` for a view.
    pub source: Option<Source>,
    /// The places of all data that a query over it reads, as the engine knows them.
    pub(crate) locations: BTreeSet<String>,
}

/// What stands behind a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// Data of its own.
    Dataset,
    /// A query over other tables.
    View,
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

fn engine(source: DataFusionError) -> OpenError {
    OpenError {
        faults: vec![OpenFault::Engine { source }],
    }
}

/// The name of every table, and its source where it has one.
fn names(app: &App) -> impl Iterator<Item = (&TableName, Option<&Source>)> {
    let datasets = app.datasets().iter().map(|d| (d.name(), Some(d.source())));
    datasets.chain(app.views().iter().map(|v| (v.name(), None)))
}

fn add_schemas(context: &SessionContext, app: &App) -> Result<(), DataFusionError> {
    let catalog = context
        .catalog(CATALOG)
        .ok_or_else(|| DataFusionError::Internal(format!("no catalog `{CATALOG}`")))?;
    for (name, _) in names(app) {
        if catalog.schema(name.schema()).is_none() {
            catalog.register_schema(name.schema(), Arc::new(MemorySchemaProvider::new()))?;
        }
    }
    Ok(())
}

/// What it takes to open datasets.
struct Opening<'a> {
    context: &'a SessionContext,
    secrets: &'a dyn SecretSource,
}

impl Opening<'_> {
    /// Register each dataset that opens; give the faults of the others and their names.
    async fn datasets(&self, datasets: &[Dataset]) -> (Vec<OpenFault>, Vec<TableName>) {
        let opened = stream::iter(datasets.to_vec())
            .map(|dataset| async move {
                let name = dataset.name().clone();
                (name, self.dataset(dataset).await)
            })
            .buffered(CONCURRENT_OPENS);
        let opened: Vec<_> = opened.collect().await;
        let faulty = opened
            .into_iter()
            .filter_map(|(name, result)| result.err().map(|fault| (fault, name)));
        faulty.unzip()
    }

    async fn dataset(&self, dataset: Dataset) -> Result<(), OpenFault> {
        let file = match dataset.source() {
            Source::File(file) => file.clone(),
            Source::S3(_) | Source::Postgres(_) => return Err(self.remote(&dataset).await),
        };
        let located = locate(dataset.clone(), file.clone()).await?;
        let state = self.context.state();
        let table = table::open(&state, &dataset, &file, located).await?;
        self.context
            .register_table(views::reference(dataset.name()), Arc::new(table))
            .map_err(|source| OpenFault::Engine { source })?;
        Ok(())
    }

    /// Why a dataset that is elsewhere cannot be opened. A secret that is not to be had comes
    /// first: it will be missing in any version.
    async fn remote(&self, dataset: &Dataset) -> OpenFault {
        for reference in dataset.secret_references() {
            if let Err(source) = self.secrets.secret(reference).await {
                let dataset = dataset.name().clone();
                return OpenFault::Secret { dataset, source };
            }
        }
        OpenFault::Unsupported {
            dataset: dataset.name().clone(),
            from: dataset.source().to_string(),
        }
    }
}

/// Probe off the async workers: a network file system may take its time.
async fn locate(dataset: Dataset, file: FileSource) -> Result<Located, OpenFault> {
    let probing = tokio::task::spawn_blocking(move || probe(&dataset, &file));
    probing.await.unwrap_or_else(|error| {
        let source = DataFusionError::ExecutionJoin(Box::new(error));
        Err(OpenFault::Engine { source })
    })
}

async fn entries(context: &SessionContext, app: &App) -> Result<Vec<TableEntry>, DataFusionError> {
    let mut tables = Vec::new();
    for (name, source) in names(app) {
        let provider = context.table_provider(views::reference(name)).await?;
        let schema = provider.schema();
        let table = provider_as_source(provider);
        let scan = LogicalPlanBuilder::scan(views::reference(name), table, None)?.build()?;
        let kind = source.map_or(TableKind::View, |_| TableKind::Dataset);
        tables.push(TableEntry {
            name: name.clone(),
            kind,
            schema,
            source: source.cloned(),
            locations: match placement(&scan)? {
                Placement::Here => BTreeSet::new(),
                Placement::WithTheData(locations) => locations,
            },
        });
    }
    Ok(tables)
}

/// How many datasets are opened at once. Opening waits for files more than it computes.
const CONCURRENT_OPENS: usize = 8;

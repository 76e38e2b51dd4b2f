//! An application's tables, open and ready to be queried.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::datasource::listing::ListingTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::LogicalPlanBuilder;
use datafusion::prelude::SessionContext;
use futures::{StreamExt as _, stream};
use spicepod::{App, DEFAULT_SCHEMA, Dataset, Source, TableName};

use crate::history::{HistoryTable, OWN_SCHEMA, TaskHistory};
use crate::open_error::{OpenError, OpenFault, with_causes};
use crate::opened::{Access, OpenDataset};
use crate::placement::{Placement, placement};
use crate::postgres::PostgresTable;
use crate::query_error::QueryError;
use crate::s3::S3Dataset;
use crate::secrets::SecretSource;
use crate::session::{CATALOG, RuntimeOptions};
use crate::survey::{Survey, TableState};
use crate::table::Files;
use crate::{s3, session, table, views};

/// The datasets and views of one application.
pub struct Runtime {
    context: SessionContext,
    tables: Vec<TableEntry>,
    datasets: Vec<OpenDataset>,
    survey: Survey,
    history: Option<TaskHistory>,
    app_digest: String,
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
        let context = session::open(&options, app.digest()).map_err(engine)?;
        add_schemas(&context, app).map_err(engine)?;
        if let Some(history) = &options.history {
            add_own_tables(&context, history).map_err(engine)?;
        }
        let opening = Opening {
            context: &context,
            secrets: &secrets,
        };
        let (datasets, mut faults, broken) = opening.datasets(app.datasets()).await;
        faults.extend(views::create(&context, app.views(), &broken).await);
        if !faults.is_empty() {
            return Err(OpenError { faults });
        }
        let tables = entries(&context, app).await.map_err(engine)?;
        Ok(Runtime {
            context,
            tables,
            datasets,
            survey: Survey::default(),
            history: options.history,
            app_digest: app.digest().to_owned(),
        })
    }

    /// A session over these tables. Sessions share catalog, caches and memory; since SQL cannot
    /// change settings, they share those as well.
    #[must_use]
    pub fn session(&self) -> SessionContext {
        self.context.clone()
    }

    /// The digest of the application that was opened.
    #[must_use]
    pub fn app_digest(&self) -> &str {
        &self.app_digest
    }

    /// Every dataset and view, in the order of the manifest, datasets first.
    #[must_use]
    pub fn tables(&self) -> &[TableEntry] {
        &self.tables
    }

    /// The schemas of the catalog [`CATALOG`], sorted: those of the tables, the one that SQL may
    /// leave out, the information schema, and that of the node's own tables.
    #[must_use]
    pub fn schemas(&self) -> BTreeSet<&str> {
        let tables = self.tables.iter().map(|table| table.name.schema());
        let own = self.history.as_ref().map(|_| OWN_SCHEMA);
        tables
            .chain([DEFAULT_SCHEMA, INFORMATION_SCHEMA])
            .chain(own)
            .collect()
    }

    /// The node's own tables, which no manifest declares.
    #[must_use]
    pub fn own_tables(&self) -> Vec<OwnTable> {
        let views = self.history.iter().flat_map(|history| {
            let table = |view| HistoryTable::new(history.clone(), view);
            HistoryTable::VIEWS.map(|view| (view, table(view)))
        });
        let tables = views.map(|(view, table)| OwnTable {
            schema_name: OWN_SCHEMA,
            table_name: view.table_name(),
            schema: table.schema(),
        });
        tables.collect()
    }

    /// What ran on this node; `None` where nobody keeps it.
    #[must_use]
    pub fn history(&self) -> Option<&TaskHistory> {
        self.history.as_ref()
    }

    /// Looks whether the data behind every table is there now; the tables in the order of
    /// [`tables`](Self::tables). It reads the file system and asks stores and databases, a few looks
    /// at a time.
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
        let read = |it: &&OpenDataset| it.locations().iter().any(|it| locations.contains(it));
        for dataset in self
            .datasets
            .iter()
            .filter(|it| it.can_vanish())
            .filter(read)
        {
            let checked = dataset.check().await;
            checked.map_err(|fault| QueryError::Failed(with_causes(&fault)))?;
        }
        Ok(())
    }

    /// The open table of this name, if it is in a database.
    pub(crate) fn postgres(&self, name: &str) -> Option<&PostgresTable> {
        self.datasets
            .iter()
            .find_map(|dataset| match &dataset.access {
                Access::Postgres(table) if table.name().to_string() == name => Some(table),
                _ => None,
            })
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

/// A table of the node's own, as a client may list it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OwnTable {
    /// The schema within the catalog [`CATALOG`].
    pub schema_name: &'static str,
    /// Its name within that.
    pub table_name: &'static str,
    /// Its columns.
    pub schema: SchemaRef,
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
        faults: vec![engine_fault(source)],
    }
}

fn engine_fault(source: DataFusionError) -> OpenFault {
    OpenFault::Engine { source }
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

/// Before the views, which may read them.
fn add_own_tables(context: &SessionContext, history: &TaskHistory) -> Result<(), DataFusionError> {
    let catalog = context
        .catalog(CATALOG)
        .ok_or_else(|| DataFusionError::Internal(format!("no catalog `{CATALOG}`")))?;
    catalog.register_schema(OWN_SCHEMA, Arc::new(MemorySchemaProvider::new()))?;
    for view in HistoryTable::VIEWS {
        let reference = TableReference::full(CATALOG, OWN_SCHEMA, view.table_name());
        let table = HistoryTable::new(history.clone(), view);
        context.register_table(reference, Arc::new(table))?;
    }
    Ok(())
}

/// What it takes to open datasets.
struct Opening<'a> {
    context: &'a SessionContext,
    secrets: &'a Arc<dyn SecretSource>,
}

impl Opening<'_> {
    /// Register each dataset that opens; give those, the faults of the others and their names.
    async fn datasets(
        &self,
        datasets: &[Dataset],
    ) -> (Vec<OpenDataset>, Vec<OpenFault>, Vec<TableName>) {
        let tried = stream::iter(datasets.to_vec())
            .map(|dataset| async move {
                let name = dataset.name().clone();
                (name, self.dataset(dataset).await)
            })
            .buffered(CONCURRENT_OPENS);
        let tried: Vec<_> = tried.collect().await;
        let (mut opened, mut faults, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for (name, result) in tried {
            match result {
                Ok(dataset) => opened.push(dataset),
                Err(fault) => {
                    faults.push(fault);
                    broken.push(name);
                }
            }
        }
        (opened, faults, broken)
    }

    async fn dataset(&self, dataset: Dataset) -> Result<OpenDataset, OpenFault> {
        let (access, table): (Access, Arc<dyn TableProvider>) = match dataset.source() {
            Source::File(file) => {
                let files = Files::local(&dataset, file).await?;
                let access = Access::File(file.clone());
                (access, Arc::new(self.files(&dataset, files).await?))
            }
            Source::S3(source) => {
                let objects = S3Dataset::connect(&dataset, source, self.secrets).await?;
                let url = s3::url(dataset.name()).map_err(engine_fault)?;
                self.context.register_object_store(&url, objects.store());
                objects.check().await?;
                let files = Files::remote(&objects).map_err(engine_fault)?;
                let table = self.files(&dataset, files).await?;
                (Access::S3(Box::new(objects)), Arc::new(table))
            }
            Source::Postgres(source) => {
                let table = PostgresTable::open(&dataset, source, self.secrets).await?;
                (Access::Postgres(table.clone()), Arc::new(table))
            }
        };
        self.context
            .register_table(views::reference(dataset.name()), table)
            .map_err(engine_fault)?;
        Ok(OpenDataset { dataset, access })
    }

    async fn files(&self, dataset: &Dataset, files: Files) -> Result<ListingTable, OpenFault> {
        table::open(&self.context.state(), dataset, files).await
    }
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
                Placement::WithTheData(locations) | Placement::HereWithData(locations) => locations,
            },
        });
    }
    Ok(tables)
}

/// How many datasets are opened at once. Opening waits for files more than it computes.
const CONCURRENT_OPENS: usize = 8;

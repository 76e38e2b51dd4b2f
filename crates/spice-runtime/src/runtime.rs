//! An application's tables, open and ready to be queried.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::information_schema::INFORMATION_SCHEMA;
use datafusion::catalog::{MemorySchemaProvider, TableProvider};
use datafusion::common::TableReference;
use datafusion::error::DataFusionError;
use datafusion::execution::SessionState;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;
use spicepod::{App, DEFAULT_SCHEMA, Source, TableName};

use crate::contents::UnavailableTable;
use crate::history::{HistoryTable, OWN_SCHEMA, TaskHistory};
use crate::open_error::OpenError;
use crate::opened::{Access, OpenDataset};
use crate::opening::{Opening, names};
use crate::postgres::PostgresTable;
use crate::query_error::QueryError;
use crate::reopening::Growing;
use crate::secrets::SecretSource;
use crate::session::{self, CATALOG, RuntimeOptions};
use crate::survey::{Survey, TableState};
use crate::views::{self, place};

/// The datasets and views of one application. What was out of reach when it was opened is tried again
/// for as long as the runtime lives, and is there from then on; nothing else of it changes.
pub struct Runtime {
    context: SessionContext,
    /// Every dataset and view, in the order of the manifest.
    names: Vec<TableName>,
    contents: Growing,
    survey: Survey,
    history: Option<TaskHistory>,
    app_digest: String,
}

impl Runtime {
    /// Open everything that `app` declares. All of it is tried, so that the error holds every
    /// fault. A store, a database or a keeper of secrets that is out of reach is none: what needs it
    /// is [`unavailable`](Self::unavailable) until it is there. The secrets that it refers to are
    /// taken from `secrets`.
    ///
    /// # Errors
    ///
    /// [`OpenError`] with a fault for each dataset or view that cannot be served, what is out of reach
    /// among them, where anything is wrong in itself. A view over a dataset that has a fault is not
    /// reported beside it.
    pub async fn open(
        app: &App,
        options: RuntimeOptions,
        secrets: Arc<dyn SecretSource>,
    ) -> Result<Runtime, OpenError> {
        let context = session::open(&options, app.digest()).map_err(OpenError::engine)?;
        add_schemas(&context, app).map_err(OpenError::engine)?;
        if let Some(history) = &options.history {
            add_own_tables(&context, history).map_err(OpenError::engine)?;
        }
        let opening = Opening {
            context: context.clone(),
            app: app.clone(),
            secrets,
        };
        let contents = opening.first().await?;
        Ok(Runtime {
            context,
            names: names(app).map(|(name, _)| name.clone()).collect(),
            contents: Growing::new(opening, contents),
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

    /// Every dataset and view that is open, in the order of the manifest, datasets first.
    #[must_use]
    pub fn tables(&self) -> Vec<TableEntry> {
        self.contents.now().tables.clone()
    }

    /// Every dataset and view that could not be opened yet, in the same order.
    #[must_use]
    pub fn unavailable(&self) -> Vec<UnavailableTable> {
        self.contents.now().unavailable.clone()
    }

    /// The schemas of the catalog [`CATALOG`], sorted: those of the tables, the one that SQL may
    /// leave out, the information schema, and that of the node's own tables.
    #[must_use]
    pub fn schemas(&self) -> BTreeSet<&str> {
        let tables = self.names.iter().map(TableName::schema);
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

    /// Looks whether the data behind every table is there now; the tables in the order of the
    /// manifest. It reads the file system and asks stores and databases, a few looks at a time. What
    /// is not open yet is not looked at.
    ///
    /// # Errors
    ///
    /// [`QueryError::Failed`] where the look itself was interrupted.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. A look that has begun goes on by itself, and counts until it ends.
    pub async fn survey(&self) -> Result<Vec<TableState>, QueryError> {
        let contents = self.contents.now();
        let open = self.survey.of(&contents.datasets, &contents.tables).await?;
        if contents.unavailable.is_empty() {
            return Ok(open);
        }
        let open = open
            .into_iter()
            .map(|state| (state.table.name.clone(), state));
        let unavailable = contents.unavailable.iter();
        let unavailable = unavailable.map(|it| (it.name.clone(), TableState::unavailable(it)));
        let mut states: HashMap<TableName, TableState> = open.chain(unavailable).collect();
        let states = self.names.iter().filter_map(|name| states.remove(name));
        Ok(states.collect())
    }

    /// Checks that a statement names nothing that could not be opened.
    pub(crate) fn check_available(
        &self,
        state: &SessionState,
        statement: &Statement,
    ) -> Result<(), QueryError> {
        let contents = self.contents.now();
        if contents.unavailable.is_empty() {
            return Ok(());
        }
        let used = views::used_by(state, statement)?;
        let mut missing = contents.unavailable.iter();
        match missing.find(|it| used.contains(&place(&it.name))) {
            Some(missing) => Err(QueryError::Unavailable(missing.reason.clone())),
            None => Ok(()),
        }
    }

    /// Checks that the data at `locations` is still there. To the engine a directory that has
    /// gone is one without rows, and a wrong answer looks like a right one.
    pub(crate) async fn check_present(
        &self,
        locations: &BTreeSet<String>,
    ) -> Result<(), QueryError> {
        let read = |it: &&OpenDataset| it.locations().iter().any(|it| locations.contains(it));
        let contents = self.contents.now();
        let datasets = contents.datasets.iter();
        for dataset in datasets.filter(|it| it.can_vanish()).filter(read) {
            let checked = dataset.check().await;
            checked.map_err(|fault| QueryError::Failed(fault.shown()))?;
        }
        Ok(())
    }

    /// The table of this name, if it is in a database and open.
    pub(crate) fn postgres(&self, name: &str) -> Result<PostgresTable, QueryError> {
        let contents = self.contents.now();
        let named = |table: &TableName| table.to_string() == name;
        let table = contents.datasets.iter().find_map(|it| match &it.access {
            Access::Postgres(table) if named(table.name()) => Some(table.clone()),
            _ => None,
        });
        let missing = contents.unavailable.iter().find(|it| named(&it.name));
        table.ok_or_else(|| match missing {
            Some(missing) => QueryError::Unavailable(missing.reason.clone()),
            None => {
                QueryError::Failed(format!("there is no dataset `{name}` to read rows of here"))
            }
        })
    }

    /// How many datasets are open.
    #[must_use]
    pub fn dataset_count(&self) -> usize {
        self.contents.now().datasets.len()
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
            .field("contents", &self.contents)
            .finish_non_exhaustive()
    }
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

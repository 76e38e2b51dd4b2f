//! A table as the engine asks about it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Fields, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use spicepod::{Dataset, PostgresSource, TableName};

use super::column::{self, Column, Described};
use super::connection::Connection;
use super::error::PostgresError;
use super::filter::{Filter, Reader};
use super::request::ScanRequest;
use super::scan::{ANSWER_LIMIT, PostgresScan, Selected};
use super::server::Server;
use super::sql::{Selection, Statement};
use crate::open_error::OpenFault;
use crate::secrets::{Anew, SecretSource};

/// An open table. Clones are the same one.
#[derive(Clone)]
pub(crate) struct PostgresTable {
    dataset: Arc<Dataset>,
    source: Arc<PostgresSource>,
    server: Arc<Mutex<Arc<Server>>>,
    secrets: Arc<dyn SecretSource>,
    columns: Arc<[Column]>,
    utf8: bool,
    schema: SchemaRef,
}

impl PostgresTable {
    /// Asks the database for the columns.
    pub(crate) async fn open(
        dataset: &Dataset,
        source: &PostgresSource,
        secrets: &Arc<dyn SecretSource>,
    ) -> Result<Self, OpenFault> {
        let server = Server::of(dataset, source, &**secrets).await?;
        let described = async {
            let connection = Connection::open(&server).await?;
            describe(&connection, source).await
        };
        let described = described.await.map_err(|error| fault(dataset, error))?;
        if described.columns.is_empty() {
            return Err(OpenFault::NoColumns {
                dataset: dataset.name().clone(),
                path: dataset.source().to_string().into(),
            });
        }
        Ok(Self {
            dataset: Arc::new(dataset.clone()),
            source: Arc::new(source.clone()),
            server: Arc::new(Mutex::new(Arc::new(server))),
            secrets: Arc::clone(secrets),
            schema: schema(&described.columns),
            columns: described.columns.into(),
            utf8: described.utf8,
        })
    }

    /// Checks that the table is there as it was when it was opened.
    pub(crate) async fn check(&self) -> Result<(), OpenFault> {
        let described = async {
            let connection = self.connect().await?;
            describe(&connection, &self.source).await
        };
        let described = described
            .await
            .map_err(|error| fault(&self.dataset, error))?;
        if described.columns == *self.columns {
            return Ok(());
        }
        let error = self.changed();
        Err(fault(&self.dataset, error))
    }

    /// The dataset.
    pub(crate) fn name(&self) -> &TableName {
        self.dataset.name()
    }

    /// The text by which the engine knows the place of the table.
    pub(crate) fn location(&self) -> String {
        let name = self.name();
        format!("postgres://{}.{}", name.schema(), name.table())
    }

    /// The scan that another node asks for.
    pub(crate) fn requested(&self, request: ScanRequest) -> Result<PostgresScan, PostgresError> {
        let columns = request.columns.iter().map(|(name, data_type)| {
            let column = self.columns.iter().find(|column| column.name == *name)?;
            (column.kind.data_type().to_string() == *data_type).then(|| column.clone())
        });
        let columns: Option<Vec<Column>> = columns.collect();
        let columns = columns.ok_or_else(|| self.changed())?;
        self.reading(columns, request)
    }

    /// A new transaction.
    pub(super) async fn connect(&self) -> Result<Connection, PostgresError> {
        let server = Arc::clone(&self.server());
        match Connection::open(&server).await {
            Err(refused) if refused.is_refusal() => self.connect_anew(refused).await,
            opened => opened,
        }
    }

    /// A password that is refused may have been replaced, in the database and in its store.
    async fn connect_anew(&self, refused: PostgresError) -> Result<Connection, PostgresError> {
        let server = Server::of(&self.dataset, &self.source, &Anew(&*self.secrets)).await;
        let server = server.map_err(|_| refused)?;
        let connection = Connection::open(&server).await?;
        *self.server() = Arc::new(server);
        tracing::info!(dataset = %self.name(), "password was refused and is replaced");
        Ok(connection)
    }

    fn server(&self) -> MutexGuard<'_, Arc<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reading(
        &self,
        columns: Vec<Column>,
        request: ScanRequest,
    ) -> Result<PostgresScan, PostgresError> {
        let statement = Statement::of(Selection {
            schema: self.source.schema(),
            table: self.source.table(),
            known: &self.columns,
            columns: &columns,
            filters: &request.filters,
            limit: request.limit,
        });
        let statement = statement.map_err(|_| self.changed())?;
        Ok(PostgresScan::new(
            self.clone(),
            request,
            Selected {
                schema: schema(&columns),
                columns,
                statement,
            },
        ))
    }

    fn changed(&self) -> PostgresError {
        PostgresError::Changed {
            dataset: self.dataset.name().to_string(),
        }
    }

    fn filter(&self, expression: &Expr) -> Option<Filter> {
        let reader = Reader {
            columns: &self.columns,
            utf8: self.utf8,
        };
        reader.filter(expression)
    }
}

#[async_trait]
impl TableProvider for PostgresTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let missing = || DataFusionError::Internal("a projection without its column".to_owned());
        let columns: Vec<Column> = match projection {
            Some(indices) => {
                let columns = indices
                    .iter()
                    .map(|index| self.columns.get(*index).cloned());
                columns.collect::<Option<_>>().ok_or_else(missing)?
            }
            None => self.columns.to_vec(),
        };
        // The engine hands back what it was told that the table decides exactly.
        let read: Option<Vec<Filter>> = filters.iter().map(|it| self.filter(it)).collect();
        let filters = read.ok_or_else(|| {
            DataFusionError::Internal("a filter that this table does not decide".to_owned())
        })?;
        let named = |column: &Column| (column.name.clone(), column.kind.data_type().to_string());
        let request = ScanRequest {
            dataset: self.dataset.name().to_string(),
            columns: columns.iter().map(named).collect(),
            filters,
            limit: limit.map(|limit| limit as u64),
        };
        let scan = self.reading(columns, request);
        let scan = scan.map_err(|error| DataFusionError::External(Box::new(error)))?;
        Ok(Arc::new(scan))
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let decided = |filter: &&Expr| match self.filter(filter) {
            Some(_) => TableProviderFilterPushDown::Exact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(decided).collect())
    }
}

impl fmt::Debug for PostgresTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresTable")
            .field("dataset", self.dataset.name())
            .finish_non_exhaustive()
    }
}

async fn describe(
    connection: &Connection,
    source: &PostgresSource,
) -> Result<Described, PostgresError> {
    let described = column::describe(connection, source.schema(), source.table());
    let described = tokio::time::timeout(ANSWER_LIMIT, described).await;
    described.unwrap_or(Err(PostgresError::Silent {
        seconds: ANSWER_LIMIT.as_secs(),
    }))
}

fn fault(dataset: &Dataset, source: PostgresError) -> OpenFault {
    OpenFault::Postgres {
        dataset: dataset.name().clone(),
        from: dataset.source().to_string(),
        source: Box::new(source),
    }
}

fn schema(columns: &[Column]) -> SchemaRef {
    let fields: Fields = columns.iter().map(Column::field).collect();
    Arc::new(Schema::new(fields))
}

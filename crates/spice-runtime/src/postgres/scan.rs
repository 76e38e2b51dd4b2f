//! Reading a part of a table, as a step of a plan.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions,
};
use futures::stream::{self, Fuse};
use futures::{StreamExt, TryStreamExt};
use tokio::time::timeout;
use tokio_postgres::RowStream;

use super::column::Column;
use super::connection::Connection;
use super::error::PostgresError;
use super::request::ScanRequest;
use super::rows::Batch;
use super::sql::Statement;
use super::table::PostgresTable;

/// A scan of a table, which is one partition.
#[derive(Clone)]
pub(crate) struct PostgresScan {
    table: PostgresTable,
    request: ScanRequest,
    selected: Arc<Selected>,
    properties: Arc<PlanProperties>,
}

/// What is read of the table.
pub(super) struct Selected {
    pub(super) schema: SchemaRef,
    pub(super) columns: Vec<Column>,
    pub(super) statement: Statement,
}

impl PostgresScan {
    pub(super) fn new(table: PostgresTable, request: ScanRequest, selected: Selected) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&selected.schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self {
            table,
            request,
            selected: Arc::new(selected),
            properties: Arc::new(properties),
        }
    }

    /// What another node is told of it.
    pub(crate) fn request(&self) -> &ScanRequest {
        &self.request
    }

    fn told(&self, error: &PostgresError) -> DataFusionError {
        let text = format!("dataset `{}`: {}", self.table.name(), error.told());
        DataFusionError::External(text.into())
    }

    async fn begin(&self) -> Result<Reading, PostgresError> {
        let connection = self.table.connect().await?;
        let Statement { text, parameters } = &self.selected.statement;
        let rows = in_time(connection.client.query_raw(text, parameters)).await??;
        Ok(Reading {
            rows: Box::pin(rows.fuse()),
            batch: Batch::new(Arc::clone(&self.selected.schema), &self.selected.columns),
            _connection: connection,
        })
    }
}

impl ExecutionPlan for PostgresScan {
    fn name(&self) -> &'static str {
        "PostgresScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let scan = self.clone();
        let batches = stream::once(async move {
            let reading = scan.begin().await.map_err(|error| scan.told(&error))?;
            Ok::<_, DataFusionError>(stream::try_unfold((scan, reading), next))
        });
        let schema = Arc::clone(&self.selected.schema);
        let batches = batches.try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, batches)))
    }
}

impl DisplayAs for PostgresScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresScan: {}", self.selected.statement.text)
    }
}

impl fmt::Debug for PostgresScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresScan")
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A statement whose rows are coming in.
struct Reading {
    /// Asked again after its end, the database would be a connection that is closed.
    rows: Pin<Box<Fuse<RowStream>>>,
    batch: Batch,
    _connection: Connection,
}

impl Reading {
    /// The next rows, as many as make a batch; none at the end.
    async fn fill(&mut self) -> Result<(), PostgresError> {
        while !self.batch.is_full() {
            match in_time(self.rows.next()).await? {
                Some(row) => self.batch.push(&row?)?,
                None => break,
            }
        }
        Ok(())
    }
}

type State = (PostgresScan, Reading);

async fn next((scan, mut reading): State) -> Result<Option<(RecordBatch, State)>> {
    reading.fill().await.map_err(|error| scan.told(&error))?;
    if reading.batch.is_empty() {
        return Ok(None);
    }
    let batch = reading.batch.take()?;
    Ok(Some((batch, (scan, reading))))
}

async fn in_time<T>(answer: impl Future<Output = T>) -> Result<T, PostgresError> {
    let seconds = ANSWER_LIMIT.as_secs();
    let answer = timeout(ANSWER_LIMIT, answer).await;
    answer.map_err(|_| PostgresError::Silent { seconds })
}

/// A database may have to sort a table before its first row.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(300);

//! The tables of the schema `runtime`.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::{PartitionStream, StreamingTableExec};
use futures::{StreamExt as _, TryStreamExt as _, stream};

use super::gather::Wanted;
use super::{TaskHistory, columns, conditions};

/// A table that this node makes of its own memory, and of that of the other schedulers.
#[derive(Debug)]
pub(crate) struct HistoryTable {
    history: TaskHistory,
    view: View,
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum View {
    /// What ran on this node.
    Local,
    /// What ran on all schedulers, and which are missing.
    Cluster,
    /// Which are missing.
    Gaps,
}

impl View {
    /// The name that it has in SQL.
    pub(crate) fn table_name(self) -> &'static str {
        match self {
            View::Local => "local_task_history",
            View::Cluster => "task_history",
            View::Gaps => "task_history_gaps",
        }
    }
}

impl HistoryTable {
    pub(crate) const VIEWS: [View; 3] = [View::Cluster, View::Local, View::Gaps];

    pub(crate) fn new(history: TaskHistory, view: View) -> Self {
        Self { history, view }
    }
}

#[async_trait]
impl TableProvider for HistoryTable {
    fn schema(&self) -> SchemaRef {
        match self.view {
            View::Local | View::Cluster => columns::schema(),
            View::Gaps => columns::gaps_schema(),
        }
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// Filters serve to ask others for less; all of them are applied again to what is there.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let kinds = filters.iter().map(|filter| match self.view {
            View::Cluster if conditions::to_sql(filter).is_some() => {
                TableProviderFilterPushDown::Inexact
            }
            _ => TableProviderFilterPushDown::Unsupported,
        });
        Ok(kinds.collect())
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all = || (0..self.schema().fields().len()).collect();
        let wanted = Wanted {
            columns: projection.cloned().unwrap_or_else(all),
            conditions: filters.iter().filter_map(conditions::to_sql).collect(),
            limit,
        };
        let schema = Arc::new(self.schema().project(&wanted.columns)?);
        let scan = Arc::new(Scan {
            history: self.history.clone(),
            view: self.view,
            schema: Arc::clone(&schema),
            wanted,
        });
        let plan = StreamingTableExec::try_new(schema, vec![scan], None, [], false, limit)?;
        Ok(Arc::new(plan))
    }
}

/// One reading of a table; nobody is asked before it runs.
struct Scan {
    history: TaskHistory,
    view: View,
    schema: SchemaRef,
    wanted: Wanted,
}

impl Scan {
    async fn rows(history: TaskHistory, view: View, wanted: Wanted) -> Result<Vec<RecordBatch>> {
        match view {
            View::Local => history.own_rows(&wanted),
            View::Cluster => history.all_rows(&wanted).await,
            View::Gaps => Ok(vec![history.gaps().await?.project(&wanted.columns)?]),
        }
    }
}

impl PartitionStream for Scan {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let rows = Self::rows(self.history.clone(), self.view, self.wanted.clone());
        let batches = stream::once(rows)
            .map_ok(|batches| stream::iter(batches).map(Ok))
            .try_flatten();
        let schema = Arc::clone(&self.schema);
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

impl fmt::Debug for Scan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan")
            .field("view", &self.view)
            .field("wanted", &self.wanted)
            .finish_non_exhaustive()
    }
}

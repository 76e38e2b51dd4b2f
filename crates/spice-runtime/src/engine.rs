//! SQL text in, rows out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;

use crate::current::CurrentRuntime;
use crate::placement::{Placement, placement};
use crate::query_error::QueryError;
use crate::runtime::Runtime;
use crate::{complexity, statement};

/// Runs a plan on other nodes.
///
/// The composition of a scheduler brings one; a node without one runs every query itself.
#[async_trait]
pub trait Distributor: fmt::Debug + Send + Sync + 'static {
    /// Run `plan`, which was made in `session` and has been neither analyzed nor optimized.
    ///
    /// # Errors
    ///
    /// [`QueryError`], [`Unavailable`](QueryError::Unavailable) where no node can run it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream ends the query wherever it runs.
    async fn execute(
        &self,
        session: SessionContext,
        plan: LogicalPlan,
    ) -> Result<SendableRecordBatchStream, QueryError>;
}

/// Where queries enter: plans them, decides where they run, and gives their rows.
#[derive(Debug, Clone)]
pub struct SqlEngine {
    runtime: CurrentRuntime,
    distributor: Option<Arc<dyn Distributor>>,
}

impl SqlEngine {
    /// An engine that runs every query on this node.
    #[must_use]
    pub fn local(runtime: impl Into<CurrentRuntime>) -> Self {
        SqlEngine {
            runtime: runtime.into(),
            distributor: None,
        }
    }

    /// An engine that runs what reads no dataset on this node and gives the rest away.
    #[must_use]
    pub fn distributed(
        runtime: impl Into<CurrentRuntime>,
        distributor: Arc<dyn Distributor>,
    ) -> Self {
        SqlEngine {
            runtime: runtime.into(),
            distributor: Some(distributor),
        }
    }

    /// The tables that queries can name now.
    #[must_use]
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.now()
    }

    /// Parse and check one statement. Nothing runs yet.
    ///
    /// # Errors
    ///
    /// [`QueryError::Invalid`] for wrong SQL, [`QueryError::Unsupported`] for a statement that
    /// changes something or that takes parameters.
    pub async fn plan(&self, sql: &str) -> Result<PlannedQuery, QueryError> {
        let runtime = self.runtime.now();
        let session = runtime.session();
        let state = session.state();
        let plan = read_only_plan(&state, sql).await?;
        // Analysis settles the types. Its result serves as schema only, because whoever runs
        // the plan analyzes it again, with rules of its own.
        let analyzed =
            state
                .analyzer()
                .execute_and_check(plan.clone(), state.config_options(), |_, _| {})?;
        Ok(PlannedQuery {
            schema: Arc::clone(analyzed.schema().inner()),
            placement: placement(&plan)?,
            runtime,
            session,
            plan,
        })
    }

    /// Run a planned query.
    ///
    /// # Errors
    ///
    /// [`QueryError`] where it cannot start. What fails later comes through the stream;
    /// `QueryError::from` sorts it.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future or the stream ends the query.
    pub async fn execute(
        &self,
        query: PlannedQuery,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let PlannedQuery {
            runtime,
            session,
            plan,
            placement,
            ..
        } = query;
        if let Placement::WithTheData(locations) = &placement {
            runtime.check_present(locations).await?;
        }
        match (&self.distributor, placement) {
            (Some(distributor), Placement::WithTheData(_)) => {
                distributor.execute(session, plan).await
            }
            _ => run_here(&session, plan).await,
        }
    }
}

/// A statement that passed every check, ready to run over the tables that it was planned with.
#[derive(Clone)]
pub struct PlannedQuery {
    runtime: Arc<Runtime>,
    session: SessionContext,
    plan: LogicalPlan,
    schema: SchemaRef,
    placement: Placement,
}

impl PlannedQuery {
    /// The columns of the rows to come.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

impl fmt::Debug for PlannedQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The session holds the whole engine; the plan says what the query is.
        f.debug_struct("PlannedQuery")
            .field("plan", &self.plan)
            .field("placement", &self.placement)
            .finish_non_exhaustive()
    }
}

/// Parse `sql` and plan it in `state`, refusing whatever does more than read.
pub(crate) async fn read_only_plan(
    state: &SessionState,
    sql: &str,
) -> Result<LogicalPlan, QueryError> {
    complexity::admit(sql)?;
    let dialect = state.config_options().sql_parser.dialect;
    let parsed = state.sql_to_statement(sql, &dialect)?;
    statement::admit(&parsed)?;
    let plan = state.statement_to_plan(parsed).await?;
    statement::admit_plan(&plan)?;
    Ok(plan)
}

async fn run_here(
    session: &SessionContext,
    plan: LogicalPlan,
) -> Result<SendableRecordBatchStream, QueryError> {
    // Boxed: planning futures are large, and this one is awaited inside servers' own.
    let frame = Box::pin(session.execute_logical_plan(plan)).await?;
    Ok(Box::pin(frame.execute_stream()).await?)
}

//! SQL text in, rows out.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::{SendableRecordBatchStream, SessionState};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement;

use crate::current::CurrentRuntime;
use crate::history::{Asked, ClientProtocol, QuerySpan};
use crate::placement::{Placement, placement};
use crate::query_error::QueryError;
use crate::runtime::Runtime;
use crate::{complexity, statement};

/// Runs a plan on other nodes.
///
/// The composition of a scheduler brings one; a node without one runs every query itself.
#[async_trait]
pub trait Distributor: fmt::Debug + Send + Sync + 'static {
    /// Run `plan`, which was made in `session` and has been neither analyzed nor optimized, as a
    /// part of `span`.
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
        span: &QuerySpan,
    ) -> Result<SendableRecordBatchStream, QueryError>;
}

/// Where queries enter: plans them, decides where they run, and gives their rows. Each leaves a
/// record in the history of its runtime, if there is one.
#[derive(Debug, Clone)]
pub struct SqlEngine {
    runtime: CurrentRuntime,
    distributor: Option<Arc<dyn Distributor>>,
    protocol: Option<ClientProtocol>,
}

impl SqlEngine {
    /// An engine that runs every query on this node.
    #[must_use]
    pub fn local(runtime: impl Into<CurrentRuntime>) -> Self {
        SqlEngine {
            runtime: runtime.into(),
            distributor: None,
            protocol: None,
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
            protocol: None,
        }
    }

    /// The same engine for statements that come in over `protocol`, as their records tell.
    #[must_use]
    pub fn over(&self, protocol: ClientProtocol) -> Self {
        SqlEngine {
            protocol: Some(protocol),
            ..self.clone()
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
    /// changes something or that takes parameters, [`QueryError::Unavailable`] for one that reads
    /// what could not be opened yet.
    pub async fn plan(&self, sql: &str) -> Result<PlannedQuery, QueryError> {
        let runtime = self.runtime.now();
        let asked = Asked::now(sql, self.protocol);
        let mut span = QuerySpan::begin(runtime.history(), asked.clone());
        let planned = planned(runtime, sql, asked).await;
        match &planned {
            Ok(_) => span.discard(),
            Err(error) => span.fail(error),
        }
        planned
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
        let mut span = QuerySpan::begin(query.runtime.history(), query.asked.clone());
        match self.rows(query, &span).await {
            Ok(rows) => Ok(span.watch(rows)),
            Err(error) => {
                span.fail(&error);
                Err(error)
            }
        }
    }

    async fn rows(
        &self,
        query: PlannedQuery,
        span: &QuerySpan,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let PlannedQuery {
            runtime,
            session,
            plan,
            placement,
            ..
        } = query;
        if let Some(locations) = placement.locations() {
            runtime.check_present(locations).await?;
        }
        match (&self.distributor, placement) {
            (Some(distributor), Placement::WithTheData(_)) => {
                distributor.execute(session, plan, span).await
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
    asked: Asked,
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

/// Nothing runs yet; see [`SqlEngine::plan`].
async fn planned(
    runtime: Arc<Runtime>,
    sql: &str,
    asked: Asked,
) -> Result<PlannedQuery, QueryError> {
    let session = runtime.session();
    let state = session.state();
    let statement = read_only(&state, sql)?;
    runtime.check_available(&state, &statement)?;
    let plan = statement_plan(&state, statement).await?;
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
        asked,
    })
}

/// Parse `sql` and plan it in `state`, refusing whatever does more than read.
pub(crate) async fn read_only_plan(
    state: &SessionState,
    sql: &str,
) -> Result<LogicalPlan, QueryError> {
    statement_plan(state, read_only(state, sql)?).await
}

fn read_only(state: &SessionState, sql: &str) -> Result<Statement, QueryError> {
    complexity::admit(sql)?;
    let dialect = state.config_options().sql_parser.dialect;
    let parsed = state.sql_to_statement(sql, &dialect)?;
    statement::admit(&parsed)?;
    Ok(parsed)
}

async fn statement_plan(
    state: &SessionState,
    statement: Statement,
) -> Result<LogicalPlan, QueryError> {
    let plan = state.statement_to_plan(statement).await?;
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

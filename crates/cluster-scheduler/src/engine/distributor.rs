use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use spice_runtime::{Distributor, QueryError, QuerySpan, SpanContext, app_digest};
use tokio::time::{sleep, timeout};

use super::job::Job;
use super::results::{self, ResultError};
use super::{Engine, config};

/// Runs plans on the executors of this scheduler.
pub(super) struct BallistaDistributor {
    engine: Engine,
}

impl BallistaDistributor {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine }
    }

    async fn session(&self, base: &SessionContext) -> Result<Arc<SessionContext>, QueryError> {
        let state = base.state();
        let task_slots = self.task_slots(app_digest(state.config())).await;
        if task_slots == 0 {
            return Err(QueryError::Unavailable(self.nobody()));
        }
        let config = config::query(state.config(), &self.engine.transport, task_slots);
        let rules = ballista_core::optimizer::with_ballista_optimizer_rules(state.optimizers());
        let state = SessionStateBuilder::new_from_existing(state)
            .with_config(config)
            .with_optimizer_rules(rules)
            .build();
        Ok(Arc::new(SessionContext::new_with_state(state)))
    }

    /// Why there is nobody to run tasks.
    fn nobody(&self) -> String {
        let text = if self.engine.streams.any_open() {
            "no executor that is connected to this scheduler has opened its application"
        } else {
            "no executor is connected to this scheduler"
        };
        text.to_owned()
    }

    /// The slots of all executors that have the application open. One whose control stream is open
    /// tells of its own with its first poll, a moment later, and one whose stream broke, or whose
    /// certificate was renewed, opens it again: that is waited for.
    async fn task_slots(&self, app_digest: Option<&str>) -> usize {
        let told = async {
            loop {
                let task_slots = self.engine.task_slots(app_digest).await;
                if task_slots > 0 || !self.engine.streams.any_expected() {
                    return task_slots;
                }
                sleep(FIRST_POLL_CHECK).await;
            }
        };
        timeout(FIRST_POLL_LIMIT, told).await.unwrap_or(0)
    }

    async fn attempt(
        &self,
        session: Arc<SessionContext>,
        plan: &LogicalPlan,
        query: &SpanContext,
    ) -> Result<SendableRecordBatchStream, ResultError> {
        let schema = announced_schema(&session, plan)?;
        let finished = Job::submit(&self.engine, session, plan, query)
            .await?
            .finished()
            .await?;
        results::open(&self.engine.transport, schema, finished).await
    }
}

#[async_trait]
impl Distributor for BallistaDistributor {
    async fn execute(
        &self,
        session: SessionContext,
        plan: LogicalPlan,
        span: &QuerySpan,
    ) -> Result<SendableRecordBatchStream, QueryError> {
        let mut attempts_left = ATTEMPTS;
        loop {
            attempts_left -= 1;
            // Cut anew for the executors that are there now.
            let session = self.session(&session).await?;
            span.attempt();
            match self.attempt(session, &plan, span.context()).await {
                // An executor left, with tasks or rows of the query. Nothing has reached the
                // client yet, so the query can simply run again.
                Err(ResultError::Lost(error)) if attempts_left > 0 => {
                    tracing::warn!(%error, attempts_left, "query lost with an executor, running it again");
                }
                outcome => return outcome.map_err(QueryError::from),
            }
        }
    }
}

/// The columns that the client was told to expect: those of the analyzed plan.
fn announced_schema(
    session: &SessionContext,
    plan: &LogicalPlan,
) -> Result<SchemaRef, ResultError> {
    let state = session.state();
    let analyzed = state
        .analyzer()
        .execute_and_check(plan.clone(), state.config_options(), |_, _| {})
        .map_err(ResultError::Planning)?;
    Ok(analyzed.schema().inner().clone())
}

impl fmt::Debug for BallistaDistributor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BallistaDistributor")
            .finish_non_exhaustive()
    }
}

/// A rolling restart takes executors away one by one; a query that outlives this many of them is
/// better told so.
const ATTEMPTS: u32 = 8;

/// An executor polls right after it has opened its control stream.
const FIRST_POLL_LIMIT: Duration = Duration::from_secs(3);

/// Short beside the latency of any distributed query.
const FIRST_POLL_CHECK: Duration = Duration::from_millis(10);

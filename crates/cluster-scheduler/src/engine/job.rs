//! One distributed query as a job: submitted in process, watched by its status stream, and
//! cancelled when nobody waits for it any more.

use std::sync::Arc;
use std::time::Duration;

use ballista_core::JobId;
use ballista_core::serde::protobuf::{JobStatus, PartitionLocation, job_status};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use spice_runtime::{SpanContext, app_digest};
use tokio::sync::mpsc;
use tokio::time::interval;

use super::Engine;
use super::results::ResultError;

/// A submitted job. Dropping it cancels it.
pub(super) struct Job {
    statuses: mpsc::Receiver<JobStatus>,
    lease: JobLease,
}

/// Holds a job's resources on the executors until it is dropped: the shuffle files of a job
/// that finished are removed, one that still runs is cancelled first.
pub(super) struct JobLease {
    engine: Engine,
    job_id: JobId,
    state: JobState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum JobState {
    Running,
    Ended,
}

/// A job whose rows wait on its executors.
pub(super) struct FinishedJob {
    pub(super) locations: Vec<PartitionLocation>,
    pub(super) lease: JobLease,
}

impl Job {
    pub(super) async fn submit(
        engine: &Engine,
        session: Arc<SessionContext>,
        plan: &LogicalPlan,
        query: &SpanContext,
    ) -> Result<Self, ResultError> {
        let (subscriber, statuses) = mpsc::channel(STATUS_QUEUE);
        let job_id = engine
            .server
            .submit_job("", session, plan, Some(subscriber))
            .await
            .map_err(|error| ResultError::Failed(error.to_string()))?;
        engine.spans.begin(&job_id, query);
        Ok(Self {
            statuses,
            lease: JobLease {
                engine: engine.clone(),
                job_id,
                state: JobState::Running,
            },
        })
    }

    /// Waits for the end of the job, without polling.
    ///
    /// A job that loses an executor, or makes no progress, is given up as [`ResultError::Lost`],
    /// to be started over. Upstream's own recovery rolls stages back; under adaptive planning
    /// that leaves some jobs with stages that nothing resolves again, and they would wait for
    /// ever.
    pub(super) async fn finished(mut self) -> Result<FinishedJob, ResultError> {
        let mut losses = self.lease.engine.losses.subscribe();
        let mut checks = interval(STALL_CHECK);
        let mut idle_checks = 0;
        let status = loop {
            tokio::select! {
                status = self.statuses.recv() => match status {
                    Some(JobStatus { status: Some(status), .. }) if is_final(&status) => break status,
                    Some(_) => {}
                    // A job that fails in planning is reported in its state only.
                    None => break self.final_state().await?,
                },
                Ok(()) = losses.changed() => {
                    return Err(ResultError::Lost("an executor left while the query ran".to_owned()));
                }
                _ = checks.tick() => {
                    idle_checks = if self.is_idle().await { idle_checks + 1 } else { 0 };
                    if idle_checks >= STALLED_AFTER {
                        return Err(ResultError::Lost("the query made no progress".to_owned()));
                    }
                }
            }
        };
        self.lease.state = JobState::Ended;
        self.settled(status)
    }

    fn settled(self, status: job_status::Status) -> Result<FinishedJob, ResultError> {
        match status {
            job_status::Status::Successful(job) => Ok(FinishedJob {
                locations: job.partition_location,
                lease: self.lease,
            }),
            job_status::Status::Failed(job) if job.error.contains(BROKEN_FETCH) => Err(
                ResultError::Lost("an executor died while another one read from it".to_owned()),
            ),
            job_status::Status::Failed(job) => {
                tracing::info!(job = %self.lease.job_id, error = job.error.trim(), "query failed");
                Err(ResultError::Failed(job.error))
            }
            job_status::Status::Queued(_) | job_status::Status::Running(_) => Err(
                ResultError::Failed("the job ended without a result".to_owned()),
            ),
        }
    }

    /// Whether the job has neither a task that runs nor one that an executor could take.
    async fn is_idle(&self) -> bool {
        let jobs = self
            .lease
            .engine
            .server
            .state
            .task_manager
            .get_running_job_cache();
        let Some(job) = jobs.get(&self.lease.job_id) else {
            return false;
        };
        let graph = job.execution_graph.read().await;
        if !graph.running_tasks().is_empty() {
            return false;
        }
        let (waiting, settings) = (graph.available_tasks(), graph.session_config());
        drop(graph);
        waiting == 0 || self.lease.engine.task_slots(app_digest(&settings)).await == 0
    }

    async fn final_state(&self) -> Result<job_status::Status, ResultError> {
        let state = &self.lease.engine.server.state;
        state
            .task_manager
            .get_job_status(&self.lease.job_id)
            .await
            .map_err(|error| ResultError::Failed(error.to_string()))?
            .and_then(|job| job.status)
            .ok_or_else(|| ResultError::Failed("the engine forgot the job".to_owned()))
    }
}

impl Drop for JobLease {
    fn drop(&mut self) {
        self.engine.spans.end(&self.job_id);
        self.engine.ended.add(&self.job_id);
        let engine = self.engine.clone();
        let job_id = self.job_id.clone();
        let state = self.state;
        self.engine.tasks.spawn(async move {
            if state == JobState::Running {
                engine.cancel(&job_id).await;
            }
            engine
                .server
                .state
                .executor_manager
                .clean_up_job_data(job_id);
        });
    }
}

fn is_final(status: &job_status::Status) -> bool {
    matches!(
        status,
        job_status::Status::Successful(_) | job_status::Status::Failed(_)
    )
}

/// Ballista drops a status when the queue is full; a job has a handful of them.
const STATUS_QUEUE: usize = 64;

/// How often a running job is looked at.
const STALL_CHECK: Duration = Duration::from_secs(5);

/// Looks in a row that find nothing to do. Between two stages there is nothing to do for
/// milliseconds; two looks apart by seconds cannot both hit that.
const STALLED_AFTER: u32 = 2;

/// What a task fails with when the executor that it reads blocks from dies in the middle of one.
/// Upstream knows a fetch that fails from its start, and takes this for a fault of the query; all
/// that is left of it is hyper's text.
const BROKEN_FETCH: &str = "error reading a body from connection";

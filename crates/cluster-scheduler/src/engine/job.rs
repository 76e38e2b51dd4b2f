//! One distributed query as a job: submitted in process, watched by its status stream, and
//! cancelled when nobody waits for it any more.

use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::serde::protobuf::{JobStatus, PartitionLocation, job_status};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use tokio::sync::mpsc;

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
    ) -> Result<Self, ResultError> {
        let (subscriber, statuses) = mpsc::channel(STATUS_QUEUE);
        let job_id = engine
            .server
            .submit_job("", session, plan, Some(subscriber))
            .await
            .map_err(|error| ResultError::Failed(error.to_string()))?;
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
    /// The wait is bounded by the engine: a job without executors fails after the grace
    /// period, one whose tasks keep failing after the upstream retry limit.
    pub(super) async fn finished(mut self) -> Result<FinishedJob, ResultError> {
        let status = loop {
            match self.statuses.recv().await {
                Some(JobStatus {
                    status: Some(status),
                    ..
                }) if is_final(&status) => break status,
                Some(_) => {}
                // A job that fails in planning is reported in its state only.
                None => break self.final_state().await?,
            }
        };
        self.lease.state = JobState::Ended;
        match status {
            job_status::Status::Successful(job) => Ok(FinishedJob {
                locations: job.partition_location,
                lease: self.lease,
            }),
            job_status::Status::Failed(job) => Err(ResultError::Failed(job.error)),
            job_status::Status::Queued(_) | job_status::Status::Running(_) => Err(
                ResultError::Failed("the job ended without a result".to_owned()),
            ),
        }
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

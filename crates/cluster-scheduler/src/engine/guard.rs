//! Ballista's scheduler service behind the authorizer.
//!
//! Upstream believes the executor id in each message and unwraps fields that a peer may leave
//! out. Here every method first obtains its permit, then every sender field is compared with
//! the certificate, then every field that upstream unwraps is required; only then the call
//! goes through.

use std::pin::Pin;
use std::sync::Arc;

use ballista_core::serde::protobuf::executor_resource::Resource;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    CancelJobParams, CancelJobResult, CleanJobDataParams, CleanJobDataResult,
    CreateUpdateSessionParams, CreateUpdateSessionResult, ExecuteQueryParams, ExecuteQueryResult,
    ExecutorOperatingSystemSpecification, ExecutorRegistration, ExecutorResource,
    ExecutorStoppedParams, ExecutorStoppedResult, GetJobMetricsParams, GetJobMetricsResult,
    GetJobStatusParams, GetJobStatusResult, HeartBeatParams, HeartBeatResult, PollWorkParams,
    PollWorkResult, RegisterExecutorParams, RegisterExecutorResult, RemoveSessionParams,
    RemoveSessionResult, TaskStatus, UpdateTaskStatusParams, UpdateTaskStatusResult, task_status,
};
use cluster_proto::{ExecutorRun, NodeId, POLL_NUMBER_HEADER};
use cluster_tls::tonic::{Authorizer, Method, Permit};
use futures::Stream;
use tokio_util::task::TaskTracker;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use super::recent::RecentJobs;
use super::task_spans::TaskSpans;
use super::unable::UnableExecutors;
use super::{Engine, PollAnswer, Server, progress, reports};
use crate::authorization as method;
use crate::members::Members;
use crate::status::Refused;

#[derive(Clone)]
pub(crate) struct GuardedSchedulerGrpc {
    inner: Server,
    tasks: TaskTracker,
    authorizer: Authorizer,
    members: Arc<Members>,
    spans: Arc<TaskSpans>,
    ended: Arc<RecentJobs>,
    unable: Arc<UnableExecutors>,
}

impl GuardedSchedulerGrpc {
    pub(super) fn new(engine: Engine, authorizer: Authorizer) -> Self {
        Self {
            inner: engine.server,
            tasks: engine.tasks,
            authorizer,
            members: engine.members,
            spans: engine.spans,
            ended: engine.ended,
            unable: engine.unable,
        }
    }

    /// Accepts `claimed` as the sender of a permitted call.
    fn sender<M: Method>(&self, permit: &Permit<M>, claimed: &str) -> Result<ExecutorRun, Refused> {
        let run: ExecutorRun = claimed
            .parse()
            .map_err(|_| Refused::Malformed("the executor id is no host:port"))?;
        self.members.claim(&self.authorizer, permit, run.node())?;
        Ok(run)
    }

    /// Accepts a registration whose every address belongs to the sender, and which has all
    /// the fields that upstream takes for granted.
    fn registration<M: Method>(
        &self,
        permit: &Permit<M>,
        metadata: Option<&ExecutorRegistration>,
    ) -> Result<ExecutorRun, Refused> {
        let metadata = metadata.ok_or(Refused::Malformed("the registration is missing"))?;
        let run = self.sender(permit, &metadata.id)?;
        let id = run.node();
        let addressed = metadata
            .host
            .as_deref()
            .and_then(|host| NodeId::new(host, id.port()).ok())
            .is_some_and(|address| address == *id)
            && metadata.port == u32::from(id.port())
            && metadata.grpc_port == u32::from(id.port());
        if !addressed {
            return Err(self.authorizer.refuse_foreign_sender(permit).into());
        }
        if metadata.os_info.is_none() {
            return Err(Refused::Malformed("the registration is incomplete"));
        }
        if !(1..=TASK_SLOT_LIMIT).contains(&task_slots(metadata)) {
            return Err(Refused::Malformed("an executor has 1 to 1024 task slots"));
        }
        Ok(run)
    }

    /// Does what an accepted poll asks for: takes its reports in and gives out tasks.
    async fn work(self, sender: ExecutorRun, mut poll: PollWorkParams) -> PollAnswer {
        // Of runs that somebody invents there is no end, and the engine keeps each for a while with
        // all that it says of itself: it is told of those alone that have opened a control stream.
        if !self.members.is_run(&sender) {
            return Ok(PollWorkResult::default());
        }
        if let Some(metadata) = &mut poll.metadata {
            metadata.os_info = Some(ExecutorOperatingSystemSpecification::default());
        }
        let slots = poll.metadata.as_ref().map_or(0, task_slots);
        // Once more: it may have waited for an earlier poll.
        reports::keep_own(&self.inner, &sender, &mut poll.task_status).await;
        self.spans.reported(&sender, &poll.task_status);
        self.unable.note(&sender, &poll.task_status);
        // Work is for executors that can be told to stop it and stay to do it, and no more of it
        // than they have room for.
        poll.num_free_vcores = if self.members.takes_work(&sender) {
            poll.num_free_vcores.min(slots)
        } else {
            0
        };
        let reported = !poll.task_status.is_empty();
        let answer = self.inner.poll_work(Request::new(poll)).await;
        if let Ok(answer) = &answer {
            self.spans.given(&sender, &answer.get_ref().tasks);
        }
        if reported {
            progress::mark(&self.inner).await;
        }
        let mut answer = answer?.into_inner();
        clean_whole_jobs(&mut answer.jobs_to_clean, &self.ended);
        Ok(answer)
    }

    /// Accepts task reports that speak of the sender's own work only.
    fn reports<M: Method>(
        &self,
        permit: &Permit<M>,
        sender: &ExecutorRun,
        reports: &[TaskStatus],
    ) -> Result<(), Refused> {
        let foreign = reports.iter().any(|report| {
            let reporter = match &report.status {
                Some(task_status::Status::Running(task)) => &task.executor_id,
                Some(task_status::Status::Successful(task)) => &task.executor_id,
                Some(task_status::Status::Failed(_)) | None => return false,
            };
            !reporter.eq_ignore_ascii_case(sender.as_str())
        });
        if foreign {
            return Err(self.authorizer.refuse_foreign_sender(permit).into());
        }
        if reports.iter().any(|report| report.status.is_none()) {
            return Err(Refused::Malformed("a task report has no status"));
        }
        Ok(())
    }
}

/// Has all of a job removed that has ended.
///
/// The engine keeps one wish for each job. The one for the stages behind the last, which it has when
/// a job succeeds, may come after ours for the whole job, and takes its place.
fn clean_whole_jobs(jobs: &mut [CleanJobDataParams], ended: &RecentJobs) {
    for job in jobs {
        if ended.contains(&job.job_id) {
            job.remove_stage_ids.clear();
        }
    }
}

/// The number of a poll that can be sent again.
fn poll_number(metadata: &MetadataMap) -> Result<Option<u64>, Refused> {
    let Some(number) = metadata.get(POLL_NUMBER_HEADER) else {
        return Ok(None);
    };
    let number = number.to_str().ok().and_then(|text| text.parse().ok());
    let number = number.ok_or(Refused::Malformed("the number of a poll is a number"))?;
    Ok(Some(number))
}

/// The task slots that a registration claims; zero where it claims none, or more than one number.
fn task_slots(metadata: &ExecutorRegistration) -> u32 {
    let specification = metadata.specification.as_ref();
    let resources = specification.map_or(&[][..], |specification| &specification.resources);
    match resources {
        [
            ExecutorResource {
                resource: Some(Resource::Vcores(slots)),
            },
        ] => *slots,
        _ => 0,
    }
}

/// Queries are cut into as many partitions as there are slots, so one executor's word must not
/// decide over the scheduler's memory.
const TASK_SLOT_LIMIT: u32 = 1024;

/// Only executors that tasks are pushed to register and send heartbeats by themselves; ours poll,
/// and their polls do both. Upstream dials whoever registers, in plaintext and past the endpoint
/// hook (`ExecutorManager::test_connectivity`), so neither call is let through.
const REGISTERS_BY_POLLING: Refused = Refused::NotServed("executors register by polling for work");

#[tonic::async_trait]
impl SchedulerGrpc for GuardedSchedulerGrpc {
    type ExecuteQueryPushStream =
        Pin<Box<dyn Stream<Item = Result<GetJobStatusResult, Status>> + Send>>;

    async fn poll_work(
        &self,
        mut request: Request<PollWorkParams>,
    ) -> Result<Response<PollWorkResult>, Status> {
        let permit = self.authorizer.permit::<method::PollWork, _>(&request)?;
        let number = poll_number(request.metadata())?;
        let message = request.get_ref();
        let sender = self.registration(&permit, message.metadata.as_ref())?;
        self.reports(&permit, &sender, &message.task_status)?;
        // The work goes on without the call, so what is not to be believed is let go of before:
        // a call is bounded in memory by what its peer may have under way.
        let reports = &mut request.get_mut().task_status;
        reports::keep_own(&self.inner, &sender, reports).await;
        reports.shrink_to_fit();
        let memory = self.members.poll_memory(&sender);
        let work = self.clone().work(sender, request.into_inner());
        let answer = match (number, memory) {
            (Some(number), Some(memory)) => memory.once(number, &self.tasks, work).await?,
            // Executors of others do not number their polls.
            _ => work.await,
        };
        answer.map(Response::new)
    }

    async fn register_executor(
        &self,
        request: Request<RegisterExecutorParams>,
    ) -> Result<Response<RegisterExecutorResult>, Status> {
        let permit = self
            .authorizer
            .permit::<method::RegisterExecutor, _>(&request)?;
        self.registration(&permit, request.get_ref().metadata.as_ref())?;
        Err(REGISTERS_BY_POLLING.into())
    }

    async fn heart_beat_from_executor(
        &self,
        request: Request<HeartBeatParams>,
    ) -> Result<Response<HeartBeatResult>, Status> {
        let permit = self
            .authorizer
            .permit::<method::HeartBeatFromExecutor, _>(&request)?;
        let message = request.get_ref();
        let sender = self.registration(&permit, message.metadata.as_ref())?;
        if !message.executor_id.eq_ignore_ascii_case(sender.as_str()) {
            return Err(self.authorizer.refuse_foreign_sender(&permit).into());
        }
        Err(REGISTERS_BY_POLLING.into())
    }

    async fn update_task_status(
        &self,
        mut request: Request<UpdateTaskStatusParams>,
    ) -> Result<Response<UpdateTaskStatusResult>, Status> {
        let permit = self
            .authorizer
            .permit::<method::UpdateTaskStatus, _>(&request)?;
        let message = request.get_ref();
        let sender = self.sender(&permit, &message.executor_id)?;
        self.reports(&permit, &sender, &message.task_status)?;
        reports::keep_own(&self.inner, &sender, &mut request.get_mut().task_status).await;
        self.spans.reported(&sender, &request.get_ref().task_status);
        self.unable.note(&sender, &request.get_ref().task_status);
        SchedulerGrpc::update_task_status(&self.inner, request).await
    }

    async fn executor_stopped(
        &self,
        request: Request<ExecutorStoppedParams>,
    ) -> Result<Response<ExecutorStoppedResult>, Status> {
        let permit = self
            .authorizer
            .permit::<method::ExecutorStopped, _>(&request)?;
        self.sender(&permit, &request.get_ref().executor_id)?;
        self.inner.executor_stopped(request).await
    }

    async fn create_update_session(
        &self,
        request: Request<CreateUpdateSessionParams>,
    ) -> Result<Response<CreateUpdateSessionResult>, Status> {
        self.authorizer
            .permit::<method::CreateUpdateSession, _>(&request)?;
        self.inner.create_update_session(request).await
    }

    async fn remove_session(
        &self,
        request: Request<RemoveSessionParams>,
    ) -> Result<Response<RemoveSessionResult>, Status> {
        self.authorizer
            .permit::<method::RemoveSession, _>(&request)?;
        self.inner.remove_session(request).await
    }

    async fn execute_query_push(
        &self,
        request: Request<ExecuteQueryParams>,
    ) -> Result<Response<Self::ExecuteQueryPushStream>, Status> {
        self.authorizer
            .permit::<method::ExecuteQueryPush, _>(&request)?;
        self.inner.execute_query_push(request).await
    }

    async fn execute_query(
        &self,
        request: Request<ExecuteQueryParams>,
    ) -> Result<Response<ExecuteQueryResult>, Status> {
        self.authorizer
            .permit::<method::ExecuteQuery, _>(&request)?;
        self.inner.execute_query(request).await
    }

    async fn get_job_status(
        &self,
        request: Request<GetJobStatusParams>,
    ) -> Result<Response<GetJobStatusResult>, Status> {
        self.authorizer
            .permit::<method::GetJobStatus, _>(&request)?;
        self.inner.get_job_status(request).await
    }

    async fn get_job_metrics(
        &self,
        request: Request<GetJobMetricsParams>,
    ) -> Result<Response<GetJobMetricsResult>, Status> {
        self.authorizer
            .permit::<method::GetJobMetrics, _>(&request)?;
        self.inner.get_job_metrics(request).await
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobParams>,
    ) -> Result<Response<CancelJobResult>, Status> {
        self.authorizer.permit::<method::CancelJob, _>(&request)?;
        SchedulerGrpc::cancel_job(&self.inner, request).await
    }

    async fn clean_job_data(
        &self,
        request: Request<CleanJobDataParams>,
    ) -> Result<Response<CleanJobDataResult>, Status> {
        self.authorizer
            .permit::<method::CleanJobData, _>(&request)?;
        self.inner.clean_job_data(request).await
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::JobId;

    use super::*;

    #[test]
    fn nothing_stays_of_a_job_that_ended_and_the_rows_of_others_do() {
        let ended = RecentJobs::default();
        ended.add(&JobId::new("ended"));
        let mut jobs = ["ended", "rows-wait"].map(|id| CleanJobDataParams {
            job_id: id.to_owned(),
            remove_stage_ids: vec![1, 2],
        });
        clean_whole_jobs(&mut jobs, &ended);
        assert!(jobs[0].remove_stage_ids.is_empty());
        assert_eq!(jobs[1].remove_stage_ids, [1, 2]);
    }
}

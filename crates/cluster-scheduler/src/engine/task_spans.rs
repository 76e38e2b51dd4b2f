//! What becomes of the tasks of each job, as records of the history.
//!
//! Which task went to whom, and when, is noted as it is given away. So a task that is never reported
//! (its query was cancelled, its executor left) has an end too, and times that cannot be are told
//! from those that can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ballista_core::JobId;
use ballista_core::serde::protobuf::{TaskDefinition, TaskStatus, task_status};
use cluster_proto::ExecutorRun;
use spice_runtime::{SpanContext, TaskHistory, TaskRecord};

use super::results::clean_engine_message;

/// The running tasks of the running jobs.
pub(super) struct TaskSpans {
    history: TaskHistory,
    jobs: Mutex<HashMap<String, JobSpan>>,
}

struct JobSpan {
    query: SpanContext,
    running: HashMap<TaskKey, Given>,
}

/// Stage and task.
type TaskKey = (u32, u32);

/// A task that an executor has.
struct Given {
    query: SpanContext,
    job_id: String,
    key: TaskKey,
    executor: ExecutorRun,
    at: SystemTime,
    stage_attempt: u32,
    partitions: usize,
}

/// How a task ended.
struct End {
    start_time: SystemTime,
    duration: Duration,
    clock: Clock,
    error_message: Option<String>,
}

/// Whose clock says when a task ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    Executor,
    Scheduler,
}

impl TaskSpans {
    pub(super) fn new(history: TaskHistory) -> Arc<Self> {
        Arc::new(Self {
            history,
            jobs: Mutex::default(),
        })
    }

    /// Notes the tasks of `job` as parts of `query` from now on.
    pub(super) fn begin(&self, job: &JobId, query: &SpanContext) {
        let span = JobSpan {
            query: query.clone(),
            running: HashMap::new(),
        };
        self.lock().insert(job.to_string(), span);
    }

    /// `executor` has got `tasks`.
    pub(super) fn given(&self, executor: &ExecutorRun, tasks: &[TaskDefinition]) {
        let mut jobs = self.lock();
        for task in tasks {
            // Without its job, nobody waits for the task any more: it is stopped at once.
            let Some(job) = jobs.get_mut(&task.job_id) else {
                continue;
            };
            let key = (task.stage_id, task.task_id);
            let given = Given {
                query: job.query.clone(),
                job_id: task.job_id.clone(),
                key,
                executor: executor.clone(),
                at: SystemTime::now(),
                stage_attempt: task.stage_attempt_num,
                partitions: task.global_output_partition_ids.len(),
            };
            job.running.insert(key, given);
        }
    }

    /// Records the tasks that `executor` says have ended.
    pub(super) fn reported(&self, executor: &ExecutorRun, reports: &[TaskStatus]) {
        for report in reports {
            let error_message = match &report.status {
                Some(task_status::Status::Successful(_)) => None,
                Some(task_status::Status::Failed(failed)) => {
                    Some(clean_engine_message(&failed.error))
                }
                Some(task_status::Status::Running(_)) | None => continue,
            };
            if let Some(given) = self.take(executor, report) {
                let end = End::reported(report, given.at, error_message);
                self.record(given, end);
            }
        }
    }

    /// Records what `executor` was doing when it left.
    pub(super) fn executor_left(&self, executor: &ExecutorRun) {
        let left: Vec<Given> = {
            let mut jobs = self.lock();
            let running = jobs.values_mut().flat_map(|job| {
                job.running
                    .extract_if(|_, given| given.executor == *executor)
            });
            running.map(|(_, given)| given).collect()
        };
        for given in left {
            let end = End::unreported(given.at, "its executor left");
            self.record(given, end);
        }
    }

    /// Records what still ran of a job that has ended, and knows the job no longer.
    pub(super) fn end(&self, job: &JobId) {
        let ended = self.lock().remove(&job.to_string());
        let running = ended.into_iter().flat_map(|job| job.running.into_values());
        for given in running {
            let end = End::unreported(given.at, "stopped, because its query had ended");
            self.record(given, end);
        }
    }

    fn take(&self, executor: &ExecutorRun, report: &TaskStatus) -> Option<Given> {
        let mut jobs = self.lock();
        let running = &mut jobs.get_mut(&report.job_id)?.running;
        let key = (report.stage_id, report.task_id);
        let is_its_own = running.get(&key)?.executor == *executor;
        is_its_own.then(|| running.remove(&key))?
    }

    fn record(&self, given: Given, end: End) {
        let (stage, task) = given.key;
        let outcome = if end.error_message.is_none() {
            "ok"
        } else {
            "failed"
        };
        self.history.record(TaskRecord {
            span: given.query.child(),
            parent_span_id: Some(given.query.span_id),
            task: "distributed_task",
            input: format!("stage {stage}, task {task}"),
            start_time: end.start_time,
            duration: end.duration,
            error_message: end.error_message,
            labels: vec![
                ("outcome", outcome.to_owned()),
                ("job", given.job_id),
                ("stage", stage.to_string()),
                ("stage_attempt", given.stage_attempt.to_string()),
                ("task", task.to_string()),
                ("partitions", given.partitions.to_string()),
                ("clock", end.clock.as_str().to_owned()),
            ],
            node_id: given.executor.node().to_string(),
            node_role: "executor",
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, JobSpan>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl End {
    /// The times of a report, where they lie between the moment that the task was given away and
    /// now; otherwise the executor's clock is not ours, and ours is taken.
    fn reported(report: &TaskStatus, given_at: SystemTime, error_message: Option<String>) -> Self {
        let start = UNIX_EPOCH + Duration::from_millis(report.start_exec_time);
        let end = UNIX_EPOCH + Duration::from_millis(report.end_exec_time);
        let now = SystemTime::now();
        // Reports count whole milliseconds, and are rounded down.
        let begun = given_at - Duration::from_millis(1);
        let duration = end.duration_since(start).ok();
        match duration.filter(|_| begun <= start && end <= now) {
            Some(duration) => Self {
                start_time: start,
                duration,
                clock: Clock::Executor,
                error_message,
            },
            None => Self {
                error_message,
                ..Self::unreported(given_at, "")
            },
        }
    }

    fn unreported(given_at: SystemTime, why: &str) -> Self {
        Self {
            start_time: given_at,
            duration: given_at.elapsed().unwrap_or_default(),
            clock: Clock::Scheduler,
            error_message: Some(why.to_owned()),
        }
    }
}

impl Clock {
    fn as_str(self) -> &'static str {
        match self {
            Clock::Executor => "executor",
            Clock::Scheduler => "scheduler",
        }
    }
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf::{FailedTask, SuccessfulTask};

    use super::*;

    fn history() -> (TaskHistory, Arc<TaskSpans>) {
        let history = TaskHistory::new("scheduler1:50052", "scheduler");
        (history.clone(), TaskSpans::new(history))
    }

    fn executor(name: &str) -> ExecutorRun {
        let node = format!("{name}:50052").parse().unwrap();
        ExecutorRun::new(node, "run").unwrap()
    }

    fn definition(task_id: u32) -> TaskDefinition {
        TaskDefinition {
            task_id,
            job_id: "job".to_owned(),
            stage_id: 1,
            ..Default::default()
        }
    }

    fn report(task_id: u32, status: task_status::Status) -> TaskStatus {
        TaskStatus {
            task_id,
            job_id: "job".to_owned(),
            stage_id: 1,
            status: Some(status),
            ..Default::default()
        }
    }

    fn done() -> task_status::Status {
        task_status::Status::Successful(SuccessfulTask::default())
    }

    fn failed() -> task_status::Status {
        task_status::Status::Failed(FailedTask {
            error: "DataFusionError(Execution(\"disk full\"))".to_owned(),
            ..Default::default()
        })
    }

    /// Who ended how, in the order of the tasks.
    async fn recorded(history: &TaskHistory) -> String {
        let sql = "SELECT input, node_id, error_message FROM task_history \
                   WHERE task = 'distributed_task' ORDER BY input";
        let answer = history.answer(sql).await.unwrap();
        let answer = std::io::Cursor::new(answer);
        let reader = datafusion::arrow::ipc::reader::StreamReader::try_new(answer, None).unwrap();
        let batches: Vec<_> = reader.map(Result::unwrap).collect();
        let text = datafusion::arrow::util::pretty::pretty_format_batches(&batches).unwrap();
        text.to_string()
    }

    #[tokio::test]
    async fn every_task_that_was_given_away_leaves_one_record() {
        let (history, spans) = history();
        let (one, other) = (executor("executor1"), executor("executor2"));
        let job = JobId::from("job".to_owned());
        spans.begin(&job, &SpanContext::root());
        spans.given(&one, &[1, 2, 3].map(definition));
        spans.given(&other, &[4, 5].map(definition));
        spans.reported(&one, &[report(1, done()), report(2, failed())]);
        spans.executor_left(&other);
        spans.end(&job);
        // Late, of somebody else, and of a job that has ended.
        spans.reported(&one, &[report(1, done()), report(3, done())]);
        spans.given(&one, &[definition(6)]);
        let text = recorded(&history).await;
        for line in [
            "| stage 1, task 1 | executor1:50052 |                                      |",
            "| stage 1, task 2 | executor1:50052 | disk full                            |",
            "| stage 1, task 3 | executor1:50052 | stopped, because its query had ended |",
            "| stage 1, task 4 | executor2:50052 | its executor left                    |",
            "| stage 1, task 5 | executor2:50052 | its executor left                    |",
        ] {
            assert!(text.contains(line), "{line} in\n{text}");
        }
        assert_eq!(text.matches("stage 1").count(), 5, "{text}");
    }

    #[tokio::test]
    async fn an_executor_ends_only_tasks_that_it_was_given() {
        let (history, spans) = history();
        let (one, other) = (executor("executor1"), executor("executor2"));
        let job = JobId::from("job".to_owned());
        spans.begin(&job, &SpanContext::root());
        spans.given(&one, &[definition(1)]);
        spans.reported(&other, &[report(1, failed()), report(2, done())]);
        spans.reported(&one, &[report(1, done())]);
        let text = recorded(&history).await;
        assert_eq!(text.matches("stage 1").count(), 1, "{text}");
        assert!(text.contains("executor1:50052"), "{text}");
    }

    #[test]
    fn times_that_cannot_be_are_those_of_another_clock() {
        let given_at = SystemTime::now() - Duration::from_secs(10);
        let since = given_at.duration_since(UNIX_EPOCH).unwrap();
        let given_ms = u64::try_from(since.as_millis()).unwrap();
        for (start, end, clock) in [
            (given_ms, given_ms + 4000, Clock::Executor),
            (given_ms + 1, given_ms + 1, Clock::Executor),
            (given_ms - 5000, given_ms + 1000, Clock::Scheduler),
            (given_ms + 1000, given_ms + 99_000, Clock::Scheduler),
            (given_ms + 4000, given_ms + 1000, Clock::Scheduler),
            (0, u64::MAX / 2, Clock::Scheduler),
        ] {
            let report = TaskStatus {
                start_exec_time: start,
                end_exec_time: end,
                ..report(1, done())
            };
            let found = End::reported(&report, given_at, None);
            assert_eq!(found.clock, clock, "{start} to {end}");
            assert_eq!(found.error_message, None);
            assert!(found.start_time + found.duration <= SystemTime::now());
        }
    }
}

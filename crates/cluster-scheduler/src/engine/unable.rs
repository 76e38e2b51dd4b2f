use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::{TaskStatus, task_status};
use cluster_proto::ExecutorRun;

/// The executors that lately failed a task of a job for want of something that another one may have:
/// a database that cannot be reached from there, room on a disk.
///
/// Such a task is given out again, a few times. An executor that cannot do it fails at once and is
/// the first to ask for more, so the same one would get it every time.
#[derive(Debug, Default)]
pub(super) struct UnableExecutors(Mutex<VecDeque<Unable>>);

#[derive(Debug, PartialEq, Eq)]
struct Unable {
    job_id: String,
    executor: ExecutorRun,
}

impl UnableExecutors {
    /// Takes in what `executor` reports of its own tasks.
    pub(super) fn note(&self, executor: &ExecutorRun, reports: &[TaskStatus]) {
        for report in reports.iter().filter(|report| is_elsewhere_perhaps(report)) {
            let unable = Unable {
                job_id: report.job_id.clone(),
                executor: executor.clone(),
            };
            let mut known = self.lock();
            if !known.contains(&unable) {
                if known.len() >= LIMIT {
                    known.pop_front();
                }
                known.push_back(unable);
            }
        }
    }

    pub(super) fn contains(&self, job_id: &str, executor: &ExecutorRun) -> bool {
        let known = self.lock();
        let mut known = known.iter().rev();
        known.any(|unable| unable.job_id == job_id && unable.executor == *executor)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Unable>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_elsewhere_perhaps(report: &TaskStatus) -> bool {
    match &report.status {
        Some(task_status::Status::Failed(failed)) => {
            matches!(failed.failed_reason, Some(FailedReason::IoError(_)))
        }
        _ => false,
    }
}

/// For as many jobs as run at once, with some executors each; what is forgotten costs another try.
const LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf::{ExecutionError, FailedTask, IoError};

    use super::*;

    fn failed(job_id: &str, reason: FailedReason) -> TaskStatus {
        TaskStatus {
            job_id: job_id.to_owned(),
            status: Some(task_status::Status::Failed(FailedTask {
                failed_reason: Some(reason),
                ..Default::default()
            })),
            ..Default::default()
        }
    }

    #[test]
    fn an_executor_that_lacked_something_is_known_for_that_job_alone() {
        let unable = UnableExecutors::default();
        let [one, other] = ["a:1#x", "b:1#x"].map(|run| run.parse::<ExecutorRun>().unwrap());
        let lacked = failed("job", FailedReason::IoError(IoError {}));
        let wrong = failed("wrong", FailedReason::ExecutionError(ExecutionError {}));
        unable.note(&one, &[lacked.clone(), wrong, lacked]);
        assert!(unable.contains("job", &one));
        assert!(!unable.contains("job", &other) && !unable.contains("another", &one));
        assert!(!unable.contains("wrong", &one), "it would fail anywhere");
        assert_eq!(unable.lock().len(), 1);
    }

    #[test]
    fn only_so_many_are_remembered() {
        let unable = UnableExecutors::default();
        let run: ExecutorRun = "a:1#x".parse().unwrap();
        for number in 0..=LIMIT {
            let report = failed(&format!("job{number}"), FailedReason::IoError(IoError {}));
            unable.note(&run, &[report]);
        }
        assert!(!unable.contains("job0", &run) && unable.contains("job1", &run));
        assert_eq!(unable.lock().len(), LIMIT);
    }
}

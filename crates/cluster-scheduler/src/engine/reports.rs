//! Believing an executor about its own tasks only.
//!
//! Upstream takes a report for what it says: of a task that another executor runs, of a stage
//! that ended, of a task number that was never given out (which ends its event loop by a
//! panic). So a report is dropped unless the task in it runs now, and runs on the sender. That
//! also drops late reports of tasks that were given to somebody else meanwhile.

use std::collections::HashSet;

use ballista_core::JobId;
use ballista_core::serde::protobuf::TaskStatus;
use cluster_proto::ExecutorRun;

use super::Server;

/// Keeps those of `reports` that speak of tasks which run on `sender` now.
pub(super) async fn keep_own(server: &Server, sender: &ExecutorRun, reports: &mut Vec<TaskStatus>) {
    if reports.is_empty() {
        return;
    }
    let own = running_on(server, sender, reports).await;
    let before = reports.len();
    reports.retain(|report| own.contains(&task_of(report)));
    let dropped = before - reports.len();
    if dropped > 0 {
        tracing::debug!(executor = %sender, dropped, "reports of tasks that do not run there");
    }
}

type Task = (String, usize, usize);

fn task_of(report: &TaskStatus) -> Task {
    let (stage, task) = (report.stage_id as usize, report.task_id as usize);
    (report.job_id.clone(), stage, task)
}

/// The tasks of the reported jobs that run on `sender`.
async fn running_on(
    server: &Server,
    sender: &ExecutorRun,
    reports: &[TaskStatus],
) -> HashSet<Task> {
    let jobs = server.state.task_manager.get_running_job_cache();
    let reported: HashSet<&str> = reports
        .iter()
        .map(|report| report.job_id.as_str())
        .collect();
    let mut own = HashSet::new();
    for job_id in reported {
        let Some(job) = jobs.get(&JobId::from(job_id.to_owned())) else {
            continue;
        };
        let running = job.execution_graph.read().await.running_tasks();
        let running = running
            .into_iter()
            .filter(|task| task.executor_id == sender.as_str());
        own.extend(running.map(|task| (job_id.to_owned(), task.stage_id, task.task_id)));
    }
    own
}

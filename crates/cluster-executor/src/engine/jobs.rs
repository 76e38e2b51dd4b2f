//! The files of the jobs that one scheduler had tasks of here, so that nothing of them is left.
//!
//! A scheduler has them removed by what it answers to polls. That is not the end of it: a task that
//! was cancelled writes until it notices, one may be on its way yet, and a scheduler that dies, or
//! that this executor gives up, says nothing any more.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::backoff::Backoff;

/// The latest jobs of one scheduler.
#[derive(Debug)]
pub(super) struct JobFiles {
    work_dir: PathBuf,
    jobs: Mutex<VecDeque<Job>>,
    tasks: TaskTracker,
    /// Tasks end on threads of the engine, which have no part in this.
    runtime: Handle,
}

#[derive(Debug)]
struct Job {
    id: String,
    /// Tasks that may write.
    tasks: usize,
    /// The scheduler wants nothing of it any more.
    over: bool,
}

/// Held by a task for as long as it may write.
#[derive(Debug)]
pub(super) struct Writing {
    files: Arc<JobFiles>,
    job_id: String,
    _task: TaskTrackerToken,
}

impl JobFiles {
    /// To be called on the runtime that removes files.
    pub(super) fn new(work_dir: &Path) -> Arc<Self> {
        Arc::new(Self {
            work_dir: work_dir.to_owned(),
            jobs: Mutex::default(),
            tasks: TaskTracker::new(),
            runtime: Handle::current(),
        })
    }

    /// A task of this job begins.
    pub(super) fn begin(self: &Arc<Self>, job_id: &str) -> Writing {
        note(&mut self.lock(), job_id, |job| job.tasks += 1);
        Writing {
            files: self.clone(),
            job_id: job_id.to_owned(),
            _task: self.tasks.token(),
        }
    }

    /// The scheduler wants nothing of this job any more: its files go, or those that its tasks leave.
    /// A task of it may still be on its way: one answer can hold the task, and that its job is over.
    pub(super) fn over(&self, job_id: &str) {
        self.change(job_id, |job| job.over = true);
    }

    /// Removes what all jobs have left, once their tasks have ended.
    pub(super) async fn remove(&self) {
        self.tasks.close();
        if timeout(TASKS_LIMIT, self.tasks.wait()).await.is_err() {
            tracing::warn!("tasks of a lost scheduler have not ended in time");
        }
        let jobs = std::mem::take(&mut *self.lock());
        for job in jobs {
            remove(self.work_dir.join(&job.id)).await;
        }
    }

    /// A task of this job has ended.
    fn ended(&self, job_id: &str) {
        self.change(job_id, |job| job.tasks = job.tasks.saturating_sub(1));
    }

    /// Changes what is known of a job, and removes its files if that was the last that it waited for.
    fn change(&self, job_id: &str, change: impl FnOnce(&mut Job)) {
        let mut is_left = false;
        note(&mut self.lock(), job_id, |job| {
            change(job);
            is_left = job.over && job.tasks == 0;
        });
        if is_left {
            self.runtime.spawn(remove(self.work_dir.join(job_id)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.files.ended(&self.job_id);
    }
}

/// Changes what is known of a job; only what has the form of an id can become known.
fn note(jobs: &mut VecDeque<Job>, id: &str, change: impl FnOnce(&mut Job)) {
    if let Some(job) = jobs.iter_mut().rev().find(|job| job.id == id) {
        return change(job);
    }
    if !is_job_id(id) {
        return;
    }
    if jobs.len() == JOBS_MAX {
        // Of the jobs that every executor is told the end of, most never had a task here.
        let idle = jobs.iter().position(|job| job.over && job.tasks == 0);
        jobs.remove(idle.unwrap_or(0));
    }
    let mut job = Job {
        id: id.to_owned(),
        tasks: 0,
        over: false,
    };
    change(&mut job);
    jobs.push_back(job);
}

/// Removes a directory, more than once if something is written meanwhile: a thread that a task has
/// begun opens its file when it comes to it, which may be after its task.
async fn remove(directory: PathBuf) {
    let mut backoff = Backoff::default();
    for tries_left in (0..TRIES).rev() {
        let path = directory.display();
        match tokio::fs::remove_dir_all(&directory).await {
            Ok(()) => return tracing::debug!(%path, "files of a job removed"),
            // As a rule where the job had no task here.
            Err(error) if error.kind() == ErrorKind::NotFound => return,
            Err(error) if tries_left == 0 => {
                tracing::warn!(%path, %error, "files of a job not removed");
            }
            Err(_) => sleep(backoff.next()).await,
        }
    }
}

/// Whether a text has the form of the ids that schedulers make: only such a one may become a path.
pub(super) fn is_job_id(text: &str) -> bool {
    (1..=JOB_ID_LIMIT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Job ids are 32 hexadecimal digits; other schedulers of the protocol use shorter ones.
const JOB_ID_LIMIT: usize = 64;

/// Jobs that may have files here at once, with room to spare: those of the clients of one
/// scheduler.
const JOBS_MAX: usize = 1024;

/// What comes late is there within moments.
const TRIES: usize = 5;

/// A task that is dropped ends where it next waits for something.
const TASKS_LIMIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn work_dir() -> PathBuf {
        let name = uuid::Uuid::new_v4().simple().to_string();
        std::env::temp_dir().join(name)
    }

    async fn write(work_dir: &Path, job: &str) {
        let stage = work_dir.join(job).join("1");
        tokio::fs::create_dir_all(stage).await.unwrap();
    }

    #[tokio::test]
    async fn the_files_of_a_lost_scheduler_go_when_its_tasks_have_ended_and_others_stay() {
        let (work_dir, another) = (work_dir(), "another");
        write(&work_dir, another).await;
        let files = JobFiles::new(&work_dir);
        let writing = files.begin("mine");
        for id in ["mine", "../another", "", "never-here"] {
            drop(files.begin(id));
        }
        let last_words = async {
            tokio::task::yield_now().await;
            write(&work_dir, "mine").await;
            drop(writing);
        };
        tokio::join!(files.remove(), last_words);
        assert!(!work_dir.join("mine").exists());
        assert!(work_dir.join(another).exists());
        tokio::fs::remove_dir_all(&work_dir).await.unwrap();
    }

    #[tokio::test]
    async fn what_tasks_write_after_their_job_is_over_goes_with_the_last_of_them() {
        let work_dir = work_dir();
        let files = JobFiles::new(&work_dir);
        let (late, later, running) = (
            files.begin("late"),
            files.begin("late"),
            files.begin("running"),
        );
        files.over("late");
        for job in ["late", "running"] {
            write(&work_dir, job).await;
        }
        drop(running);
        drop(late);
        tokio::task::yield_now().await;
        assert!(work_dir.join("late").exists(), "one of its tasks may write");
        drop(later);
        while work_dir.join("late").exists() {
            tokio::task::yield_now().await;
        }
        assert!(work_dir.join("running").exists());
        tokio::fs::remove_dir_all(&work_dir).await.unwrap();
    }

    #[tokio::test]
    async fn the_files_of_a_job_whose_tasks_have_ended_go_when_it_is_over_and_not_before() {
        let work_dir = work_dir();
        let files = JobFiles::new(&work_dir);
        for job in ["over", "rows"] {
            write(&work_dir, job).await;
            drop(files.begin(job));
        }
        files.over("over");
        while work_dir.join("over").exists() {
            tokio::task::yield_now().await;
        }
        assert!(work_dir.join("rows").exists());
        tokio::fs::remove_dir_all(&work_dir).await.unwrap();
    }

    #[tokio::test]
    async fn what_a_task_writes_that_begins_after_the_end_of_its_job_goes_with_the_task() {
        let work_dir = work_dir();
        let files = JobFiles::new(&work_dir);
        files.over("late");
        let (late, running) = (files.begin("late"), files.begin("running"));
        for job in ["late", "running"] {
            write(&work_dir, job).await;
        }
        drop(running);
        drop(late);
        while work_dir.join("late").exists() {
            tokio::task::yield_now().await;
        }
        assert!(work_dir.join("running").exists());
        tokio::fs::remove_dir_all(&work_dir).await.unwrap();
    }

    #[tokio::test]
    async fn only_so_many_jobs_are_remembered_and_of_them_those_that_may_leave_something() {
        let files = JobFiles::new(&work_dir());
        drop(files.begin("waiting"));
        let writing = files.begin("running");
        files.over("running");
        for number in 0..2 * JOBS_MAX {
            files.over(&format!("elsewhere{number}"));
        }
        let known = |id: &str| files.lock().iter().any(|job| job.id == id);
        assert!(known("waiting") && known("running") && !known("elsewhere0"));
        drop(writing);
        for number in 0..2 * JOBS_MAX {
            drop(files.begin(&format!("job{number}")));
        }
        assert!(!known("waiting"), "the oldest goes where none is idle");
        assert_eq!(files.lock().len(), JOBS_MAX);
    }
}

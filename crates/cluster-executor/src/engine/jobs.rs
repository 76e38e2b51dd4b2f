//! The files of the jobs that one scheduler had tasks of here, so that nothing of them is left.
//!
//! A scheduler has them removed by what it answers to polls. That is not the end of it: a task that
//! was cancelled may write until it notices, and a scheduler that dies, or that this executor gives
//! up, says nothing any more.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

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
        let mut jobs = self.lock();
        let known = jobs.iter().rev().any(|job| job.id == job_id);
        if is_job_id(job_id) && !known {
            if jobs.len() == JOBS_MAX {
                jobs.pop_front();
            }
            jobs.push_back(Job {
                id: job_id.to_owned(),
                over: false,
            });
        }
        Writing {
            files: self.clone(),
            job_id: job_id.to_owned(),
            _task: self.tasks.token(),
        }
    }

    /// The scheduler had the files of this job removed.
    pub(super) fn over(&self, job_id: &str) {
        let mut jobs = self.lock();
        if let Some(job) = jobs.iter_mut().rev().find(|job| job.id == job_id) {
            job.over = true;
        }
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
        let over = |job: &Job| job.over && job.id == job_id;
        if self.lock().iter().any(over) {
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

async fn remove(directory: PathBuf) {
    match tokio::fs::remove_dir_all(&directory).await {
        Ok(()) => tracing::debug!(path = %directory.display(), "files of a lost job removed"),
        // As a rule: the scheduler had them removed when the client had its rows.
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            let path = directory.display();
            tracing::warn!(%path, %error, "files of a lost job not removed");
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
    async fn what_a_task_writes_after_its_job_is_over_goes_with_the_task() {
        let work_dir = work_dir();
        let files = JobFiles::new(&work_dir);
        let (late, running) = (files.begin("late"), files.begin("running"));
        files.over("late");
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
    async fn only_so_many_jobs_are_remembered() {
        let files = JobFiles::new(&work_dir());
        for number in 0..2 * JOBS_MAX {
            drop(files.begin(&format!("job{number}")));
        }
        let jobs = files.lock();
        assert_eq!(jobs.len(), JOBS_MAX);
        assert_eq!(jobs.front().unwrap().id, format!("job{JOBS_MAX}"));
    }
}

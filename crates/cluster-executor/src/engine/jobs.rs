//! The jobs that a scheduler had tasks of here, so that nothing of them is left when it is gone.
//!
//! A scheduler removes the files of its jobs by what it answers to polls. One that dies, or that
//! this executor gives up, leaves them behind.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The latest jobs of one scheduler.
#[derive(Debug, Default)]
pub(super) struct RecentJobs {
    ids: Mutex<VecDeque<String>>,
}

impl RecentJobs {
    pub(super) fn note(&self, job_id: &str) {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_job_id(job_id) || ids.iter().rev().any(|known| known == job_id) {
            return;
        }
        if ids.len() == JOBS_MAX {
            ids.pop_front();
        }
        ids.push_back(job_id.to_owned());
    }

    /// Removes what these jobs have left in `work_dir`.
    pub(super) async fn remove_files(&self, work_dir: &Path) {
        let ids = std::mem::take(&mut *self.ids.lock().unwrap_or_else(PoisonError::into_inner));
        for id in ids {
            match tokio::fs::remove_dir_all(work_dir.join(&id)).await {
                Ok(()) => tracing::debug!(job = id, "files of a lost job removed"),
                // As a rule: its scheduler had them removed when the client had its rows.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(job = id, %error, "files of a lost job not removed"),
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_files_of_noted_jobs_go_and_others_stay() {
        let work_dir = std::env::temp_dir().join(uuid::Uuid::new_v4().simple().to_string());
        for job in ["mine", "another"] {
            tokio::fs::create_dir_all(work_dir.join(job).join("1"))
                .await
                .unwrap();
        }
        let jobs = RecentJobs::default();
        for id in ["mine", "mine", "../another", "never-here", ""] {
            jobs.note(id);
        }
        jobs.remove_files(&work_dir.join("another").join(".."))
            .await;
        assert!(!work_dir.join("mine").exists());
        assert!(work_dir.join("another").exists());
        tokio::fs::remove_dir_all(&work_dir).await.unwrap();
    }

    #[test]
    fn only_so_many_are_remembered() {
        let jobs = RecentJobs::default();
        for number in 0..2 * JOBS_MAX {
            jobs.note(&format!("job{number}"));
        }
        let ids = jobs.ids.lock().unwrap();
        assert_eq!(ids.len(), JOBS_MAX);
        assert_eq!(ids.front().unwrap(), &format!("job{JOBS_MAX}"));
    }
}

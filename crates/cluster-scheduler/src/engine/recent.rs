use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ballista_core::JobId;

/// The last jobs of which something is to be kept in mind that the engine forgets or is late with.
#[derive(Debug, Default)]
pub(super) struct RecentJobs(Mutex<VecDeque<JobId>>);

impl RecentJobs {
    pub(super) fn add(&self, job_id: &JobId) {
        let mut jobs = self.lock();
        if jobs.len() >= JOB_LIMIT {
            jobs.pop_front();
        }
        jobs.push_back(job_id.clone());
    }

    pub(super) fn contains(&self, job_id: &str) -> bool {
        self.lock().iter().rev().any(|job| job.as_str() == job_id)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<JobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// More than the engine has waiting in its queue, and than end between two polls of an executor.
const JOB_LIMIT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_jobs_are_known_and_no_more_of_them() {
        let jobs = RecentJobs::default();
        for number in 0..=JOB_LIMIT {
            jobs.add(&JobId::new(format!("job{number}")));
        }
        assert!(jobs.contains("job1") && !jobs.contains("job0"));
        assert_eq!(jobs.lock().len(), JOB_LIMIT);
    }
}

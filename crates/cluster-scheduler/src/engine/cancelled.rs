use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ballista_core::JobId;

/// The jobs that were cancelled last. The engine takes a moment to digest a cancellation, and would
/// give out tasks meanwhile that nobody is told to stop.
#[derive(Debug, Default)]
pub(super) struct CancelledJobs(Mutex<VecDeque<JobId>>);

impl CancelledJobs {
    pub(super) fn add(&self, job_id: &JobId) {
        let mut jobs = self.lock();
        if jobs.len() >= JOB_LIMIT {
            jobs.pop_front();
        }
        jobs.push_back(job_id.clone());
    }

    pub(super) fn contains(&self, job_id: &JobId) -> bool {
        self.lock().contains(job_id)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<JobId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Far more than the engine has waiting in its queue.
const JOB_LIMIT: usize = 256;

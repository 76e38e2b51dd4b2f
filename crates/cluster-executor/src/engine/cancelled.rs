use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ballista_core::serde::scheduler::TaskKey;

/// The tasks that were cancelled last. A task may be cancelled while it is on its way here, or
/// waits for a thread: the engine knows nothing of it then that could be stopped.
#[derive(Debug, Default)]
pub(super) struct CancelledTasks(Mutex<VecDeque<TaskKey>>);

impl CancelledTasks {
    pub(super) fn add(&self, key: TaskKey) {
        let mut tasks = self.lock();
        if tasks.len() >= TASK_LIMIT {
            tasks.pop_front();
        }
        tasks.push_back(key);
    }

    pub(super) fn contains(&self, key: &TaskKey) -> bool {
        self.lock().contains(key)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<TaskKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// As many as the slots of the largest executor, for what is cancelled within a moment.
const TASK_LIMIT: usize = 1024;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::events::{ExecutorEvents, TaskReport};

/// Counts tasks and tells whoever listens.
pub(super) struct TaskLog {
    events: Arc<dyn ExecutorEvents>,
    wake: Arc<Notify>,
    active: AtomicU32,
    total: AtomicU64,
}

impl TaskLog {
    pub(super) fn new(events: Arc<dyn ExecutorEvents>, wake: Arc<Notify>) -> Self {
        Self {
            events,
            wake,
            active: AtomicU32::new(0),
            total: AtomicU64::new(0),
        }
    }

    pub(super) fn started(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.events.task_started();
    }

    /// Counts the end of a task and wakes the poll loop: its status travels with the next
    /// poll, and the stage after it waits for that.
    pub(super) fn finished(&self, report: &TaskReport) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.events.task_finished(report);
        self.wake.notify_one();
    }

    /// Tasks that run now, and tasks that have ended.
    pub(super) fn counts(&self) -> (u32, u64) {
        (
            self.active.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }
}

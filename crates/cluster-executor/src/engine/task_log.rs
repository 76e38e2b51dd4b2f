use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::events::{ExecutorEvents, TaskReport};

/// Counts tasks and tells whoever listens.
pub(super) struct TaskLog {
    events: Arc<dyn ExecutorEvents>,
    task_slots: usize,
    active: AtomicU32,
    total: AtomicU64,
    loops: Mutex<Vec<Weak<Notify>>>,
}

impl TaskLog {
    pub(super) fn new(events: Arc<dyn ExecutorEvents>, task_slots: usize) -> Self {
        Self {
            events,
            task_slots,
            active: AtomicU32::new(0),
            total: AtomicU64::new(0),
            loops: Mutex::default(),
        }
    }

    /// Also wakes the poll loop behind `wake`, for as long as it lives, whenever a slot becomes
    /// free on a full executor.
    pub(super) fn wake_when_full(&self, wake: &Arc<Notify>) {
        let mut loops = self.lock();
        loops.retain(|known| known.strong_count() > 0);
        loops.push(Arc::downgrade(wake));
    }

    pub(super) fn started(&self) {
        self.active.fetch_add(1, Ordering::Relaxed);
        self.events.task_started();
    }

    /// Counts the end of a task that had started, and tells whether the executor was full.
    pub(super) fn finished(&self, report: &TaskReport) -> Fill {
        let active = self.active.fetch_sub(1, Ordering::Relaxed);
        self.total.fetch_add(1, Ordering::Relaxed);
        self.events.task_finished(report);
        if active as usize >= self.task_slots {
            Fill::Full
        } else {
            Fill::Room
        }
    }

    /// Wakes the poll loops that a free slot matters to: `own`, by which the status of the task
    /// travels and whose scheduler waits for that, and every other one that was told of no room.
    pub(super) fn slot_freed(&self, own: &Notify, before: Fill) {
        own.notify_one();
        if before == Fill::Full {
            for wake in self.lock().iter().filter_map(Weak::upgrade) {
                wake.notify_one();
            }
        }
    }

    /// Tasks that run now, and tasks that have ended.
    pub(super) fn counts(&self) -> (u32, u64) {
        (
            self.active.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Notify>>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How much there was to do when a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fill {
    /// Every slot was taken.
    Full,
    /// Some were free.
    Room,
}

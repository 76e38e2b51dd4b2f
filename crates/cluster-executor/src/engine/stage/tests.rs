use tokio::sync::mpsc;

use super::*;
use crate::events::ExecutorEvents;

/// A task that says when it runs, and ends when it is told to.
struct Held {
    running: mpsc::UnboundedSender<usize>,
    release: Arc<Semaphore>,
}

#[async_trait]
impl QueryStageExecutor for Held {
    async fn execute_query_stage(
        &self,
        task_id: usize,
        _: Arc<TaskContext>,
    ) -> Result<Vec<ShuffleWritePartition>> {
        self.running.send(task_id).unwrap();
        self.release.acquire().await.unwrap().forget();
        Ok(vec![])
    }

    fn collect_plan_metrics(&self) -> Vec<MetricsSet> {
        vec![]
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("held")
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("held")
    }
}

struct Nobody;

impl ExecutorEvents for Nobody {
    fn task_started(&self) {}
    fn task_finished(&self, _: &TaskReport) {}
    fn schedulers_changed(&self, _: usize, _: usize) {}
    fn poll_repeated(&self) {}
}

/// An executor of two slots that works for two schedulers.
struct Executor {
    log: Arc<TaskLog>,
    slots: Arc<Semaphore>,
    release: Arc<Semaphore>,
    running: mpsc::UnboundedSender<usize>,
    files: Arc<JobFiles>,
}

impl Executor {
    fn new() -> (Self, mpsc::UnboundedReceiver<usize>) {
        let (running, said) = mpsc::unbounded_channel();
        let executor = Self {
            log: Arc::new(TaskLog::new(Arc::new(Nobody), 2)),
            slots: Arc::new(Semaphore::new(2)),
            release: Arc::new(Semaphore::new(0)),
            running,
            files: JobFiles::new(std::path::Path::new("/never/written")),
        };
        (executor, said)
    }

    fn begin(&self, task_id: usize, wake: &Arc<Notify>) -> tokio::task::JoinHandle<bool> {
        let stage = ReportingStage {
            inner: Arc::new(Held {
                running: self.running.clone(),
                release: self.release.clone(),
            }),
            key: TaskKey {
                job_id: "job".to_owned().into(),
                stage_id: 1,
                task_id,
            },
            cancelled: Arc::default(),
            log: self.log.clone(),
            slots: self.slots.clone(),
            wake: wake.clone(),
            running: Mutex::new(None),
            life: TaskLife::new(self.files.begin("job")),
        };
        let context = Arc::new(TaskContext::default());
        tokio::spawn(async move { stage.execute_query_stage(task_id, context).await.is_ok() })
    }
}

#[tokio::test]
async fn tasks_of_several_schedulers_share_the_slots_and_none_is_lost() {
    let (executor, mut running) = Executor::new();
    let (one, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let tasks: Vec<_> = (0..6)
        .map(|id| executor.begin(id, if id % 2 == 0 { &one } else { &other }))
        .collect();
    let mut begun = vec![running.recv().await.unwrap(), running.recv().await.unwrap()];
    for _ in 0..4 {
        assert_eq!(executor.log.counts().0, 2);
        assert!(running.try_recv().is_err(), "more run than there are slots");
        executor.release.add_permits(1);
        begun.push(running.recv().await.unwrap());
    }
    executor.release.add_permits(2);
    for task in tasks {
        assert!(task.await.unwrap());
    }
    begun.sort_unstable();
    assert_eq!(begun, [0, 1, 2, 3, 4, 5]);
    assert_eq!(executor.log.counts(), (0, 6));
}

#[tokio::test]
async fn a_task_that_is_cancelled_while_it_waits_takes_no_slot() {
    let (executor, mut running) = Executor::new();
    let wake = Arc::new(Notify::new());
    let first = executor.begin(0, &wake);
    let second = executor.begin(1, &wake);
    running.recv().await.unwrap();
    running.recv().await.unwrap();
    let waiting = executor.begin(2, &wake);
    tokio::task::yield_now().await;
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(executor.log.counts(), (2, 0));
    let last = executor.begin(3, &wake);
    executor.release.add_permits(3);
    for task in [first, second, last] {
        assert!(task.await.unwrap());
    }
    assert_eq!(running.recv().await, Some(3));
    assert_eq!(executor.log.counts(), (0, 3));
}

/// A scheduler that was told of no room asks again when there is some, and does not wait out its
/// idle interval.
#[tokio::test]
async fn a_slot_that_becomes_free_on_a_full_executor_wakes_the_poll_loops_of_all_schedulers() {
    let (executor, mut running) = Executor::new();
    let (own, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    executor.log.wake_when_full(&own);
    executor.log.wake_when_full(&other);
    let first = executor.begin(0, &own);
    let second = executor.begin(1, &own);
    running.recv().await.unwrap();
    running.recv().await.unwrap();
    executor.release.add_permits(1);
    other.notified().await;
    own.notified().await;
    assert!(executor.slots.available_permits() > 0);
    // With room left, the end of a task matters to its own scheduler only.
    executor.release.add_permits(1);
    own.notified().await;
    assert!(first.await.unwrap() && second.await.unwrap());
    let woken = futures::FutureExt::now_or_never(other.notified());
    assert!(woken.is_none());
}

/// What an executor tells its composition, in meaning rather than metric names. Must not block.
pub trait ExecutorEvents: Send + Sync + 'static {
    /// A task began to run.
    fn task_started(&self);

    /// A task ended, one way or the other; every start has exactly one end.
    fn task_finished(&self, report: &TaskReport);

    /// This executor works for `connected` schedulers now; `down` more are known.
    fn schedulers_changed(&self, connected: usize, down: usize);

    /// A poll is sent again because its connection broke before the answer was here.
    fn poll_repeated(&self);
}

/// What one task did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskReport {
    /// Whether it ended without its result.
    pub failed: bool,
    /// Bytes of shuffle files that it wrote.
    pub shuffle_write_bytes: u64,
    /// Bytes, decoded, that it read from other executors.
    pub shuffle_read_remote_bytes: u64,
    /// Shuffle partitions that it read from this executor's own disk.
    pub shuffle_read_local_partitions: u64,
}

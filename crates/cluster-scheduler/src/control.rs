//! Control streams: one per executor, heartbeats up, hints and commands down.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cluster_proto::{NodeId, pb};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use pb::scheduler_control_message::Message as Command;

/// The open control streams of this scheduler, by executor.
#[derive(Debug, Default)]
pub(crate) struct ControlStreams {
    next_generation: AtomicU64,
    open: Mutex<HashMap<NodeId, Handle>>,
}

/// The sending end of one executor's stream.
#[derive(Clone, Debug)]
struct Handle {
    generation: u64,
    hint: Arc<Notify>,
    commands: mpsc::Sender<Command>,
    superseded: CancellationToken,
}

/// The receiving end, owned by the task that writes the stream.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Tells this stream from an earlier one of the same executor.
    pub(crate) generation: u64,
    /// Cancelled when a newer stream of the same executor takes over.
    pub(crate) superseded: CancellationToken,
    hint: Arc<Notify>,
    commands: mpsc::Receiver<Command>,
}

impl ControlStreams {
    /// Opens the stream of `id`; an older one of the same executor is ended.
    pub(crate) fn open(&self, id: &NodeId) -> Outbox {
        let generation = self.next_generation.fetch_add(1, Ordering::Relaxed);
        let (sender, commands) = mpsc::channel(COMMAND_QUEUE);
        let handle = Handle {
            generation,
            hint: Arc::new(Notify::new()),
            commands: sender,
            superseded: CancellationToken::new(),
        };
        let outbox = Outbox {
            generation,
            superseded: handle.superseded.clone(),
            hint: handle.hint.clone(),
            commands,
        };
        if let Some(older) = self.lock().insert(id.clone(), handle) {
            older.superseded.cancel();
        }
        outbox
    }

    /// Closes the stream of `id` unless a newer one has taken over, and tells which it was.
    pub(crate) fn close(&self, id: &NodeId, generation: u64) -> Closed {
        let mut open = self.lock();
        if open
            .get(id)
            .is_some_and(|handle| handle.generation == generation)
        {
            open.remove(id);
            Closed::Last
        } else {
            Closed::Replaced
        }
    }

    pub(crate) fn is_open(&self, id: &NodeId) -> bool {
        self.lock().contains_key(id)
    }

    pub(crate) fn any_open(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Hints to every executor that work is waiting. Hints of one executor merge, so this
    /// neither waits nor fails.
    pub(crate) fn poll_now(&self) {
        for handle in self.lock().values() {
            handle.hint.notify_one();
        }
    }

    /// Tells an executor to stop the given tasks of a job that nobody waits for any more.
    ///
    /// A full queue drops the command: the tasks then run to their end and are cleaned up
    /// with their job, which costs time and never a wrong result.
    pub(crate) fn cancel_tasks(&self, id: &NodeId, tasks: Vec<pb::RunningTask>) {
        let handle = self.lock().get(id).cloned();
        let Some(handle) = handle else { return };
        let command = Command::CancelTasks(pb::CancelTasks {
            tasks,
            request_id: String::new(),
        });
        if handle.commands.try_send(command).is_err() {
            tracing::warn!(executor = %id, "cancellation not delivered");
        }
    }

    /// Tells the open stream of `id` from others of it.
    pub(crate) fn generation(&self, id: &NodeId) -> Option<u64> {
        self.lock().get(id).map(|handle| handle.generation)
    }

    /// Asks an executor for its metrics, and gives the stream that it is asked over; `None` where
    /// it takes no command.
    pub(crate) fn request_metrics(&self, id: &NodeId, request_id: &str) -> Option<u64> {
        let handle = self.lock().get(id).cloned()?;
        let command = Command::RequestMetrics(pb::RequestMetrics {
            request_id: request_id.to_owned(),
        });
        handle.commands.try_send(command).ok()?;
        Some(handle.generation)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<NodeId, Handle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the stream that ended was the executor's current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Last,
    Replaced,
}

impl Outbox {
    /// The next thing to send; `None` once the registry dropped this stream.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken from the queue unless it is returned.
    pub(crate) async fn next(&mut self) -> Option<pb::SchedulerControlMessage> {
        let command = tokio::select! {
            biased;
            command = self.commands.recv() => command?,
            () = self.hint.notified() => Command::PollNow(pb::PollNow {
                reason: "work available".to_owned(),
            }),
        };
        Some(pb::SchedulerControlMessage {
            message: Some(command),
        })
    }
}

/// Commands that may wait for one slow executor before further ones are dropped.
const COMMAND_QUEUE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn executor() -> NodeId {
        "executor1:50052".parse().unwrap()
    }

    #[tokio::test]
    async fn hints_merge_and_arrive() {
        let streams = ControlStreams::default();
        let mut outbox = streams.open(&executor());
        for _ in 0..100 {
            streams.poll_now();
        }
        let first = outbox.next().await.unwrap();
        assert!(matches!(first.message, Some(Command::PollNow(_))));
        streams.cancel_tasks(&executor(), vec![]);
        let second = outbox.next().await.unwrap();
        assert!(
            matches!(second.message, Some(Command::CancelTasks(_))),
            "{second:?}"
        );
    }

    #[tokio::test]
    async fn a_newer_stream_takes_over_and_the_older_ones_end_changes_nothing() {
        let streams = ControlStreams::default();
        let older = streams.open(&executor());
        let newer = streams.open(&executor());
        assert!(older.superseded.is_cancelled());
        assert_eq!(
            streams.close(&executor(), older.generation),
            Closed::Replaced
        );
        assert!(streams.is_open(&executor()));
        assert_eq!(streams.close(&executor(), newer.generation), Closed::Last);
        assert!(!streams.is_open(&executor()));
    }
}

//! What one run of an executor is to be told, over however many streams that takes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use cluster_proto::{ExecutorRun, pb};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::ledger::{Command, Ended, Ledger};
use pb::scheduler_control_message::Message;

/// Keeps commands and hints until a stream takes them.
#[derive(Debug)]
pub(super) struct Mailbox {
    pub(super) run: ExecutorRun,
    contents: Mutex<Contents>,
}

#[derive(Debug, Default)]
struct Contents {
    ledger: Ledger,
    /// The definition that the run has opened last.
    opened: Option<String>,
    /// Whether there is work to poll for. Hints merge, and go with the stream.
    hint: bool,
    /// The id of the question for metrics that waits to be sent. It goes with the stream, too.
    question: Option<String>,
    stream: Option<OpenStream>,
}

#[derive(Debug)]
struct OpenStream {
    generation: u64,
    wake: Arc<Notify>,
    superseded: CancellationToken,
}

/// The receiving end, owned by the task that writes the stream.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Tells this stream from an earlier one of the same executor.
    pub(crate) generation: u64,
    /// Cancelled when a newer stream of the same executor takes over.
    pub(crate) superseded: CancellationToken,
    mailbox: Arc<Mailbox>,
    wake: Arc<Notify>,
}

impl Mailbox {
    pub(super) fn new(run: ExecutorRun) -> Arc<Self> {
        Arc::new(Self {
            run,
            contents: Mutex::default(),
        })
    }

    /// Hands the contents to a new stream, which takes over from the one before: what was not
    /// acknowledged is sent again.
    pub(super) fn open(self: &Arc<Self>, generation: u64) -> Outbox {
        let outbox = Outbox {
            generation,
            superseded: CancellationToken::new(),
            mailbox: Arc::clone(self),
            wake: Arc::default(),
        };
        let stream = OpenStream {
            generation,
            wake: outbox.wake.clone(),
            superseded: outbox.superseded.clone(),
        };
        let mut contents = self.lock();
        contents.hint = false;
        contents.question = None;
        if let Some(older) = contents.stream.replace(stream) {
            older.superseded.cancel();
        }
        outbox
    }

    /// Notes the end of a stream, and tells whether it was the current one.
    pub(super) fn close(&self, generation: u64) -> Closed {
        let mut contents = self.lock();
        let current = contents.stream.as_ref();
        if current.is_some_and(|stream| stream.generation == generation) {
            contents.stream = None;
            Closed::Last
        } else {
            Closed::Replaced
        }
    }

    /// Ends whatever stream there is: another run has taken the executor's place.
    pub(super) fn supersede(&self) {
        if let Some(stream) = self.lock().stream.take() {
            stream.superseded.cancel();
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().stream.is_some()
    }

    pub(super) fn generation(&self) -> Option<u64> {
        self.lock().stream.as_ref().map(|stream| stream.generation)
    }

    /// Asks for metrics over the stream that is open, and tells which that is.
    pub(super) fn question(&self, request_id: &str) -> Option<u64> {
        let mut contents = self.lock();
        let generation = contents.stream.as_ref()?.generation;
        contents.question = Some(request_id.to_owned());
        contents.wake();
        Some(generation)
    }

    pub(super) fn hint(&self) {
        let mut contents = self.lock();
        contents.hint = contents.stream.is_some();
        contents.wake();
    }

    pub(super) fn add(&self, command: Command) -> Vec<Ended> {
        let mut contents = self.lock();
        let ended = contents.ledger.add(command, Instant::now());
        contents.wake();
        ended
    }

    /// Adds the definition `digest`, unless the run has it or was told already.
    pub(super) fn offer(&self, digest: &str) -> Vec<Ended> {
        let mut contents = self.lock();
        if contents.opened.as_deref() == Some(digest) || contents.ledger.offers(digest) {
            return vec![];
        }
        let command = Command::AppChanged(digest.to_owned());
        let ended = contents.ledger.add(command, Instant::now());
        contents.wake();
        ended
    }

    /// Takes in an acknowledgement; `outcome` is whether the command was carried out.
    pub(super) fn acknowledge(&self, request_id: &str, outcome: Result<(), &str>) -> Option<Ended> {
        let mut contents = self.lock();
        let ended = contents.ledger.acknowledge(request_id, Instant::now())?;
        if let (Command::AppChanged(digest), Ok(())) = (&ended.command, outcome) {
            contents.opened = Some(digest.clone());
        }
        Some(ended)
    }

    pub(super) fn expire(&self) -> Vec<Ended> {
        self.lock().ledger.expire(Instant::now())
    }

    /// The next thing to send on the stream `generation`; commands go before hints.
    fn take(&self, generation: u64) -> Option<Message> {
        let mut contents = self.lock();
        let current = contents.stream.as_ref()?;
        if current.generation != generation {
            return None;
        }
        if let Some(command) = contents.ledger.unsent_on(generation) {
            return Some(command);
        }
        if let Some(request_id) = contents.question.take() {
            return Some(Message::RequestMetrics(pb::RequestMetrics { request_id }));
        }
        std::mem::take(&mut contents.hint).then(|| {
            let reason = "work available".to_owned();
            Message::PollNow(pb::PollNow { reason })
        })
    }

    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn wake(&self) {
        if let Some(stream) = &self.stream {
            stream.wake.notify_one();
        }
    }
}

/// Whether the stream that ended was the executor's current one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closed {
    Last,
    Replaced,
}

impl Outbox {
    /// The next thing to send, as soon as there is one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken unless it is returned.
    pub(crate) async fn next(&mut self) -> pb::SchedulerControlMessage {
        loop {
            if let Some(message) = self.mailbox.take(self.generation) {
                return pb::SchedulerControlMessage {
                    message: Some(message),
                };
            }
            self.wake.notified().await;
        }
    }
}

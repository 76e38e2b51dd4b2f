//! Control streams: one per executor, heartbeats and acknowledgements up, hints and commands down.
//!
//! A command that must arrive is kept for the run of the executor that it was given to, over
//! reconnects, until that run acknowledges it or it is given up. A hint is not.

mod ledger;
mod mailbox;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cluster_proto::{ExecutorRun, NodeId, pb};

use crate::events::SchedulerEvents;
use ledger::{Command, Ended};
use mailbox::Mailbox;

pub(crate) use mailbox::{Closed, Outbox};

/// What the executors of this scheduler are to be told.
pub(crate) struct ControlStreams {
    events: Arc<dyn SchedulerEvents>,
    state: Mutex<State>,
}

struct State {
    /// Of the definition that every executor should have open.
    app_digest: String,
    next_generation: u64,
    mailboxes: HashMap<NodeId, Arc<Mailbox>>,
}

/// What an executor acknowledged.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acknowledged {
    /// The definition with this digest.
    App(String),
    /// The end of tasks.
    Cancellation,
    /// Nothing that was asked of it, or not any more.
    Nothing,
}

impl ControlStreams {
    /// Streams whose executors are to open the application with this digest.
    pub(crate) fn new(events: Arc<dyn SchedulerEvents>, app_digest: &str) -> Self {
        Self {
            events,
            state: Mutex::new(State {
                app_digest: app_digest.to_owned(),
                next_generation: 0,
                mailboxes: HashMap::new(),
            }),
        }
    }

    /// Opens a stream of `run`; an older one of the same executor is ended. What the run has not
    /// acknowledged is sent again, and it is told which definition is the current one.
    pub(crate) fn open(&self, run: &ExecutorRun) -> Outbox {
        let mut state = self.lock();
        let generation = state.next_generation;
        state.next_generation += 1;
        let known = state.mailboxes.get(run.node()).cloned();
        let mailbox = match known {
            Some(mailbox) if mailbox.run == *run => mailbox,
            earlier => {
                // What was asked of the run before is not for this one.
                if let Some(earlier) = earlier {
                    earlier.supersede();
                }
                let mailbox = Mailbox::new(run.clone());
                state.mailboxes.insert(run.node().clone(), mailbox.clone());
                mailbox
            }
        };
        let outbox = mailbox.open(generation);
        let ended = mailbox.offer(&state.app_digest);
        drop(state);
        self.tell(run.node(), ended);
        outbox
    }

    /// Closes the stream of `run` unless a newer one has taken over, and tells which it was.
    pub(crate) fn close(&self, run: &ExecutorRun, generation: u64) -> Closed {
        let mailbox = self.mailbox(run.node());
        let mailbox = mailbox.filter(|mailbox| mailbox.run == *run);
        mailbox.map_or(Closed::Replaced, |mailbox| mailbox.close(generation))
    }

    /// Drops what a run that left was to be told.
    pub(crate) fn forget(&self, run: &ExecutorRun) {
        let mut state = self.lock();
        let mailbox = state.mailboxes.get(run.node());
        if mailbox.is_some_and(|mailbox| mailbox.run == *run && !mailbox.is_open()) {
            state.mailboxes.remove(run.node());
        }
    }

    pub(crate) fn is_open(&self, id: &NodeId) -> bool {
        self.mailbox(id).is_some_and(|mailbox| mailbox.is_open())
    }

    pub(crate) fn any_open(&self) -> bool {
        let state = self.lock();
        state.mailboxes.values().any(|mailbox| mailbox.is_open())
    }

    /// Whether there is an executor that has not left, be its stream open or about to be.
    pub(crate) fn any_expected(&self) -> bool {
        !self.lock().mailboxes.is_empty()
    }

    /// Hints to every executor that work is waiting. Hints of one executor merge, so this
    /// neither waits nor fails.
    pub(crate) fn poll_now(&self) {
        for mailbox in self.lock().mailboxes.values() {
            mailbox.hint();
        }
    }

    /// Tells the open stream of `id` from others of it.
    pub(crate) fn generation(&self, id: &NodeId) -> Option<u64> {
        self.mailbox(id)?.generation()
    }

    /// Asks an executor for its metrics, and gives the stream that it is asked over; `None` where
    /// there is none.
    pub(crate) fn request_metrics(&self, id: &NodeId, request_id: &str) -> Option<u64> {
        self.mailbox(id)?.question(request_id)
    }

    /// Tells every executor to open the application with this digest, those that connect later
    /// included.
    pub(crate) fn app_changed(&self, digest: &str) {
        let mut state = self.lock();
        digest.clone_into(&mut state.app_digest);
        let told = state.mailboxes.iter();
        let ended: Vec<_> = told
            .map(|(id, mailbox)| (id.clone(), mailbox.offer(digest)))
            .collect();
        drop(state);
        for (id, ended) in ended {
            self.tell(&id, ended);
        }
    }

    /// Tells an executor to stop the given tasks of a job that nobody waits for any more.
    pub(crate) fn cancel_tasks(&self, run: &ExecutorRun, tasks: Vec<pb::RunningTask>) {
        // A run that is gone took its tasks along.
        let mailbox = self.mailbox(run.node());
        if let Some(mailbox) = mailbox.filter(|mailbox| mailbox.run == *run) {
            let ended = mailbox.add(Command::CancelTasks(tasks));
            self.tell(run.node(), ended);
        }
    }

    /// Takes in an acknowledgement of `id`, with the error that it met if it met one.
    pub(crate) fn acknowledge(
        &self,
        id: &NodeId,
        request_id: &str,
        outcome: Result<(), &str>,
    ) -> Acknowledged {
        let mailbox = self.mailbox(id);
        let ended = mailbox.and_then(|mailbox| mailbox.acknowledge(request_id, outcome));
        let Some(ended) = ended else {
            self.events.acknowledgement_ignored(id);
            return Acknowledged::Nothing;
        };
        let kind = ended.command.kind();
        match outcome {
            Ok(()) => self.events.command_ended(id, kind, ended.end),
            Err(error) => self.events.command_failed(id, kind, error),
        }
        match ended.command {
            Command::AppChanged(digest) => Acknowledged::App(digest),
            Command::CancelTasks(_) => Acknowledged::Cancellation,
        }
    }

    /// Gives up what `id` has not acknowledged in time.
    pub(crate) fn expire(&self, id: &NodeId) {
        if let Some(mailbox) = self.mailbox(id) {
            let ended = mailbox.expire();
            self.tell(id, ended);
        }
    }

    fn tell(&self, id: &NodeId, ended: Vec<Ended>) {
        for Ended { command, end } in ended {
            self.events.command_ended(id, command.kind(), end);
        }
    }

    fn mailbox(&self, id: &NodeId) -> Option<Arc<Mailbox>> {
        self.lock().mailboxes.get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
pub(crate) mod tests;

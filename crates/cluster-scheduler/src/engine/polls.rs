//! Remembering the last poll of an executor, so that one that is sent again is not done again.
//!
//! The answer to a poll is more than a text: it hands out tasks, which then count as running. If
//! it is lost on the way, the executor sends the same poll again, under the number that it had,
//! and gets the same answer. What it asks for is done apart from the call: a call ends with its
//! connection, and half of a poll would be tasks that were taken and never handed out.

use std::fmt::Debug;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster_proto::ExecutorRun;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::status::Refused;

/// The last numbered poll of one executor run, with its answer.
#[derive(Debug)]
pub(crate) struct PollMemory<A> {
    run: ExecutorRun,
    last: Mutex<Option<Last<A>>>,
}

#[derive(Debug)]
struct Last<A> {
    number: u64,
    answer: watch::Receiver<Option<A>>,
}

/// What a number means to whoever sends it.
enum Turn<A> {
    /// It is new, and the answer goes here.
    New(watch::Sender<Option<A>>),
    /// It is the last one, whose answer comes or has come here.
    Again(watch::Receiver<Option<A>>),
}

/// A number that has no turn now.
enum NoTurn<A> {
    /// The one before is not done yet.
    Early(watch::Receiver<Option<A>>),
    /// There was a later one.
    Old,
}

impl<A: Clone + Debug + Send + Sync + 'static> PollMemory<A> {
    pub(crate) fn new(run: ExecutorRun) -> Self {
        Self {
            run,
            last: Mutex::new(None),
        }
    }

    pub(crate) fn run(&self) -> &ExecutorRun {
        &self.run
    }

    /// Gives the answer to poll `number`, by doing `work` on `tasks` unless that has begun before.
    /// Of one run there is never more than one poll being done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future gives up the wait for the answer. The work goes on, and whoever sends
    /// the number again gets its answer.
    pub(crate) async fn once(
        &self,
        number: u64,
        tasks: &TaskTracker,
        work: impl Future<Output = A> + Send + 'static,
    ) -> Result<A, Refused> {
        self.once_within(ANSWER_LIMIT, number, tasks, work).await
    }

    async fn once_within(
        &self,
        limit: Duration,
        number: u64,
        tasks: &TaskTracker,
        work: impl Future<Output = A> + Send + 'static,
    ) -> Result<A, Refused> {
        let answered = async {
            let mut answer = match self.turn_of(number).await? {
                Turn::New(sender) => {
                    let answer = sender.subscribe();
                    tasks.spawn(async move { sender.send_replace(Some(work.await)) });
                    answer
                }
                Turn::Again(answer) => answer,
            };
            let answer = answer.wait_for(Option::is_some).await;
            // Its sender is gone only when the work ended in a panic.
            let answer = answer.ok().and_then(|answer| answer.clone());
            answer.ok_or(Refused::PollFailed)
        };
        let answered = timeout(limit, answered).await;
        answered.unwrap_or(Err(Refused::PollUnderWay))
    }

    /// Waits until no earlier poll is being done.
    async fn turn_of(&self, number: u64) -> Result<Turn<A>, Refused> {
        loop {
            match self.turn(number) {
                Ok(turn) => return Ok(turn),
                Err(NoTurn::Old) => return Err(Refused::OldPoll),
                Err(NoTurn::Early(mut earlier)) => {
                    // However it ended, it has.
                    let _ = earlier.wait_for(Option::is_some).await;
                }
            }
        }
    }

    fn turn(&self, number: u64) -> Result<Turn<A>, NoTurn<A>> {
        let mut last = self.lock();
        if let Some(last) = last.as_ref() {
            if number == last.number {
                return Ok(Turn::Again(last.answer.clone()));
            }
            if number < last.number {
                return Err(NoTurn::Old);
            }
            let done = last.answer.borrow().is_some() || last.answer.has_changed().is_err();
            if !done {
                return Err(NoTurn::Early(last.answer.clone()));
            }
        }
        let (sender, answer) = watch::channel(None);
        *last = Some(Last { number, answer });
        Ok(Turn::New(sender))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last<A>>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A poll takes milliseconds. Who waits longer for one is told so before its own patience ends.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;

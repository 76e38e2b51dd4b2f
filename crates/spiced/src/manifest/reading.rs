//! Reading a file that may never be there: a file system that hangs holds one thread, no more.

use std::time::Duration;

use spicepod::LoadError;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

use super::adoption::ManifestFault;

/// Reads on a thread that may block (I10), once at a time.
#[derive(Debug)]
pub(super) struct Reading<T> {
    limit: Duration,
    /// What nobody waits for any more, and is still read.
    under_way: Option<JoinHandle<Result<T, LoadError>>>,
}

impl<T: Send + 'static> Reading<T> {
    pub(super) fn within(limit: Duration) -> Self {
        Self {
            limit,
            under_way: None,
        }
    }

    /// What `read` reads; or, where an earlier one is still under way, what that one did.
    pub(super) async fn read(
        &mut self,
        read: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
    ) -> Result<T, ManifestFault> {
        let under_way = self.under_way.take();
        let mut reading = under_way.unwrap_or_else(|| spawn_blocking(read));
        match timeout(self.limit, &mut reading).await {
            Ok(done) => joined(done).await,
            Err(_) => {
                self.under_way = Some(reading);
                Err(ManifestFault::Silent { after: self.limit })
            }
        }
    }
}

/// Runs `work` on a thread that may block and comes to an end.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, ManifestFault> {
    joined(spawn_blocking(work).await).await
}

/// A panic goes on here; a runtime that shuts down ends everything, and this is only one more
/// thing that does not come back.
async fn joined<T>(
    done: Result<Result<T, LoadError>, tokio::task::JoinError>,
) -> Result<T, ManifestFault> {
    match done {
        Ok(done) => done.map_err(ManifestFault::Load),
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_answers_is_read() {
        let mut reading = Reading::within(Duration::from_secs(10));
        for number in 0..3 {
            assert_eq!(reading.read(move || Ok(number)).await.unwrap(), number);
        }
    }

    #[tokio::test]
    async fn what_hangs_is_told_within_the_limit_and_holds_one_thread_until_it_answers() {
        let mut reading = Reading::within(LIMIT);
        let (answer, hanging) = channel();
        let (began, begun) = channel();
        let hang = move || {
            began.send(()).ok();
            Ok(hanging.recv().unwrap_or_default())
        };
        let silent = reading.read(hang).await.unwrap_err();
        assert_eq!(silent.code(), "silent");
        begun.recv().unwrap();
        for _ in 0..3 {
            // No second one begins while the first is under way.
            let second = reading.read(|| panic!("a second read")).await;
            assert_eq!(second.unwrap_err().code(), "silent");
        }
        answer.send("late").unwrap();
        reading.limit = Duration::from_secs(10);
        let late = reading.read(|| panic!("a second read")).await;
        assert_eq!(late.unwrap(), "late");
        assert_eq!(reading.read(|| Ok("new")).await.unwrap(), "new");
    }
}

//! The switch that ends a connection from outside of the task that uses it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

use tokio::sync::watch;

use super::CloseCause;

/// Which direction of a stream waits. The two may be used by two tasks, and both must wake.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Half {
    Read,
    Write,
}

/// The sign that a connection should come to its end.
#[derive(Clone, Debug)]
pub(crate) struct Draining(Option<watch::Receiver<bool>>);

impl Draining {
    /// Of a connection that nobody looks after.
    #[cfg(feature = "tonic")]
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// Ends when draining begins, or when the connection is gone.
    pub(crate) async fn begun(self) {
        match self.0 {
            // Without a sender there is nothing left to drain.
            Some(mut draining) => drop(draining.wait_for(|draining| *draining).await),
            None => std::future::pending().await,
        }
    }
}

/// Open, draining, closed: in this order and never back.
#[derive(Debug)]
pub(super) struct Closing {
    /// What asked to finish.
    drained: OnceLock<CloseCause>,
    /// What cut.
    cause: OnceLock<CloseCause>,
    closed: AtomicBool,
    draining: watch::Sender<bool>,
    wakers: Mutex<[Option<Waker>; 2]>,
}

impl Closing {
    pub(super) fn new() -> Self {
        Self {
            drained: OnceLock::new(),
            cause: OnceLock::new(),
            closed: AtomicBool::new(false),
            draining: watch::Sender::new(false),
            wakers: Mutex::default(),
        }
    }

    /// Asks the user of the connection to finish; `cause` is what will close it, if nothing worse
    /// comes first.
    pub(super) fn drain(&self, cause: CloseCause) {
        let _ = self.drained.set(cause);
        self.draining.send_replace(true);
    }

    /// Fails all further I/O and wakes whoever waits for some. The first cut stands.
    pub(super) fn close(&self, cause: CloseCause) {
        let _ = self.cause.set(cause);
        self.closed.store(true, Ordering::Release);
        self.draining.send_replace(true);
        let wakers = std::mem::take(&mut *self.lock());
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    pub(super) fn draining(&self) -> Draining {
        Draining(Some(self.draining.subscribe()))
    }

    /// Why the connection is draining or closed, if it is.
    pub(super) fn cause(&self) -> Option<CloseCause> {
        self.cause.get().or_else(|| self.drained.get()).copied()
    }

    /// Whether the connection was cut: one atomic load, as it is asked at each read and write.
    pub(super) fn cut(&self) -> Option<CloseCause> {
        self.closed
            .load(Ordering::Acquire)
            .then(|| self.cause().unwrap_or(CloseCause::Requested))
    }

    /// Remembers whom to wake, and asks again: the cut may have come in between.
    pub(super) fn cut_or_wake(&self, half: Half, cx: &Context<'_>) -> Option<CloseCause> {
        let slot = half as usize;
        {
            let mut wakers = self.lock();
            match &wakers[slot] {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => wakers[slot] = Some(cx.waker().clone()),
            }
        }
        self.cut()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Option<Waker>; 2]> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

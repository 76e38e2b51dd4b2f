//! The runtime that new queries are planned with, which changes while older ones still run.

use std::sync::Arc;

use tokio::sync::watch;

use crate::runtime::Runtime;

/// Splits `runtime` into the one end that replaces it and the many that read it.
#[must_use]
pub fn publish(runtime: Arc<Runtime>) -> (RuntimeWriter, CurrentRuntime) {
    let (sender, receiver) = watch::channel(runtime);
    (RuntimeWriter { sender }, CurrentRuntime { receiver })
}

/// Reads the runtime of this moment. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct CurrentRuntime {
    receiver: watch::Receiver<Arc<Runtime>>,
}

impl CurrentRuntime {
    /// The runtime as it is now. Whoever plans a query keeps what it got until the query ends, so
    /// that a change in between does not show within one answer.
    #[must_use]
    pub fn now(&self) -> Arc<Runtime> {
        Arc::clone(&self.receiver.borrow())
    }
}

impl From<Arc<Runtime>> for CurrentRuntime {
    /// One that stays the same for ever.
    fn from(runtime: Arc<Runtime>) -> Self {
        publish(runtime).1
    }
}

/// Replaces what the readers see.
#[derive(Debug)]
pub struct RuntimeWriter {
    sender: watch::Sender<Arc<Runtime>>,
}

impl RuntimeWriter {
    /// Puts `runtime` in the place of the one before, for every query that is planned from now on.
    pub fn replace(&self, runtime: Arc<Runtime>) {
        self.sender.send_replace(runtime);
    }
}

//! The current snapshot: one writer, any number of readers.

use std::sync::Arc;

use tokio::sync::watch;

use crate::snapshot::Snapshot;

/// Makes a snapshot the current one and hands out the two ends: who may change it, who reads it.
///
/// # Examples
///
/// ```no_run
/// # fn example(first: cluster_tls::Snapshot, second: cluster_tls::Snapshot) {
/// let (mut writer, credentials) = cluster_tls::publish(first);
/// assert_eq!(credentials.current().generation(), 1);
/// assert_eq!(writer.swap(second), 2);
/// assert_eq!(credentials.current().generation(), 2);
/// # }
/// ```
#[must_use]
pub fn publish(initial: Snapshot) -> (CredentialsWriter, Credentials) {
    let first = Arc::new(initial.at_generation(FIRST_GENERATION));
    let (sender, receiver) = watch::channel(first);
    let writer = CredentialsWriter {
        sender,
        generation: FIRST_GENERATION,
    };
    (writer, Credentials { receiver })
}

/// The only place from which the current snapshot can be changed.
#[derive(Debug)]
pub struct CredentialsWriter {
    sender: watch::Sender<Arc<Snapshot>>,
    generation: u64,
}

impl CredentialsWriter {
    /// Replaces the current snapshot as a whole and returns the generation of the new one.
    ///
    /// Connections accepted or dialled from now on use it; those that exist are not touched.
    pub fn swap(&mut self, next: Snapshot) -> u64 {
        self.generation += 1;
        let next = Arc::new(next.at_generation(self.generation));
        self.sender.send_replace(next);
        self.generation
    }
}

/// Read access to the current snapshot; cheap to clone.
///
/// It outlives the writer: without one the last snapshot stays current.
#[derive(Clone, Debug)]
pub struct Credentials {
    receiver: watch::Receiver<Arc<Snapshot>>,
}

impl Credentials {
    /// The snapshot of this moment. Take it once per connection and use nothing else for it.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.receiver.borrow())
    }
}

const FIRST_GENERATION: u64 = 1;

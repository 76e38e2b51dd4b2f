//! The current snapshot: one writer, any number of readers.

use std::sync::Arc;

use tokio::sync::watch;

use crate::connections::{Connections, Registry};
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
    let first = Arc::new(initial.at_generation(FIRST_GENERATION, FIRST_GENERATION));
    let (sender, receiver) = watch::channel(first);
    let writer = CredentialsWriter {
        sender,
        generation: FIRST_GENERATION,
    };
    let credentials = Credentials {
        receiver,
        registry: Arc::new(Registry::new()),
    };
    (writer, credentials)
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
    /// Connections accepted or dialled from now on use it. Those that live are verified again
    /// beside their work, and cut where the new snapshot does not believe their peer.
    pub fn swap(&mut self, next: Snapshot) -> u64 {
        self.generation += 1;
        let current = self.current();
        let identity = if current.own().fingerprint() == next.own().fingerprint() {
            current.identity_generation()
        } else {
            self.generation
        };
        let next = Arc::new(next.at_generation(self.generation, identity));
        self.sender.send_replace(next);
        self.generation
    }

    pub(crate) fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.sender.borrow())
    }
}

/// Read access to the current snapshot; cheap to clone.
///
/// It outlives the writer: without one the last snapshot stays current.
#[derive(Clone, Debug)]
pub struct Credentials {
    receiver: watch::Receiver<Arc<Snapshot>>,
    registry: Arc<Registry>,
}

impl Credentials {
    /// The snapshot of this moment. Take it once per connection and use nothing else for it.
    #[must_use]
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.receiver.borrow())
    }

    /// The live connections that were accepted or dialled with these credentials.
    #[must_use]
    pub fn connections(&self) -> Connections {
        Connections::new(Arc::downgrade(&self.registry))
    }

    /// Ends when the current snapshot is no longer the one of `generation`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn changed_from(&self, generation: u64) {
        let mut receiver = self.receiver.clone();
        let newer = receiver.wait_for(|snapshot| snapshot.generation() != generation);
        if newer.await.is_err() {
            // Without a writer the snapshot stays for ever.
            std::future::pending::<()>().await;
        }
    }

    /// The same for our own certificate: ends when another one is shown to peers, and not when
    /// roots or revocations change.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost when the future is dropped.
    pub async fn identity_changed_from(&self, generation: u64) {
        let mut receiver = self.receiver.clone();
        let newer = receiver.wait_for(|snapshot| snapshot.identity_generation() != generation);
        if newer.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// The snapshots without the connections, for the task that the connections own.
    pub(crate) fn detached(&self) -> Snapshots {
        Snapshots {
            receiver: self.receiver.clone(),
        }
    }
}

/// The snapshots alone.
pub(crate) struct Snapshots {
    receiver: watch::Receiver<Arc<Snapshot>>,
}

impl Snapshots {
    /// The newest one, which is then no longer news.
    pub(crate) fn current(&mut self) -> Arc<Snapshot> {
        Arc::clone(&self.receiver.borrow_and_update())
    }

    /// Ends when there is a newer one.
    pub(crate) async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

const FIRST_GENERATION: u64 = 1;

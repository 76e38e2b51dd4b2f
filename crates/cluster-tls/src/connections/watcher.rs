//! The task that ends connections when their time has come.

use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::recheck;
use super::registry::Registry;
use crate::credentials::Credentials;
use crate::snapshot::Snapshot;

/// The task; it ends with this handle, which its registry holds.
pub(super) struct Watcher(AbortHandle);

impl Watcher {
    pub(super) fn spawn(registry: &Arc<Registry>, credentials: &Credentials) -> Self {
        let watching = watch(Arc::downgrade(registry), credentials.detached());
        Self(tokio::spawn(watching).abort_handle())
    }

    /// The runtime it ran on may be gone, and the credentials used on another one since.
    pub(super) fn has_ended(&self) -> bool {
        self.0.is_finished()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Holds the registry only while it works, so that it is no reason for it to live on.
async fn watch(registry: Weak<Registry>, mut snapshots: crate::credentials::Snapshots) {
    // Connections made before this task first ran may be of an earlier generation.
    let mut verified = 0;
    let mut looked = SystemTime::UNIX_EPOCH;
    loop {
        let Some(live) = registry.upgrade() else {
            return;
        };
        let current = snapshots.current();
        let verifier = current.verifier();
        if current.generation() != verified || verifier.has_root_ended_since(looked) {
            verified = current.generation();
            recheck(&live, Arc::clone(&current)).await;
        }
        looked = verifier.now();
        let next = live.sweep(Instant::now(), looked);
        let changes = live.changes();
        drop(live);
        let latest = Instant::now() + SWEEP_INTERVAL;
        let wake_at = next.map_or(latest, |next| next.min(latest));
        tokio::select! {
            () = snapshots.changed() => {}
            () = changes.notified() => {}
            () = sleep_until(wake_at) => {}
        }
    }
}

async fn recheck(registry: &Arc<Registry>, snapshot: Arc<Snapshot>) {
    let entries = registry.entries();
    if entries.is_empty() {
        return;
    }
    // A panic in there is a bug of ours, and must not leave revoked peers connected: the task
    // ends, and the next connection starts it anew.
    if let Err(error) = spawn_blocking(move || recheck::verify_all(&entries, &snapshot)).await
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

/// How late a jump of the wall clock is noticed.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

//! Who is connected now.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Context;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::closing::{Closing, Draining, Half};
use super::lifetime::{End, Lifetime};
use super::watcher::{SWEEP_INTERVAL, Watcher};
use super::{CloseCause, recheck};
use crate::credentials::Credentials;
use crate::event::{ClosedEvent, Events, Side};
use crate::identity::PeerIdentity;
use crate::refusal::{Refusal, RefusalReason};
use crate::role::Role;

/// The live connections of one set of credentials.
pub(crate) struct Registry {
    entries: Mutex<HashMap<u64, Arc<Entry>>>,
    next: AtomicU64,
    /// Woken by a connection that ends sooner than the next look at all of them.
    changed: Arc<Notify>,
    watcher: Mutex<Option<Watcher>>,
}

/// What a finished handshake brings.
pub(crate) struct Admission {
    pub(crate) side: Side,
    pub(crate) remote: SocketAddr,
    pub(crate) peer: Arc<PeerIdentity>,
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) lifetime: Lifetime,
    pub(crate) connections_per_peer: usize,
    pub(crate) events: Arc<dyn Events>,
}

/// One live connection.
pub(super) struct Entry {
    pub(super) admission: Admission,
    pub(super) started: Instant,
    closing: Closing,
    /// When it is closed because its peer is no longer believed.
    dismissed: OnceLock<Instant>,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            entries: Mutex::default(),
            next: AtomicU64::new(0),
            changed: Arc::default(),
            watcher: Mutex::default(),
        }
    }

    /// Enters a connection whose handshake has just succeeded under `credentials`.
    ///
    /// The credentials may have changed while it was under way. Whoever enters first and looks at
    /// the current snapshot then cannot be missed: the change either finds the entry, or is seen
    /// here.
    ///
    /// # Errors
    ///
    /// Fails if the peer has too many connections, or if the newest snapshot does not believe it.
    pub(crate) fn enter(
        self: &Arc<Self>,
        admission: Admission,
        credentials: &Credentials,
    ) -> Result<Live, Refusal> {
        let verified_under = admission.peer.generation();
        let entry = Arc::new(Entry {
            admission,
            started: Instant::now(),
            closing: Closing::new(),
            dismissed: OnceLock::new(),
        });
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.insert(id, &entry)?;
        self.watch(credentials);
        if entry.admission.lifetime.drain_after < SWEEP_INTERVAL {
            self.changed.notify_one();
        }
        let current = credentials.current();
        if current.generation() != verified_under
            && let Err(refusal) = recheck::verify(&entry, &current)
        {
            // It never was a connection: nobody is told that one has ended.
            self.lock().remove(&id);
            return Err(refusal);
        }
        Ok(Live {
            id,
            entry,
            registry: Arc::clone(self),
        })
    }

    fn insert(&self, id: u64, entry: &Arc<Entry>) -> Result<(), Refusal> {
        let (limit, peer) = (
            entry.admission.connections_per_peer,
            entry.admission.peer.fingerprint(),
        );
        let mut entries = self.lock();
        // Counting looks at all entries, and only where a peer could have so many.
        if entries.len() >= limit {
            // What this node dials itself takes none of the places that its peer may fill.
            let own = |other: &&Arc<Entry>| {
                other.admission.side == entry.admission.side
                    && other.admission.peer.fingerprint() == peer
            };
            let count = entries.values().filter(own).count();
            if count >= limit {
                return Err(Refusal::new(
                    RefusalReason::TooManyConnections,
                    format!("the peer has {count} live connections already"),
                ));
            }
        }
        entries.insert(id, Arc::clone(entry));
        Ok(())
    }

    /// The watcher runs on the runtime of the first connection, and ends with the registry.
    fn watch(self: &Arc<Self>, credentials: &Credentials) {
        let mut watcher = self.watcher.lock().unwrap_or_else(PoisonError::into_inner);
        if watcher.as_ref().is_none_or(Watcher::has_ended) {
            *watcher = Some(Watcher::spawn(self, credentials));
        }
    }

    pub(super) fn changes(&self) -> Arc<Notify> {
        Arc::clone(&self.changed)
    }

    pub(super) fn entries(&self) -> Vec<Arc<Entry>> {
        self.lock().values().cloned().collect()
    }

    /// Drains and closes what has come to its end, and tells when the next one does.
    pub(super) fn sweep(&self, now: Instant, wall: SystemTime) -> Option<Instant> {
        let entries = self.entries();
        entries
            .iter()
            .filter_map(|entry| entry.age(now, wall))
            .min()
    }

    pub(super) fn count(&self, side: Side, role: Role) -> usize {
        let matching = |entry: &&Arc<Entry>| {
            entry.admission.side == side && entry.admission.peer.role() == role
        };
        self.lock().values().filter(matching).count()
    }

    pub(super) fn total(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn close(&self, fingerprint: &str) -> usize {
        let mut entries = self.entries();
        entries.retain(|entry| entry.admission.peer.fingerprint() == fingerprint);
        for entry in &entries {
            entry.close(CloseCause::Requested);
        }
        entries.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Registry {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("total", &self.total())
            .finish_non_exhaustive()
    }
}

impl Entry {
    pub(super) fn close(&self, cause: CloseCause) {
        self.closing.close(cause);
    }

    /// Lets the calls that are under way end, lets none begin, and closes it within moments.
    ///
    /// For a peer that nobody accuses: its root was taken out of use, and what it is in the middle
    /// of was begun when it was believed. To cut it off there would lose a call at each rotation.
    pub(super) fn dismiss(&self, cause: CloseCause) {
        if self.dismissed.set(Instant::now() + DISMISSAL_GRACE).is_ok() {
            self.closing.drain(cause);
        }
    }

    /// Does what the connection's age asks for and returns when it asks for more.
    ///
    /// The wall clock has a say of its own: it may jump, or the machine may have slept, and a
    /// certificate that has ended is no longer a reason to talk.
    fn age(&self, now: Instant, wall: SystemTime) -> Option<Instant> {
        let lifetime = &self.admission.lifetime;
        let (drain, close) = (
            self.started + lifetime.drain_after,
            self.started + lifetime.close_after,
        );
        let cause = match lifetime.end {
            End::MaxAge => CloseCause::MaxAge,
            End::Expired => CloseCause::Expired,
        };
        if self.closing.cut().is_some() {
            None
        } else if wall > self.admission.peer.not_after() {
            self.close(CloseCause::Expired);
            None
        } else if let Some(end) = self.dismissed.get() {
            if now >= *end {
                self.close(CloseCause::Untrusted);
                return None;
            }
            Some(*end)
        } else if now >= close {
            self.close(cause);
            None
        } else if now >= drain {
            if !self.closing.is_draining() {
                self.closing.drain(cause);
            }
            Some(close)
        } else {
            Some(drain)
        }
    }
}

/// A connection's place among the live ones; it leaves when this is dropped.
pub(crate) struct Live {
    id: u64,
    entry: Arc<Entry>,
    registry: Arc<Registry>,
}

impl Live {
    pub(crate) fn peer(&self) -> &Arc<PeerIdentity> {
        &self.entry.admission.peer
    }

    pub(crate) fn remote(&self) -> SocketAddr {
        self.entry.admission.remote
    }

    pub(crate) fn cut(&self) -> Option<CloseCause> {
        self.entry.closing.cut()
    }

    pub(crate) fn cut_or_wake(&self, half: Half, cx: &Context<'_>) -> Option<CloseCause> {
        self.entry.closing.cut_or_wake(half, cx)
    }

    pub(crate) fn draining(&self) -> Draining {
        self.entry.closing.draining()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.registry.lock().remove(&self.id);
        let admission = &self.entry.admission;
        let cause = self.entry.closing.cause().unwrap_or(CloseCause::Ended);
        admission.events.closed(&ClosedEvent {
            side: admission.side,
            remote: admission.remote,
            peer: &admission.peer,
            cause,
            age: self.entry.started.elapsed(),
        });
    }
}

impl Debug for Live {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("id", &self.id).finish()
    }
}

/// Longer than any call that is answered from memory; a stranger cannot begin another one.
const DISMISSAL_GRACE: Duration = Duration::from_millis(500);

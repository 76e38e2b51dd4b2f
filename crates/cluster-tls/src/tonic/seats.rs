//! How many calls of one peer are under way.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Denied;
use crate::identity::PeerIdentity;

/// A number of seats for each certificate, and calls that sit on them.
pub(super) struct Seats {
    per_peer: usize,
    /// By fingerprint.
    peers: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl Seats {
    pub(super) fn new(per_peer: usize) -> Self {
        Self {
            per_peer: per_peer.min(Semaphore::MAX_PERMITS),
            peers: Mutex::default(),
        }
    }

    /// A seat of `peer`, free again when it is dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: whoever stops waiting has no seat and no place in the queue.
    pub(super) async fn take(&self, peer: &PeerIdentity) -> Result<OwnedSemaphorePermit, Denied> {
        let seats = self.of(peer.fingerprint());
        match timeout(WAIT, seats.acquire_owned()).await {
            Ok(Ok(seat)) => Ok(seat),
            _ => Err(Denied::TooManyCalls),
        }
    }

    fn of(&self, fingerprint: &str) -> Arc<Semaphore> {
        // A panic elsewhere leaves the map whole: every change is one insert.
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seats) = peers.get(fingerprint) {
            return Arc::clone(seats);
        }
        if peers.len() >= REMEMBERED {
            // Seats that somebody sits on or waits for are held by them too.
            peers.retain(|_, seats| Arc::strong_count(seats) > 1);
        }
        let seats = Arc::new(Semaphore::new(self.per_peer));
        peers.insert(fingerprint.to_owned(), Arc::clone(&seats));
        seats
    }
}

impl Debug for Seats {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seats")
            .field("per_peer", &self.per_peer)
            .finish_non_exhaustive()
    }
}

/// Calls between nodes are answered in milliseconds; a queue that does not move for so long is held
/// up by calls that are not meant to end.
const WAIT: Duration = Duration::from_secs(5);

/// Peers without a call under way that are kept, so that their next call finds its seats.
const REMEMBERED: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_without_a_call_are_forgotten_and_those_with_one_are_not() {
        let seats = Seats::new(1);
        let sitting = seats.of("sitting").try_acquire_owned().unwrap();
        for number in 0..10 * REMEMBERED {
            let _ = seats.of(&number.to_string());
        }
        assert!(seats.peers.lock().unwrap().len() <= REMEMBERED);
        seats.of("sitting").try_acquire_owned().unwrap_err();
        drop(sitting);
        let _again = seats.of("sitting").try_acquire_owned().unwrap();
    }
}

//! What was found during one handshake that rustls has no room for.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Verified;
use crate::refusal::Refusal;

/// A place for one verifier to leave what rustls has no room for: of an accepted peer the
/// certificate as it was read, of a refused one the reason.
///
/// rustls carries an error of ours only in a variant that it answers with the alert
/// `certificate_unknown`, whatever is wrong. With the reason kept here, the error can be one of
/// its own, and the peer is told `certificate_expired` or `certificate_revoked`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict(Arc<Findings>);

#[derive(Debug, Default)]
struct Findings {
    outcome: Mutex<Option<Result<Verified, Refusal>>>,
    asked: AtomicBool,
}

impl Verdict {
    pub(super) fn record(&self, outcome: Result<Verified, Refusal>) {
        let slot = self.0.outcome.lock();
        *slot.unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    /// Takes the verdict; none if the handshake did not come as far.
    pub(crate) fn take(&self) -> Option<Result<Verified, Refusal>> {
        let slot = self.0.outcome.lock();
        slot.unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Notes that the peer asked for our certificate.
    pub(crate) fn note_asked(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
    }

    /// Whether the peer asked for our certificate: a server that does not lets anybody in.
    pub(crate) fn was_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }
}

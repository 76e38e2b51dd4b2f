//! Verifying live connections again, after the credentials changed.

use std::collections::HashMap;
use std::sync::Arc;

use super::CloseCause;
use super::registry::Entry;
use crate::event::Side;
use crate::policy::Usage;
use crate::refusal::{Refusal, RefusalReason};
use crate::snapshot::Snapshot;
use crate::verify::RevocationCheck;

/// Ends the connections whose peers `snapshot` does not believe: at once where they were revoked
/// or have expired, and within moments where their root is gone. Computes signatures: call it on
/// a thread that may block.
///
/// A peer with several connections is verified once for each direction.
pub(super) fn verify_all(entries: &[Arc<Entry>], snapshot: &Snapshot) {
    let mut known: HashMap<(&str, Side), Option<CloseCause>> = HashMap::new();
    for entry in entries {
        let admission = &entry.admission;
        let key = (admission.peer.fingerprint(), admission.side);
        let cause = known
            .entry(key)
            .or_insert_with(|| verify(entry, snapshot).err().map(|refusal| cause(&refusal)));
        match cause {
            Some(CloseCause::Untrusted) => entry.dismiss(CloseCause::Untrusted),
            Some(cause) => entry.close(*cause),
            None => {}
        }
    }
}

/// Whether `snapshot` believes the peer of one connection.
pub(super) fn verify(entry: &Entry, snapshot: &Snapshot) -> Result<(), Refusal> {
    let usage = match entry.admission.side {
        Side::Accepted => Usage::Client,
        Side::Dialled => Usage::Server,
    };
    let Some((leaf, intermediates)) = entry.admission.chain.split_first() else {
        return Err(Refusal::new(RefusalReason::NoCertificate, "no certificate"));
    };
    snapshot
        .verifier()
        .verify(leaf, intermediates, usage, RevocationCheck::Enforce)
        .map(|_| ())
}

fn cause(refusal: &Refusal) -> CloseCause {
    match refusal.reason() {
        RefusalReason::Revoked => CloseCause::Revoked,
        RefusalReason::Expired => CloseCause::Expired,
        _ => CloseCause::Untrusted,
    }
}

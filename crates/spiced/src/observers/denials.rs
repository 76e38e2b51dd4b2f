//! Denied calls, as log lines and a metric.

use std::net::{IpAddr, SocketAddr};

use cluster_tls::PeerIdentity;
use cluster_tls::tonic::{Decision, Decisions, Denied};

use super::Observer;
use crate::metrics::DenialLabels;

/// Who was denied: the certificate, or the address of somebody without one.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Member { fingerprint: String },
    Address(IpAddr),
    Unknown,
}

/// What was denied, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Denial {
    method: &'static str,
    reason: &'static str,
}

/// Events of which somebody without access makes as many as they like: a share of the audit log for
/// each caller and kind, with the number of those that were left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Audited {
    Denial,
    /// A secret was asked for and not given.
    Refusal,
}

impl Decisions for Observer {
    fn decided(&self, decision: &Decision<'_>) {
        if let Err(denied) = decision.outcome {
            self.count_denial(decision, denied);
            self.tell_denial(decision, denied);
            let caller = Caller::of(decision.peer, decision.remote);
            if let Some(suppressed) = self.audited.record(caller, Audited::Denial) {
                self.audit.denied(decision, denied, suppressed);
            }
        }
    }
}

impl Observer {
    fn count_denial(&self, decision: &Decision<'_>, denied: Denied) {
        let labels = DenialLabels {
            method: decision.method,
            role: role(decision),
            reason: denied.as_str(),
        };
        self.metrics.denials.get_or_create(&labels).inc();
    }

    /// A member chooses how often it asks for what it may not, so the log does not follow: one
    /// line per peer, method, reason and minute, with the number that it stands for.
    fn tell_denial(&self, decision: &Decision<'_>, denied: Denied) {
        let (method, reason) = (decision.method, denied.as_str());
        let denial = Denial { method, reason };
        let caller = Caller::of(decision.peer, decision.remote);
        let Some(repeated) = self.denials.record(caller, denial) else {
            return;
        };
        let repeated = (repeated > 0).then_some(repeated);
        let remote = decision.remote.map(tracing::field::display);
        let peer = decision.peer.map(ToString::to_string).unwrap_or_default();
        let role = role(decision);
        tracing::warn!(method, role, peer, remote, reason, repeated, "call denied");
    }
}

impl Caller {
    pub(super) fn of(peer: Option<&PeerIdentity>, remote: Option<SocketAddr>) -> Self {
        match (peer, remote) {
            (Some(peer), _) => Self::Member {
                fingerprint: peer.fingerprint().to_owned(),
            },
            (None, Some(remote)) => Self::Address(remote.ip()),
            (None, None) => Self::Unknown,
        }
    }
}

fn role(decision: &Decision<'_>) -> &'static str {
    decision.peer.map_or("none", |peer| peer.role().as_str())
}

/// A flood fills some forty megabytes a day at the most, and a probe is seen in full.
pub(super) const AUDITED_A_MINUTE: u32 = 60;

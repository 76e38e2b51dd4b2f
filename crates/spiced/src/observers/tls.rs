//! What happens to connections and credentials, as log lines and metrics.

use std::io;
use std::net::{IpAddr, Ipv4Addr};

use cluster_tls::{
    CloseCause, ClosedEvent, CredentialFile, DroppedEvent, Events, ExpiryEvent, ExpiryStage,
    HandshakeEvent, PeerIdentity, Refusal, ReloadEvent, Side, Snapshot,
};

use super::{Observer, Rejected};
use crate::faults::chain;
use crate::metrics::{CauseLabels, ConnectionLabels, DropLabels, HandshakeLabels, ReloadLabels};

impl Observer {
    /// Says who this node is and whom it believes.
    pub(crate) fn tell_identity(&self, snapshot: &Snapshot) {
        self.metrics.show_expiry(snapshot);
        tracing::info!(identity = %snapshot.own(), "own certificate");
        for root in snapshot.roots() {
            tracing::info!(subject = root.subject, "trusted root");
        }
        for list in snapshot.revocation_lists() {
            tracing::info!(issuer = list.issuer, "revocation list");
        }
        if let Some(entries) = snapshot.denied_count() {
            tracing::info!(entries, "deny-list");
        }
    }

    fn count_handshake(&self, event: &HandshakeEvent<'_>) {
        let (outcome, reason) = match event.outcome {
            Ok(_) => ("accepted", ""),
            Err(refusal) => ("refused", refusal.reason().as_str()),
        };
        let labels = HandshakeLabels {
            scope: SCOPE,
            side: event.side.as_str(),
            outcome,
            reason,
        };
        self.metrics.handshakes.get_or_create(&labels).inc();
        let milliseconds = event.duration.as_secs_f64() * 1000.0;
        self.metrics.handshake_duration.observe(milliseconds);
    }

    /// A stranger chooses how often this happens, so the log does not follow: one line per
    /// address, reason and minute, with the number that it stands for.
    fn tell_refusal(&self, event: &HandshakeEvent<'_>, refusal: &Refusal) {
        let (side, remote) = (event.side.as_str(), event.remote);
        let reason = refusal.reason().as_str();
        let Some(repeated) = self.refusals.record(remote.ip(), reason) else {
            return;
        };
        let claimed = refusal.claimed().join(", ");
        let claimed = (!claimed.is_empty()).then_some(claimed);
        let repeated = (repeated > 0).then_some(repeated);
        let detail = refusal.detail();
        let message = match event.side {
            Side::Accepted => "connection refused",
            Side::Dialled => "peer refused",
        };
        tracing::warn!(side, %remote, reason, detail, claimed, repeated, "{message}");
    }
}

impl Events for Observer {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        self.count_handshake(event);
        match event.outcome {
            Ok(peer) => {
                let labels = labels(event.side, peer);
                self.metrics.connections.get_or_create(&labels).inc();
                let (side, remote) = (event.side.as_str(), event.remote);
                tracing::debug!(side, %remote, %peer, "handshake");
            }
            Err(refusal) => self.tell_refusal(event, refusal),
        }
    }

    fn dropped(&self, event: &DroppedEvent) {
        let reason = event.reason.as_str();
        let labels = DropLabels {
            scope: SCOPE,
            reason,
        };
        self.metrics
            .connections_dropped
            .get_or_create(&labels)
            .inc();
        let remote = event.remote;
        if let Some(repeated) = self.refusals.record(remote.ip(), reason) {
            let repeated = (repeated > 0).then_some(repeated);
            tracing::warn!(%remote, reason, repeated, "connection dropped unread");
        }
    }

    fn closed(&self, event: &ClosedEvent<'_>) {
        let live = labels(event.side, event.peer);
        self.metrics.connections.get_or_create(&live).dec();
        let cause = event.cause.as_str();
        let labels = CauseLabels {
            scope: SCOPE,
            cause,
        };
        self.metrics.connections_closed.get_or_create(&labels).inc();
        let (side, remote, peer) = (event.side.as_str(), event.remote, event.peer);
        match event.cause {
            CloseCause::Revoked | CloseCause::Untrusted | CloseCause::Expired => {
                tracing::warn!(side, %remote, cause, %peer, "connection cut");
            }
            _ => tracing::debug!(side, %remote, cause, %peer, "connection closed"),
        }
    }

    fn reloaded(&self, event: &ReloadEvent<'_>) {
        let fault = match event {
            ReloadEvent::Rejected { error } => Some(error.fault().code()),
            _ => None,
        };
        self.rejected.set(fault.map(Rejected::of_code));
        let reason = fault.unwrap_or_default();
        let labels = ReloadLabels {
            scope: SCOPE,
            result: event.as_str(),
            reason,
        };
        self.metrics.reloads.get_or_create(&labels).inc();
        let rejected = i64::from(fault.is_some());
        self.metrics.reload_rejected.set(rejected);
        match event {
            ReloadEvent::Swapped { snapshot } => {
                let generation = snapshot.generation();
                tracing::info!(generation, "credentials renewed");
                self.tell_identity(snapshot);
                if let Some(refusal) = snapshot.own_revocation() {
                    let detail = refusal.detail();
                    tracing::error!(
                        detail,
                        "own certificate revoked: peers refuse this node until it has a new one"
                    );
                }
            }
            ReloadEvent::Rejected { error } => {
                let error = chain(*error);
                tracing::warn!(error, "credentials rejected, those in use stay");
            }
            _ => tracing::info!("credentials unchanged"),
        }
    }

    fn expiring(&self, event: &ExpiryEvent) {
        let (file, subject) = (event.file.to_string(), event.subject.as_str());
        let not_after = event.ends_at();
        if (event.file, event.stage) == (CredentialFile::Crl, ExpiryStage::Expired) {
            tracing::error!(
                file,
                subject,
                not_after,
                "revocation list out of date: new connections are refused until it is replaced"
            );
            return;
        }
        match event.stage {
            ExpiryStage::Due => tracing::info!(file, subject, not_after, "renewal is due"),
            ExpiryStage::Late => tracing::warn!(file, subject, not_after, "renewal is late"),
            _ => tracing::error!(file, subject, not_after, "expired"),
        }
    }

    fn accept_failed(&self, error: &io::Error) {
        let everybody = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        if let Some(repeated) = self.refusals.record(everybody, "accept_failed") {
            let repeated = (repeated > 0).then_some(repeated);
            tracing::error!(%error, repeated, "internal port cannot accept connections");
        }
    }
}

fn labels(side: Side, peer: &PeerIdentity) -> ConnectionLabels {
    ConnectionLabels {
        scope: SCOPE,
        side: side.as_str(),
        role: peer.role().as_str(),
    }
}

const SCOPE: &str = "internal";

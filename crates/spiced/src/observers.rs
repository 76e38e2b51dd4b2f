//! What the rooms report, as log lines and metrics.

mod repeats;

use cluster_executor::{ExecutorEvents, TaskReport};
use cluster_proto::NodeId;
use cluster_scheduler::SchedulerEvents;
use cluster_tls::tonic::{Decision, Decisions};
use cluster_tls::{Events, HandshakeEvent, Side};

use crate::metrics::{DenialLabels, HandshakeLabels, Metrics};
use repeats::Repeats;

/// Writes and counts everything that a node's rooms report.
#[derive(Debug)]
pub(crate) struct Observer {
    metrics: Metrics,
    refusals: Repeats,
}

impl Observer {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            refusals: Repeats::default(),
        }
    }

    fn show_connected(&self, connected: usize) {
        let connected = i64::try_from(connected).unwrap_or(i64::MAX);
        self.metrics.active_executors.set(connected);
    }

    fn count_handshake(&self, event: &HandshakeEvent<'_>) {
        let (outcome, reason) = match event.outcome {
            Ok(_) => ("accepted", ""),
            Err(refusal) => ("refused", refusal.reason().as_str()),
        };
        let labels = HandshakeLabels {
            scope: "internal",
            side: event.side.as_str(),
            outcome,
            reason,
        };
        self.metrics.handshakes.get_or_create(&labels).inc();
        let milliseconds = event.duration.as_secs_f64() * 1000.0;
        self.metrics.handshake_duration.observe(milliseconds);
    }
}

impl Events for Observer {
    fn handshake(&self, event: &HandshakeEvent<'_>) {
        self.count_handshake(event);
        let (side, remote) = (event.side.as_str(), event.remote);
        match event.outcome {
            Ok(peer) => tracing::debug!(side, %remote, %peer, "handshake"),
            Err(refusal) => {
                let reason = refusal.reason().as_str();
                // A stranger chooses how often this happens, so the log does not follow: one
                // line per address, reason and minute, with the number that it stands for.
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
    }

    fn accept_failed(&self, error: &std::io::Error) {
        tracing::error!(%error, "internal port cannot accept connections");
    }
}

impl Decisions for Observer {
    fn decided(&self, decision: &Decision<'_>) {
        let Err(denied) = decision.outcome else {
            return;
        };
        let role = decision.peer.map_or("none", |peer| peer.role().as_str());
        let labels = DenialLabels {
            method: decision.method,
            role,
            reason: denied.as_str(),
        };
        self.metrics.denials.get_or_create(&labels).inc();
        let peer = decision.peer.map(ToString::to_string).unwrap_or_default();
        tracing::warn!(
            method = decision.method,
            role,
            peer,
            reason = denied.as_str(),
            "call denied"
        );
    }
}

impl SchedulerEvents for Observer {
    fn executor_connected(&self, id: &NodeId, connected: usize) {
        self.show_connected(connected);
        tracing::info!(executor = %id, connected, "executor connected");
    }

    fn executor_disconnected(&self, id: &NodeId, connected: usize) {
        self.show_connected(connected);
        tracing::info!(executor = %id, connected, "executor disconnected");
    }

    fn executor_left(&self, id: &NodeId, reason: &str) {
        tracing::info!(executor = %id, reason, "executor left");
    }
}

impl ExecutorEvents for Observer {
    fn task_started(&self) {
        self.metrics.tasks_active.inc();
    }

    fn task_finished(&self, report: &TaskReport) {
        self.metrics.tasks_active.dec();
        self.metrics.tasks.inc();
        if report.failed {
            self.metrics.task_failures.inc();
        }
        self.metrics
            .shuffle_write_bytes
            .inc_by(report.shuffle_write_bytes);
        self.metrics
            .shuffle_read_remote_bytes
            .inc_by(report.shuffle_read_remote_bytes);
    }
}

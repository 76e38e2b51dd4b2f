//! What the rooms report, as log lines and metrics.

mod repeats;
mod tls;

use cluster_executor::{ExecutorEvents, TaskReport};
use cluster_proto::NodeId;
use cluster_scheduler::SchedulerEvents;
use cluster_tls::tonic::{Decision, Decisions};

use crate::metrics::{DenialLabels, Metrics};
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

//! What the rooms report, as log lines and metrics.

mod commands;
mod denials;
mod manifest;
mod membership;
mod rejected;
mod repeats;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;

use cluster_executor::{ExecutorEvents, TaskReport};
use cluster_proto::NodeId;
use cluster_scheduler::{
    CommandEnd, CommandKind, ExecutorDeparture, Missing, SchedulerEvents, SecretAnswer,
};

use crate::audit::{AuditLog, Sink};
use crate::metrics::{LinkLabels, Metrics, MissingLabels, SecretLabels};
use denials::{Caller, Denial};
use repeats::Repeats;

pub(crate) use self::rejected::{Rejected, RejectedFiles};

/// Writes and counts everything that a node's rooms report.
#[derive(Debug)]
pub(crate) struct Observer {
    metrics: Metrics,
    audit: AuditLog,
    refusals: Repeats<IpAddr, &'static str>,
    denials: Repeats<Caller, Denial>,
    rejected: Arc<RejectedFiles>,
    rejected_manifest: Arc<RejectedFiles>,
}

impl Observer {
    /// Audit events go to `audit`, or to the log where there is none.
    pub(crate) fn new(metrics: Metrics, audit: Option<Sink>) -> Self {
        Self {
            audit: AuditLog::start(audit, metrics.audit.lost.clone()),
            metrics,
            refusals: Repeats::default(),
            denials: Repeats::default(),
            rejected: Arc::default(),
            rejected_manifest: Arc::default(),
        }
    }

    pub(crate) fn audit(&self) -> &AuditLog {
        &self.audit
    }

    /// Whether the credential files that are there now are used, as it changes.
    pub(crate) fn rejected_files(&self) -> Arc<RejectedFiles> {
        Arc::clone(&self.rejected)
    }

    /// Whether the spicepod that is there now is used, as it changes.
    pub(crate) fn rejected_manifest(&self) -> Arc<RejectedFiles> {
        Arc::clone(&self.rejected_manifest)
    }

    fn show_connected(&self, connected: usize) {
        let connected = i64::try_from(connected).unwrap_or(i64::MAX);
        self.metrics.active_executors.set(connected);
    }
}

impl SchedulerEvents for Observer {
    fn executor_connected(&self, id: &NodeId, connected: usize) {
        self.show_connected(connected);
        tracing::info!(executor = %id, connected, "executor connected");
    }

    fn executor_disconnected(&self, id: &NodeId, connected: usize, reason: &str) {
        self.show_connected(connected);
        tracing::info!(executor = %id, connected, reason, "executor disconnected");
    }

    fn executor_left(&self, id: &NodeId, departure: ExecutorDeparture<'_>) {
        let reason = departure.reason();
        match departure {
            ExecutorDeparture::Lost => {
                tracing::warn!(executor = %id, reason, "executor left");
            }
            ExecutorDeparture::Announced(_) | ExecutorDeparture::Restarted => {
                tracing::info!(executor = %id, reason, "executor left");
            }
        }
    }

    fn secret_answered(&self, answer: &SecretAnswer<'_>) {
        let labels = SecretLabels {
            outcome: answer.outcome.as_str(),
        };
        self.metrics
            .audit
            .secret_answers
            .get_or_create(&labels)
            .inc();
        self.audit.secret_answered(answer);
    }

    fn history_missing(&self, peer: &NodeId, missing: &Missing) {
        let reason = missing.code();
        self.metrics
            .history_missing
            .get_or_create(&MissingLabels { reason })
            .inc();
        tracing::warn!(scheduler = %peer, %missing, "task history of a scheduler missing in an answer");
    }

    fn executor_ready(&self, id: &NodeId, digest: &str, ready: usize) {
        tracing::info!(executor = %id, digest, ready, "executor has the application open");
    }

    fn command_ended(&self, id: &NodeId, command: CommandKind, end: CommandEnd) {
        self.tell_command(id, command, end);
    }

    fn command_failed(&self, id: &NodeId, command: CommandKind, error: &str) {
        self.tell_failed_command(id, command, error);
    }

    fn acknowledgement_ignored(&self, id: &NodeId) {
        self.metrics.acknowledgements_ignored.inc();
        tracing::debug!(executor = %id, "acknowledgement of nothing that was asked");
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

    fn schedulers_changed(&self, connected: usize, down: usize) {
        for (state, links) in [("connected", connected), ("down", down)] {
            let links = i64::try_from(links).unwrap_or(i64::MAX);
            let labels = LinkLabels { state };
            self.metrics
                .scheduler_links
                .get_or_create(&labels)
                .set(links);
        }
    }

    fn poll_repeated(&self) {
        self.metrics.polls_repeated.inc();
    }
}

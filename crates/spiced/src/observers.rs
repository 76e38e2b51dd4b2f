//! What the rooms report, as log lines and metrics.

mod denials;
mod membership;
mod rejected;
mod repeats;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;

use cluster_executor::{ExecutorEvents, TaskReport};
use cluster_proto::NodeId;
use cluster_scheduler::SchedulerEvents;

use crate::metrics::{LinkLabels, Metrics};
use denials::{Caller, Denial};
use repeats::Repeats;

pub(crate) use self::rejected::RejectedFiles;

/// Writes and counts everything that a node's rooms report.
#[derive(Debug)]
pub(crate) struct Observer {
    metrics: Metrics,
    refusals: Repeats<IpAddr, &'static str>,
    denials: Repeats<Caller, Denial>,
    rejected: Arc<RejectedFiles>,
}

impl Observer {
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            refusals: Repeats::default(),
            denials: Repeats::default(),
            rejected: Arc::default(),
        }
    }

    /// Whether the credential files that are there now are used, as it changes.
    pub(crate) fn rejected_files(&self) -> Arc<RejectedFiles> {
        Arc::clone(&self.rejected)
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

use std::error::Error;
use std::time::Duration;

use cluster_proto::NodeId;
use cluster_scheduler::{Access, Departure, MembershipEvents};

use super::Observer;
use crate::faults::chain;
use crate::metrics::AccessLabels;

impl Observer {
    /// Shows that this node is a scheduler, and as yet the only one it knows.
    pub(crate) fn show_membership(&self) {
        self.show_live(1);
        for access in [Access::Heartbeat, Access::Discovery] {
            self.show_reachable(access, 1);
        }
    }

    fn show_live(&self, live: usize) {
        let live = i64::try_from(live).unwrap_or(i64::MAX);
        self.metrics.active_schedulers.set(live);
    }

    fn show_reachable(&self, access: Access, reachable: i64) {
        let access = access.as_str();
        let labels = AccessLabels { access };
        self.metrics
            .state_reachable
            .get_or_create(&labels)
            .set(reachable);
    }
}

impl MembershipEvents for Observer {
    fn waiting_for_id(&self, id: &NodeId, holder: &str, at_most: Duration) {
        let at_most_s = at_most.as_secs_f64();
        tracing::warn!(
            scheduler = %id, holder, at_most_s,
            "another process has the id of this scheduler, waiting until it was silent for long enough"
        );
    }

    fn took_over(&self, id: &NodeId, holder: &str, reason: &'static str) {
        tracing::info!(scheduler = %id, holder, reason, "took over the id of this scheduler");
    }

    fn joined_again(&self, id: &NodeId) {
        tracing::warn!(scheduler = %id, "the others had removed this scheduler, joined again");
    }

    fn left(&self) {
        tracing::info!("left the cluster");
    }

    fn not_left(&self, error: &(dyn Error + 'static)) {
        let error = chain(error);
        tracing::warn!(
            error,
            "not removed from the cluster, the others will do that"
        );
    }

    fn scheduler_joined(&self, id: &NodeId, live: usize) {
        self.show_live(live);
        tracing::info!(scheduler = %id, live, "scheduler joined");
    }

    fn scheduler_restarted(&self, id: &NodeId) {
        tracing::info!(scheduler = %id, "scheduler restarted");
    }

    fn scheduler_left(&self, id: &NodeId, live: usize, departure: Departure) {
        self.show_live(live);
        match departure {
            Departure::Announced => {
                tracing::info!(scheduler = %id, live, reason = "it stopped", "scheduler left");
            }
            Departure::Silent(span) => {
                let silent_s = span.as_secs_f64();
                let reason = "it was silent for too long";
                tracing::warn!(scheduler = %id, live, silent_s, reason, "scheduler left");
            }
        }
    }

    fn app_differs(&self, id: &NodeId, own: &str, theirs: &str) {
        tracing::warn!(
            scheduler = %id, own, theirs,
            "scheduler serves another application, give both the same spicepod"
        );
    }

    fn app_agrees(&self, id: &NodeId, digest: &str) {
        tracing::info!(scheduler = %id, digest, "scheduler serves the same application again");
    }

    fn state_failed(&self, access: Access, error: &(dyn Error + 'static)) {
        self.show_reachable(access, 0);
        let error = chain(error);
        tracing::warn!(
            access = access.as_str(),
            error,
            "cluster state out of reach, what was seen last stays and it is tried again"
        );
    }

    fn state_recovered(&self, access: Access, after: Duration) {
        self.show_reachable(access, 1);
        let after_s = after.as_secs_f64();
        tracing::info!(
            access = access.as_str(),
            after_s,
            "cluster state reached again"
        );
    }

    fn state_reached(&self, access: Access, took: Duration) {
        let took_ms = took.as_secs_f64() * 1000.0;
        let access = access.as_str();
        let labels = AccessLabels { access };
        let durations = &self.metrics.state_duration;
        durations.get_or_create(&labels).observe(took_ms);
    }
}

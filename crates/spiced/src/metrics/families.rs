//! Every metric of a node: names, units and help in one place.

use prometheus_client::registry::{Registry, Unit};
use public_api::NodeRole;

use super::Metrics;

impl Metrics {
    pub(super) fn register(&self, role: NodeRole) -> Registry {
        let mut registry = Registry::default();
        self.register_connections(&mut registry);
        self.register_security(&mut registry);
        self.register_audit(&mut registry);
        self.register_work(&mut registry);
        self.register_manifest(&mut registry);
        registry.register_collector(Box::new(self.tables.clone()));
        match role {
            NodeRole::Scheduler => {
                self.register_scheduler(&mut registry);
                self.register_state(&mut registry);
            }
            NodeRole::Executor => self.register_executor(&mut registry),
            NodeRole::Standalone => {}
        }
        registry
    }

    fn register_connections(&self, registry: &mut Registry) {
        registry.register(
            "spiced_tls_connections",
            "Live connections to proven peers, by who dialled and the role of the peer",
            self.connections.clone(),
        );
        registry.register(
            "spiced_tls_connections_closed",
            "Connections to proven peers that ended, by cause",
            self.connections_closed.clone(),
        );
        registry.register(
            "spiced_tls_connections_dropped",
            "Connections that were dropped before a handshake, by what there was too much of",
            self.connections_dropped.clone(),
        );
        registry.register(
            "runtime_tls_reload",
            "Changes and requests after which the credentials were read again, by result",
            self.reloads.clone(),
        );
        registry.register(
            "runtime_tls_reload_rejected",
            "1 while the files hold credentials that cannot be used, and older ones stay in use",
            self.reload_rejected.clone(),
        );
    }

    fn register_security(&self, registry: &mut Registry) {
        registry.register(
            "spiced_tls_handshakes",
            "TLS handshakes that ended, by outcome and reason",
            self.handshakes.clone(),
        );
        registry.register(
            "spiced_tls_handshake_duration_ms",
            "From the TCP connection to the proven peer, in milliseconds",
            self.handshake_duration.clone(),
        );
        registry.register_with_unit(
            "spiced_certificate_not_after_timestamp",
            "When a certificate in use expires, in seconds since the Unix epoch",
            Unit::Seconds,
            self.certificate_not_after.clone(),
        );
        registry.register(
            "spiced_insecure_mode",
            "1 while the internal port runs without any protection",
            self.insecure.clone(),
        );
    }

    fn register_audit(&self, registry: &mut Registry) {
        registry.register(
            "spiced_authorization_denied",
            "Calls on the internal port that were denied, by method and role of the caller",
            self.denials.clone(),
        );
        registry.register(
            "spiced_secret_answers",
            "Requests of executors for secrets that were answered, by outcome",
            self.audit.secret_answers.clone(),
        );
        registry.register(
            "spiced_audit_lost",
            "Audit events that could not be written",
            self.audit.lost.clone(),
        );
    }

    fn register_work(&self, registry: &mut Registry) {
        registry.register(
            "node_tasks",
            "Tasks that ended on this node",
            self.tasks.clone(),
        );
        registry.register(
            "node_task_failures",
            "Tasks that ended without a result",
            self.task_failures.clone(),
        );
        registry.register(
            "node_tasks_active",
            "Tasks that run on this node now",
            self.tasks_active.clone(),
        );
    }

    fn register_executor(&self, registry: &mut Registry) {
        registry.register(
            "executor_task_slots",
            "Tasks that this executor may run at the same time",
            self.task_slots.clone(),
        );
        registry.register_with_unit(
            "executor_shuffle_write",
            "Shuffle files written, in bytes",
            Unit::Bytes,
            self.shuffle_write_bytes.clone(),
        );
        registry.register_with_unit(
            "executor_shuffle_read_remote",
            "Shuffle data read from other executors, decoded, in bytes",
            Unit::Bytes,
            self.shuffle_read_remote_bytes.clone(),
        );
        registry.register(
            "executor_scheduler_links",
            "Schedulers that this executor knows, by whether it works for them now",
            self.scheduler_links.clone(),
        );
        registry.register(
            "executor_polls_repeated",
            "Polls that were sent again because no answer came",
            self.polls_repeated.clone(),
        );
    }

    fn register_manifest(&self, registry: &mut Registry) {
        registry.register(
            "runtime_app_reload",
            "Changes and requests after which the spicepod was read again, by result",
            self.manifest_reloads.clone(),
        );
        registry.register(
            "runtime_app_rejected",
            "1 while the spicepod that is there cannot be used, and the one before stays in use",
            self.manifest_rejected.clone(),
        );
    }

    fn register_scheduler(&self, registry: &mut Registry) {
        registry.register(
            "scheduler_active_executors_count",
            "Executors whose control stream to this scheduler is open",
            self.active_executors.clone(),
        );
        registry.register(
            "scheduler_task_history_missing",
            "Schedulers that gave no task history to a query over all of it, by reason",
            self.history_missing.clone(),
        );
        registry.register(
            "scheduler_control_commands",
            "Commands to executors that nobody waits for any more, by what became of them",
            self.commands.clone(),
        );
        registry.register(
            "scheduler_control_acknowledgements_ignored",
            "Acknowledgements of executors that belong to no command that waits",
            self.acknowledgements_ignored.clone(),
        );
    }

    fn register_state(&self, registry: &mut Registry) {
        registry.register(
            "scheduler_active_schedulers_count",
            "Schedulers of the cluster that live, this one included",
            self.active_schedulers.clone(),
        );
        registry.register(
            "scheduler_state_reachable",
            "1 while the state that schedulers share can be reached, by what for",
            self.state_reachable.clone(),
        );
        registry.register(
            "scheduler_state_duration_ms",
            "How long a heartbeat, or a look at the other schedulers, took, in milliseconds",
            self.state_duration.clone(),
        );
    }
}

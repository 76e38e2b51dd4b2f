//! Every metric of a node: names, units and help in one place. Rooms emit events; this binary
//! counts them.

mod tables;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_tls::Snapshot;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use public_api::NodeRole;

use tables::TableMetrics;

/// What a node counts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) handshakes: Family<HandshakeLabels, Counter>,
    pub(crate) handshake_duration: Histogram,
    pub(crate) connections: Family<ConnectionLabels, Gauge<i64, AtomicI64>>,
    pub(crate) connections_closed: Family<CauseLabels, Counter>,
    pub(crate) connections_dropped: Family<DropLabels, Counter>,
    pub(crate) reloads: Family<ReloadLabels, Counter>,
    pub(crate) reload_rejected: Gauge<i64, AtomicI64>,
    pub(crate) manifest_reloads: Family<ManifestLabels, Counter>,
    pub(crate) manifest_rejected: Gauge<i64, AtomicI64>,
    pub(crate) tables: TableMetrics,
    pub(crate) commands: Family<CommandLabels, Counter>,
    pub(crate) acknowledgements_ignored: Counter<u64, AtomicU64>,
    pub(crate) denials: Family<DenialLabels, Counter>,
    pub(crate) audit: AuditMetrics,
    pub(crate) certificate_not_after: Family<CertificateLabels, Gauge<i64, AtomicI64>>,
    pub(crate) insecure: Gauge<i64, AtomicI64>,
    pub(crate) tasks: Counter<u64, AtomicU64>,
    pub(crate) task_failures: Counter<u64, AtomicU64>,
    pub(crate) tasks_active: Gauge<i64, AtomicI64>,
    pub(crate) task_slots: Gauge<i64, AtomicI64>,
    pub(crate) shuffle_write_bytes: Counter<u64, AtomicU64>,
    pub(crate) shuffle_read_remote_bytes: Counter<u64, AtomicU64>,
    pub(crate) active_executors: Gauge<i64, AtomicI64>,
    pub(crate) history_missing: Family<MissingLabels, Counter>,
    pub(crate) scheduler_links: Family<LinkLabels, Gauge<i64, AtomicI64>>,
    pub(crate) polls_repeated: Counter<u64, AtomicU64>,
    pub(crate) active_schedulers: Gauge<i64, AtomicI64>,
    pub(crate) state_reachable: Family<AccessLabels, Gauge<i64, AtomicI64>>,
    pub(crate) state_duration: Family<AccessLabels, Histogram, fn() -> Histogram>,
}

/// What the state that schedulers share is reached for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct AccessLabels {
    pub(crate) access: &'static str,
}

/// What a node counts about who has access to what.
#[derive(Clone, Debug, Default)]
pub(crate) struct AuditMetrics {
    pub(crate) secret_answers: Family<SecretLabels, Counter>,
    pub(crate) lost: Counter,
}

/// Which handshakes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HandshakeLabels {
    pub(crate) scope: &'static str,
    pub(crate) side: &'static str,
    pub(crate) outcome: &'static str,
    pub(crate) reason: &'static str,
}

/// Which live connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ConnectionLabels {
    pub(crate) scope: &'static str,
    pub(crate) side: &'static str,
    pub(crate) role: &'static str,
}

/// What ended connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CauseLabels {
    pub(crate) scope: &'static str,
    pub(crate) cause: &'static str,
}

/// Why connections were not even looked at.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DropLabels {
    pub(crate) scope: &'static str,
    pub(crate) reason: &'static str,
}

/// What came of reading the credentials again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ReloadLabels {
    pub(crate) scope: &'static str,
    pub(crate) result: &'static str,
    pub(crate) reason: &'static str,
}

/// What came of reading the spicepod again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct ManifestLabels {
    pub(crate) result: &'static str,
    pub(crate) reason: &'static str,
}

/// What became of which commands to executors.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CommandLabels {
    pub(crate) command: &'static str,
    pub(crate) outcome: &'static str,
}

/// Which denied calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct DenialLabels {
    pub(crate) method: &'static str,
    pub(crate) role: &'static str,
    pub(crate) reason: &'static str,
}

/// What came of requests for secrets.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct SecretLabels {
    pub(crate) outcome: &'static str,
}

/// Why a node is missing from an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct MissingLabels {
    pub(crate) reason: &'static str,
}

/// Which certificate.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CertificateLabels {
    pub(crate) scope: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) subject: String,
}

/// Which links to schedulers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct LinkLabels {
    pub(crate) state: &'static str,
}

impl Metrics {
    /// The metrics, and the registry that shows those of a node of `role`: a family of another role
    /// would say nothing but zero.
    pub(crate) fn new(role: NodeRole) -> (Self, Registry) {
        let metrics = Self {
            handshakes: Family::default(),
            handshake_duration: Histogram::new(exponential_buckets(0.5, 2.0, 12)),
            connections: Family::default(),
            connections_closed: Family::default(),
            connections_dropped: Family::default(),
            reloads: Family::default(),
            reload_rejected: Gauge::default(),
            manifest_reloads: Family::default(),
            manifest_rejected: Gauge::default(),
            tables: TableMetrics::default(),
            commands: Family::default(),
            acknowledgements_ignored: Counter::default(),
            denials: Family::default(),
            audit: AuditMetrics::default(),
            certificate_not_after: Family::default(),
            insecure: Gauge::default(),
            tasks: Counter::default(),
            task_failures: Counter::default(),
            tasks_active: Gauge::default(),
            task_slots: Gauge::default(),
            shuffle_write_bytes: Counter::default(),
            shuffle_read_remote_bytes: Counter::default(),
            active_executors: Gauge::default(),
            history_missing: Family::default(),
            scheduler_links: Family::default(),
            polls_repeated: Counter::default(),
            active_schedulers: Gauge::default(),
            state_reachable: Family::default(),
            state_duration: Family::new_with_constructor(state_durations),
        };
        let registry = metrics.register(role);
        (metrics, registry)
    }

    fn register(&self, role: NodeRole) -> Registry {
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

    /// Shows when what a snapshot holds expires, and nothing that is no longer in use.
    pub(crate) fn show_expiry(&self, snapshot: &Snapshot) {
        self.certificate_not_after.clear();
        let own = snapshot.own();
        self.set_expiry("node", own.label(), own.not_after());
        for root in snapshot.roots() {
            self.set_expiry("ca", root.subject.clone(), root.not_after);
        }
        for list in snapshot.revocation_lists() {
            self.set_expiry("crl", list.issuer.clone(), list.not_after);
        }
    }

    fn set_expiry(&self, kind: &'static str, subject: String, not_after: SystemTime) {
        let labels = CertificateLabels {
            scope: "internal",
            kind,
            subject,
        };
        let seconds = not_after
            .duration_since(UNIX_EPOCH)
            .unwrap_or(Duration::ZERO)
            .as_secs();
        self.certificate_not_after
            .get_or_create(&labels)
            .set(i64::try_from(seconds).unwrap_or(i64::MAX));
    }
}

/// From a file in the cache of a quarter of a millisecond to a store that takes eight seconds.
fn state_durations() -> Histogram {
    Histogram::new(exponential_buckets(0.25, 2.0, 16))
}

//! What a node counts. Rooms emit events; this binary counts them.

mod families;
mod tables;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cluster_tls::Snapshot;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
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

//! What becomes of a changed spicepod, as log lines and metrics.

use cluster_scheduler::AppChanged;
use spicepod::App;

use super::{Observer, Rejected};
use crate::metrics::ManifestLabels;

impl Observer {
    /// This node starts with `app`.
    pub(crate) fn manifest_opened(&self, app: &App) {
        let (digest, datasets, views) = (app.digest(), app.datasets().len(), app.views().len());
        tracing::info!(digest, datasets, views, "spicepod opened");
    }

    /// New queries are planned over `app` from now on; `changed` says how the executors are with it.
    pub(crate) fn manifest_changed(&self, app: &App, changed: Option<&AppChanged>) {
        self.count_manifest("changed", None);
        let (digest, datasets, views) = (app.digest(), app.datasets().len(), app.views().len());
        let ready = changed.map(|changed| changed.ready);
        tracing::info!(digest, datasets, views, ready, "spicepod changed");
        for executor in changed.iter().flat_map(|changed| &changed.unready) {
            tracing::warn!(%executor, digest, "executor has not opened the changed spicepod yet");
        }
    }

    /// What is there now cannot be used; `error` says all about it, for the log alone.
    pub(crate) fn manifest_rejected(&self, rejected: Rejected, error: &str) {
        self.count_manifest("rejected", Some(rejected));
        tracing::warn!(error, "spicepod rejected, the one in use stays");
    }

    /// What is there now is in use, as it was before there was a fault in it.
    pub(crate) fn manifest_good_again(&self) {
        self.count_manifest("unchanged", None);
        tracing::info!("spicepod good again, the one in use stays");
    }

    /// What is there now is in use.
    pub(crate) fn manifest_unchanged(&self) {
        self.count_manifest("unchanged", None);
        tracing::info!("spicepod unchanged");
    }

    fn count_manifest(&self, result: &'static str, fault: Option<Rejected>) {
        let rejected = i64::from(fault.is_some());
        self.metrics.manifest_rejected.set(rejected);
        let reason = fault.as_ref().map(|fault| fault.code).unwrap_or_default();
        self.rejected_manifest.set(fault);
        let labels = ManifestLabels { result, reason };
        self.metrics.manifest_reloads.get_or_create(&labels).inc();
    }
}

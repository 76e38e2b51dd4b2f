//! What becomes of a changed spicepod, as log lines and metrics.

use cluster_scheduler::AppChanged;
use spicepod::App;

use super::Observer;
use crate::metrics::ManifestLabels;

impl Observer {
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

    /// What is there now cannot be used, for a reason with this code.
    pub(crate) fn manifest_rejected(&self, code: &'static str, error: &str) {
        self.count_manifest("rejected", Some(code));
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

    fn count_manifest(&self, result: &'static str, fault: Option<&'static str>) {
        self.rejected_manifest.set(fault);
        let rejected = i64::from(fault.is_some());
        self.metrics.manifest_rejected.set(rejected);
        let reason = fault.unwrap_or_default();
        let labels = ManifestLabels { result, reason };
        self.metrics.manifest_reloads.get_or_create(&labels).inc();
    }
}

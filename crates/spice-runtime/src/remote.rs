//! Scans that travel to another node by what they read, not by how it is reached.

use std::sync::Arc;

use datafusion::physical_plan::ExecutionPlan;

use crate::postgres::{PostgresScan, ScanRequest};
use crate::query_error::QueryError;
use crate::runtime::Runtime;

/// What stands before a request where it travels in the place of a plan. No message of protobuf, which
/// plans are, begins with it.
pub const SCAN_MARK: u8 = 0;

/// What another node must be told to run `plan`, if it is a scan that only the node with the
/// dataset's own access can run. It names the dataset and the part of it, and no secret.
///
/// # Errors
///
/// [`QueryError::Failed`] where it cannot be written down.
pub fn scan_request(plan: &dyn ExecutionPlan) -> Result<Option<Vec<u8>>, QueryError> {
    let Some(scan) = plan.downcast_ref::<PostgresScan>() else {
        return Ok(None);
    };
    let request = serde_json::to_vec(scan.request());
    let request = request.map_err(|error| QueryError::Failed(error.to_string()))?;
    Ok(Some(request))
}

impl Runtime {
    /// The scan that a request of [`scan_request`], made by a node with the same application, asks
    /// for.
    ///
    /// # Errors
    ///
    /// [`QueryError::Failed`] for what is no request, and for one that asks for something else than
    /// columns of a dataset that is open here; [`QueryError::Unavailable`] where that dataset is out
    /// of this node's reach.
    pub fn requested_scan(&self, request: &[u8]) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
        let request: ScanRequest = serde_json::from_slice(request)
            .map_err(|error| QueryError::Failed(format!("an unusable request to read: {error}")))?;
        let table = self.postgres(request.dataset())?;
        let scan = table.requested(request);
        let scan = scan.map_err(|error| QueryError::Failed(error.to_string()))?;
        Ok(Arc::new(scan))
    }
}

#[cfg(test)]
mod tests {
    use spicepod::App;

    use super::*;
    use crate::secrets::NoSecrets;
    use crate::session::RuntimeOptions;

    #[tokio::test]
    async fn a_request_for_what_is_not_open_here_is_refused() {
        let manifest = "{version: v1, kind: Spicepod, name: a, datasets: \
            [{name: t, from: 'file:/dev/null', params: {file_format: csv}}]}";
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("n.csv");
        std::fs::write(&file, "n\n1\n").unwrap();
        let manifest = manifest.replace("/dev/null", &file.to_string_lossy());
        let app: App = spicepod::parse(&manifest, &directory.path().join("spicepod.yaml")).unwrap();
        let secrets = Arc::new(NoSecrets);
        let runtime = Runtime::open(&app, RuntimeOptions::default(), secrets).await;
        let runtime = runtime.unwrap();
        // A file is not read by request either: it travels in plans as what it is.
        for name in ["t", "public.t", "other", ""] {
            let request =
                format!(r#"{{"dataset": "{name}", "columns": [], "filters": [], "limit": null}}"#);
            let refused = runtime.requested_scan(request.as_bytes()).unwrap_err();
            assert!(refused.to_string().contains("no dataset"), "{refused}");
        }
        for noise in [
            "",
            "{}",
            "\u{0}",
            r#"{"dataset": "t", "columns": [], "host": "h"}"#,
        ] {
            let refused = runtime.requested_scan(noise.as_bytes()).unwrap_err();
            assert!(refused.to_string().contains("unusable"), "{refused}");
        }
    }
}

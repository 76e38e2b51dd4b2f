//! This executor's metrics, for the schedulers that ask.

use std::sync::Arc;

use cluster_proto::pb;

/// The metrics of this node.
pub trait MetricsSource: Send + Sync + 'static {
    /// All of them now, as an encoded `ExportMetricsServiceRequest` of OpenTelemetry.
    fn export(&self) -> Vec<u8>;
}

/// The answer to a scheduler. Metrics that do not fit into a message are left out as a whole: a part
/// would look like all of them.
pub(crate) fn answer(
    metrics: &Arc<dyn MetricsSource>,
    request: pb::RequestMetrics,
) -> pb::ExecutorMetrics {
    let mut otlp_metrics = metrics.export();
    if otlp_metrics.len() > EXPORT_LIMIT_BYTES {
        let (bytes, limit) = (otlp_metrics.len(), EXPORT_LIMIT_BYTES);
        tracing::warn!(bytes, limit, "metrics too large for a scheduler to take");
        otlp_metrics.clear();
    }
    pb::ExecutorMetrics {
        request_id: request.request_id,
        otlp_metrics,
    }
}

/// What fits into a control message of 64 KiB beside the ids. A node has a few kilobytes.
const EXPORT_LIMIT_BYTES: usize = 60 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    struct Sized(usize);

    impl MetricsSource for Sized {
        fn export(&self) -> Vec<u8> {
            vec![1; self.0]
        }
    }

    #[test]
    fn metrics_go_as_a_whole_or_not_at_all() {
        for (bytes, sent) in [
            (10, 10),
            (EXPORT_LIMIT_BYTES, EXPORT_LIMIT_BYTES),
            (70_000, 0),
        ] {
            let metrics: Arc<dyn MetricsSource> = Arc::new(Sized(bytes));
            let request = pb::RequestMetrics {
                request_id: "r".to_owned(),
            };
            let answer = answer(&metrics, request);
            assert_eq!(
                (answer.request_id.as_str(), answer.otlp_metrics.len()),
                ("r", sent)
            );
        }
    }
}

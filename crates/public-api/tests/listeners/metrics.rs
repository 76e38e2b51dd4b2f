use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use public_api::serve_metrics;

use crate::support::{Served, get};

#[tokio::test]
async fn exposes_the_registry_and_nothing_else() {
    let counter: Counter = Counter::default();
    let mut registry = Registry::default();
    registry.register("queries", "Queries that were answered", counter.clone());
    let registry = Arc::new(registry);
    let served =
        Served::start(|listener, shutdown| serve_metrics(listener, registry, shutdown)).await;

    counter.inc_by(3);
    let exposed = get(served.address, "/metrics").await;
    assert_eq!(exposed.status, 200);
    assert!(
        exposed.body.contains("queries_total 3\n"),
        "{}",
        exposed.body
    );
    assert!(exposed.body.ends_with("# EOF\n"));
    let content_type = exposed.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"));

    for path in ["/", "/health", "/v1/sql", "/v1/ready"] {
        assert_eq!(get(served.address, path).await.status, 404, "{path}");
    }
    served.shutdown.cancel();
    served.ended().await.unwrap();
}

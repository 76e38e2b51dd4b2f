use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use public_api::{
    ClusterMetrics, MetricsState, NodeSample, OwnCluster, ResourceAttributes, export_metrics,
    serve_metrics,
};

use crate::support::{Served, get};

#[tokio::test]
async fn exposes_the_registry_and_nothing_else() {
    let counter: Counter = Counter::default();
    let mut registry = Registry::default();
    registry.register("queries", "Queries that were answered", counter.clone());
    let served = serve(registry, None).await;

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

async fn serve(registry: Registry, members: Option<Arc<Members>>) -> Served {
    let cluster = members.map(|members| OwnCluster {
        node_id: "scheduler1:1".to_owned(),
        node_role: "scheduler",
        members,
    });
    let state = MetricsState {
        registry: Arc::new(registry),
        cluster,
    };
    Served::start(|listener, shutdown| serve_metrics(listener, state, shutdown)).await
}

fn counting(queries: u64) -> Registry {
    let counter: Counter = Counter::default();
    counter.inc_by(queries);
    let mut registry = Registry::default();
    registry.register("queries", "Queries that were answered", counter);
    registry
}

/// An executor that answers, one that does not, and one that answers nonsense.
#[derive(Default)]
struct Members {
    gathered: AtomicUsize,
}

impl ClusterMetrics for Members {
    fn gather(&self) -> BoxFuture<'_, Vec<NodeSample>> {
        self.gathered.fetch_add(1, Ordering::SeqCst);
        let resource = ResourceAttributes {
            node_id: "says so itself".to_owned(),
            node_role: "scheduler",
        };
        let answers = [
            Ok(export_metrics(&counting(5), &resource)),
            Err("timeout"),
            Ok(b"\xff\xff".to_vec()),
        ];
        let answers = answers.into_iter().enumerate();
        let samples = answers.map(|(number, otlp)| NodeSample {
            node_id: format!("executor{number}:1"),
            node_role: "executor",
            otlp,
        });
        let samples: Vec<NodeSample> = samples.collect();
        async { samples }.boxed()
    }
}

#[tokio::test]
async fn the_page_of_a_cluster_has_the_series_of_every_node_and_marks_what_is_missing() {
    let served = serve(counting(3), Some(Arc::default())).await;
    let page = get(served.address, "/metrics?scope=cluster").await;
    assert_eq!(page.status, 200);
    let content_type = page.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"));
    for line in [
        "queries_total{node_id=\"scheduler1:1\",node_role=\"scheduler\"} 3\n",
        "queries_total{node_id=\"executor0:1\",node_role=\"executor\"} 5\n",
        "missing{node_id=\"executor1:1\",node_role=\"executor\",reason=\"timeout\"} 1\n",
        "missing{node_id=\"executor2:1\",node_role=\"executor\",reason=\"malformed\"} 1\n",
    ] {
        assert!(page.body.contains(line), "{line} in\n{}", page.body);
    }
    assert!(page.body.ends_with("# EOF\n"));
    assert!(!page.body.contains("says so itself"));
}

#[tokio::test]
async fn those_who_ask_at_the_same_time_share_one_page() {
    let members: Arc<Members> = Arc::default();
    let served = serve(counting(3), Some(members.clone())).await;
    let asked = (0..50).map(|_| get(served.address, "/metrics?scope=cluster"));
    let pages = join_all(asked).await;
    assert!(pages.iter().all(|page| page.body == pages[0].body));
    let gathered = members.gathered.load(Ordering::SeqCst);
    // Fifty requests take milliseconds, and a page is good for two seconds.
    assert!(gathered <= 2, "{gathered}");
}

#[tokio::test]
async fn scopes_that_a_node_does_not_have_are_refused_in_words() {
    let served = serve(counting(3), None).await;
    for (path, status, word) in [
        ("/metrics", 200, "queries_total 3"),
        ("/metrics?scope=node", 200, "queries_total 3"),
        ("/metrics?scope=cluster", 404, "ask a scheduler"),
        ("/metrics?scope=world", 400, "scope=cluster"),
        ("/metrics?scope=", 400, "scope=cluster"),
    ] {
        let reply = get(served.address, path).await;
        assert_eq!(reply.status, status, "{path}");
        assert!(reply.body.contains(word), "{path}: {}", reply.body);
    }
}

//! The page of a whole cluster: gathered once for all who ask at the same time, and kept for a
//! moment.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use prometheus_client::registry::Registry;

use super::merge::{Origin, Page};
use super::{OwnCluster, otlp, text};

/// Asks the other nodes of a cluster for their metrics.
pub trait ClusterMetrics: Send + Sync + 'static {
    /// What each of them answers, those that are believed most first, within a bound of time.
    fn gather(&self) -> BoxFuture<'_, Vec<NodeSample>>;
}

/// What came of asking one node.
#[derive(Debug, Clone)]
pub struct NodeSample {
    /// The node, as the one that asked knows it.
    pub node_id: String,
    /// What it does.
    pub node_role: &'static str,
    /// An encoded `ExportMetricsServiceRequest`, or one of a few words for why there is none.
    pub otlp: Result<Vec<u8>, &'static str>,
}

/// The page, made when somebody asks.
pub(super) struct ClusterPage {
    registry: Arc<Registry>,
    cluster: OwnCluster,
    latest: Mutex<Option<Making>>,
}

/// A page that is being made, or when it was made and what it says.
type Making = Shared<BoxFuture<'static, Option<(Instant, Bytes)>>>;

impl ClusterPage {
    pub(super) fn new(registry: Arc<Registry>, cluster: OwnCluster) -> Self {
        Self {
            registry,
            cluster,
            latest: Mutex::default(),
        }
    }

    /// The page that is being made, the last one while it is fresh, or a new one.
    pub(super) async fn text(&self) -> Option<Bytes> {
        let making = self.making();
        making.await.map(|(_, text)| text)
    }

    fn making(&self) -> Making {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match &*latest {
            Some(making) if is_of_use(making) => making.clone(),
            _ => latest.insert(self.make()).clone(),
        }
    }

    /// Made in a task of its own: whoever asked first may leave, and others wait for it. It ends by
    /// itself, since every node is asked within a bound.
    fn make(&self) -> Making {
        let (registry, cluster) = (Arc::clone(&self.registry), self.cluster.clone());
        let made = tokio::spawn(async move {
            let samples = cluster.members.gather().await;
            // Tens of thousands of lines take longer than a worker should be held.
            let writing = tokio::task::spawn_blocking(move || write(&registry, &cluster, samples));
            let text = writing.await.ok()?;
            Some((Instant::now(), Bytes::from(text)))
        });
        made.map(|made| made.ok().flatten()).boxed().shared()
    }
}

fn is_of_use(making: &Making) -> bool {
    match making.peek() {
        None => true,
        Some(None) => false,
        Some(Some((made, _))) => made.elapsed() < FRESH,
    }
}

fn write(registry: &Registry, cluster: &OwnCluster, samples: Vec<NodeSample>) -> String {
    let mut page = Page::default();
    let own = Origin {
        node_id: cluster.node_id.clone(),
        node_role: cluster.node_role,
    };
    match text::families(registry) {
        Some(families) => page.add(&own, families),
        None => page.miss(&own, "failed"),
    }
    // One after the other, so that only one is in memory as more than its bytes.
    for sample in samples {
        let origin = Origin {
            node_id: sample.node_id,
            node_role: sample.node_role,
        };
        match sample.otlp.map(|otlp| otlp::decode(&otlp)) {
            Ok(Some(families)) => page.add(&origin, families),
            Ok(None) => page.miss(&origin, "malformed"),
            Err(reason) => page.miss(&origin, reason),
        }
    }
    page.into_text()
}

/// Shorter than any scrape interval.
const FRESH: Duration = Duration::from_secs(2);

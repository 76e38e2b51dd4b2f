//! This node's metrics for its cluster, and those of the cluster for its metrics listener.

use std::sync::Arc;

use cluster_proto::NodeId;
use cluster_scheduler::{Missing, Scheduler};
use cluster_tls::Role;
use futures::FutureExt;
use futures::future::BoxFuture;
use prometheus_client::registry::Registry;
use public_api::{ClusterMetrics, NodeSample, OwnCluster, ResourceAttributes, export_metrics};

use crate::info::OwnInfo;

/// What this node answers to members that ask for its metrics.
pub(crate) struct OwnMetrics {
    registry: Arc<Registry>,
    resource: ResourceAttributes,
}

impl OwnMetrics {
    pub(crate) fn new(registry: Arc<Registry>, node_id: &NodeId, role: Role) -> Arc<Self> {
        let resource = ResourceAttributes {
            node_id: node_id.to_string(),
            node_role: role.as_str(),
        };
        Arc::new(Self { registry, resource })
    }
}

impl cluster_scheduler::MetricsSource for OwnMetrics {
    fn export(&self) -> Vec<u8> {
        export_metrics(&self.registry, &self.resource)
    }
}

impl cluster_executor::MetricsSource for OwnMetrics {
    fn export(&self) -> Vec<u8> {
        export_metrics(&self.registry, &self.resource)
    }
}

/// The cluster that the metrics listener of this node can show; only a scheduler knows one.
pub(crate) fn own_cluster(info: &OwnInfo) -> Option<OwnCluster> {
    let scheduler = info.scheduler.clone()?;
    let node_id = info.node_id.as_ref()?.to_string();
    Some(OwnCluster {
        node_id,
        node_role: Role::Scheduler.as_str(),
        members: Arc::new(Gathered(scheduler)),
    })
}

struct Gathered(Scheduler);

impl ClusterMetrics for Gathered {
    fn gather(&self) -> BoxFuture<'_, Vec<NodeSample>> {
        let gathered = self.0.cluster_metrics();
        gathered
            .map(|nodes| nodes.into_iter().map(sample).collect())
            .boxed()
    }
}

fn sample(node: cluster_scheduler::NodeMetrics) -> NodeSample {
    NodeSample {
        node_id: node.node_id.to_string(),
        node_role: node.role.as_str(),
        otlp: node.otlp.map_err(|missing: Missing| missing.code()),
    }
}

//! Metrics of the nodes of a cluster, gathered when somebody asks. What is in them is for the
//! composition to know: here they are bytes, an encoded `ExportMetricsServiceRequest` each.

mod requests;

use cluster_proto::{NodeId, pb};
use cluster_tls::Role;
use cluster_tls::tonic::Permit;
use futures::future::join_all;

use crate::authorization::GetMetrics;
use crate::cluster_service::ClusterServiceState;
use crate::peers::{Client, Missing, PeerSchedulers, Reason};
use crate::status::Refused;

pub(crate) use self::requests::{Answered, MetricsRequests};

/// The metrics of this node.
pub trait MetricsSource: Send + Sync + 'static {
    /// All of them now, as an encoded `ExportMetricsServiceRequest` of OpenTelemetry.
    fn export(&self) -> Vec<u8>;
}

/// The metrics of one node, or why they are missing.
#[derive(Clone, Debug)]
pub struct NodeMetrics {
    /// The node, as this scheduler knows it: nothing that it says about itself.
    pub node_id: NodeId,
    /// Scheduler or executor.
    pub role: Role,
    /// An encoded `ExportMetricsServiceRequest`, unread.
    pub otlp: Result<Vec<u8>, Missing>,
}

impl ClusterServiceState {
    pub(crate) fn metrics(
        &self,
        _: &Permit<GetMetrics>,
    ) -> Result<pb::GetMetricsResponse, Refused> {
        let otlp_metrics = self.metrics.export();
        if otlp_metrics.len() > EXPORT_LIMIT_BYTES {
            let text = format!("the metrics have more than {EXPORT_LIMIT_BYTES} bytes");
            return Err(Refused::TooLarge(text));
        }
        Ok(pb::GetMetricsResponse { otlp_metrics })
    }

    /// The metrics of the other schedulers and of the executors of this one.
    pub(crate) async fn gather_metrics(&self, peers: &PeerSchedulers) -> Vec<NodeMetrics> {
        let question =
            |mut client: Client| async move { client.get_metrics(pb::GetMetricsRequest {}).await };
        let (schedulers, executors) =
            tokio::join!(peers.ask(question), self.metrics_of_executors());
        let schedulers = schedulers.into_iter().map(|(node_id, answer)| NodeMetrics {
            node_id,
            role: Role::Scheduler,
            otlp: answer.map(|answer| answer.otlp_metrics).and_then(bounded),
        });
        schedulers.chain(executors).collect()
    }

    async fn metrics_of_executors(&self) -> Vec<NodeMetrics> {
        let connected = self.members.connected().into_iter();
        let asked = connected.enumerate().map(|(position, node_id)| async move {
            let otlp = if position < EXECUTOR_LIMIT {
                self.metrics_requests.ask(&self.streams, &node_id).await
            } else {
                let text = format!("only {EXECUTOR_LIMIT} executors are asked");
                Err(Missing::new(Reason::LeftOut, &text))
            };
            NodeMetrics {
                node_id,
                role: Role::Executor,
                otlp,
            }
        });
        join_all(asked).await
    }
}

fn bounded(otlp: Vec<u8>) -> Result<Vec<u8>, Missing> {
    if otlp.len() > EXPORT_LIMIT_BYTES {
        let text = format!("its metrics have more than {EXPORT_LIMIT_BYTES} bytes");
        return Err(Missing::new(Reason::TooLarge, &text));
    }
    Ok(otlp)
}

/// A node has some hundred series of some hundred bytes.
const EXPORT_LIMIT_BYTES: usize = 1024 * 1024;

/// With the 64 KiB that a message of an executor may have, this bounds what gathering takes up.
const EXECUTOR_LIMIT: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_beyond_the_limit_are_too_large() {
        assert!(bounded(vec![0; EXPORT_LIMIT_BYTES]).is_ok());
        let missing = bounded(vec![0; EXPORT_LIMIT_BYTES + 1]).unwrap_err();
        assert_eq!(missing.code(), "too_large");
    }
}

//! The one place that asks for a transport without protection, and the noise it makes.

use std::time::Duration;

use cluster_tls::tonic::NodeTransport;
use cluster_tls::{DialLimits, danger};

use super::Node;

/// Makes the plaintext transport that `--allow-insecure-connections` asked for, and keeps
/// saying so for as long as the node runs.
pub(super) fn transport(node: &Node) -> NodeTransport {
    node.metrics.insecure.set(1);
    let shutdown = node.shutdown.clone();
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(REMINDER);
        loop {
            tokio::select! {
                _ = ticks.tick() => tracing::warn!("{BANNER}"),
                () = shutdown.cancelled() => return,
            }
        }
    });
    danger::plaintext_transport(DialLimits::default())
}

/// Said in the log and in `/v1/status`.
pub(super) const BANNER: &str = "the internal port runs WITHOUT protection \
    (--allow-insecure-connections): whoever reaches it is a member of this cluster";

const REMINDER: Duration = Duration::from_secs(60);

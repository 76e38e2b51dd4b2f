//! Our side of every comparison: credentials and transports, as a node has them.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use cluster_tls::danger::plaintext_transport;
use cluster_tls::tonic::NodeChannel;
use cluster_tls::tonic::{ChannelOptions, NodeTransport, Security};
use cluster_tls::{
    AcceptLimits, Clock, CredentialBytes, Credentials, DialLimits, NoEvents, NodeAddress,
    PeerPolicy, Role, Snapshot, SystemClock, load_from, publish,
};

use crate::pki::Texts;

pub(crate) fn snapshot(texts: &Texts, clock: Arc<dyn Clock>) -> Result<Snapshot> {
    let texts = texts.clone();
    let mut bytes = Arc::new(CredentialBytes::new(texts.ca, texts.certificate, texts.key));
    Ok(load_from(&mut bytes, clock, PeerPolicy::default())?)
}

/// Credentials that nobody will change.
pub(crate) fn credentials(texts: &Texts) -> Result<Credentials> {
    Ok(publish(snapshot(texts, Arc::new(SystemClock))?).1)
}

pub(crate) fn mutual(credentials: Credentials) -> NodeTransport {
    NodeTransport::mutual(
        credentials,
        // The clients of one item share a certificate, which nodes do not.
        AcceptLimits {
            connections_per_peer: 1024,
            ..AcceptLimits::default()
        },
        DialLimits::default(),
        Arc::new(NoEvents),
    )
}

pub(crate) fn transport(security: Security, texts: &Texts) -> Result<NodeTransport> {
    Ok(match security {
        Security::Mutual => mutual(credentials(texts)?),
        Security::Plaintext => plaintext_transport(DialLimits::default()),
    })
}

/// A channel to a scheduler of this run.
pub(crate) fn channel(transport: &NodeTransport, to: SocketAddr) -> Result<NodeChannel> {
    let options = ChannelOptions::default();
    Ok(transport.channel(&address(to)?, Role::Scheduler, &options))
}

pub(crate) fn address(of: SocketAddr) -> Result<NodeAddress> {
    Ok(NodeAddress::new(&of.ip().to_string(), of.port())?)
}

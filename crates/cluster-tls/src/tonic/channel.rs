//! Channels that dial through us.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tonic::transport::{Channel, Endpoint};
use http::Uri;
use hyper_util::rt::TokioIo;
use tower_service::Service;

use super::stream::NodeStream;
use super::transport::Mode;
use crate::address::NodeAddress;
use crate::dial::{DialError, connect_tcp};
use crate::role::Role;

/// How a channel notices that its peer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelOptions {
    /// Time between HTTP/2 pings, also while idle; [`KEEPALIVE_INTERVAL`] by default.
    pub keepalive_interval: Duration,
    /// How long the answer to a ping may take; [`KEEPALIVE_TIMEOUT`] by default.
    pub keepalive_timeout: Duration,
}

impl Default for ChannelOptions {
    fn default() -> Self {
        Self {
            keepalive_interval: KEEPALIVE_INTERVAL,
            keepalive_timeout: KEEPALIVE_TIMEOUT,
        }
    }
}

/// A third of the time after which a silent node counts as lost.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);

/// A peer that has not answered a ping for this long is not there, or cannot work.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// How the connections of a channel are made.
#[derive(Clone)]
pub(super) struct Recipe {
    pub(super) mode: Mode,
    pub(super) to: NodeAddress,
    pub(super) expected: Role,
    pub(super) options: ChannelOptions,
}

impl Recipe {
    /// A channel that connects at its first use.
    pub(super) fn lazy(&self) -> Channel {
        let connector = Connector {
            recipe: self.clone(),
        };
        Endpoint::from(uri(&self.to))
            .http2_keep_alive_interval(self.options.keepalive_interval)
            .keep_alive_timeout(self.options.keepalive_timeout)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector)
    }

    /// The generation of the certificate that a connection made now would show.
    pub(super) fn generation(&self) -> u64 {
        self.mode.identity_generation()
    }
}

/// The URI says `http` whatever the transport is: the connector owns TLS, and tonic refuses
/// `https` without a TLS configuration of its own.
fn uri(to: &NodeAddress) -> Uri {
    #[expect(
        clippy::expect_used,
        reason = "a node address is a DNS name or an IP address with a port, and so an authority"
    )]
    Uri::builder()
        .scheme("http")
        .authority(to.to_string())
        .path_and_query("/")
        .build()
        .expect("a node address is an authority")
}

/// Dials one node; the URI it is called with is the one made above and says nothing more.
#[derive(Clone)]
struct Connector {
    recipe: Recipe,
}

impl Connector {
    async fn connect(self) -> Result<NodeStream, DialError> {
        let Recipe {
            mode, to, expected, ..
        } = &self.recipe;
        match mode {
            Mode::Mutual(mutual) => {
                let stream = mutual.dialer.connect(to, *expected).await?;
                Ok(NodeStream::mutual(stream))
            }
            Mode::Plaintext { dial } => {
                let (tcp, remote) = connect_tcp(to, *dial).await?;
                Ok(NodeStream::plaintext(tcp, remote))
            }
        }
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<NodeStream>;
    type Error = DialError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.connect().await.map(TokioIo::new) })
    }
}

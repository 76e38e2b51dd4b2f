//! A tonic server that bounds what one peer can ask of it.

use ::tonic::transport::Server;

use super::channel::{KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};

/// A tonic server with a bound on everything that a peer decides, to add services to and to give
/// to [`NodeTransport::serve`](super::NodeTransport::serve).
///
/// `Server::builder()` leaves several of them open: tonic passes "no limit" on where hyper itself
/// would have one, so that a member with a stolen key could make a node reset streams for ever
/// (CVE-2025-8671) or open any number at once. Message sizes are bounded by the generated services
/// (4 MiB unless told otherwise).
///
/// # Examples
///
/// ```no_run
/// # async fn serve(
/// #     transport: cluster_tls::tonic::NodeTransport,
/// #     listener: tokio::net::TcpListener,
/// #     routes: tonic::service::Routes,
/// # ) {
/// let router = cluster_tls::tonic::server_builder().add_routes(routes);
/// transport.serve(listener, router, std::future::pending()).await;
/// # }
/// ```
#[must_use]
pub fn server_builder() -> Server {
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION))
        .http2_max_header_list_size(Some(HEADER_LIST_BYTES))
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_max_local_error_reset_streams(Some(FORCED_RESETS))
}

/// Calls that one connection may have open at once; a node needs a few dozen.
pub const STREAMS_PER_CONNECTION: u32 = 256;

/// All headers of a call together, in bytes; hyper's own default, and several times what gRPC
/// needs.
pub const HEADER_LIST_BYTES: u32 = 16 * 1024;

/// Streams that a peer has opened and reset before they were looked at (CVE-2023-44487); hyper's
/// own default.
pub const PENDING_RESETS: usize = 20;

/// Streams that this node had to reset because the peer broke the rules on them (CVE-2025-8671);
/// hyper's own default.
pub const FORCED_RESETS: usize = 1024;

//! Serve and dial with tonic (feature `tonic`).
//!
//! tonic's own server TLS takes no rustls configuration, and its endpoints connect in plaintext
//! when the URI says `http`. Here one value, [`NodeTransport`], owns both directions, and what it
//! returns is as safe as the transport itself. `examples/hello_tonic.rs` is all of this in a
//! program that runs.
//!
//! # Serve
//!
//! Build the router on [`server_builder`], which bounds what a peer can ask for, without TLS, and
//! hand it to [`NodeTransport::serve`]. Each connection
//! has its own end: at its age, or with the certificate of its peer, it is asked to finish (HTTP/2
//! GOAWAY) and cut after the grace period.
//!
//! # Know
//!
//! Handlers find a [`Connection`] in the extensions of each request, with the identity that its
//! handshake proved. Nothing inside a request says who sent it.
//!
//! # Decide
//!
//! Two ways, and both deny what they do not know:
//!
//! - An [`AuthorizationLayer`] with a [`MethodTable`], for services that are generated or of others.
//! - A [`Method`] type for each method and an [`Authorizer`], for your own handlers: a handler that
//!   takes a [`Permit`] cannot be reached past the decision. Its [`gate`](Authorizer::gate) decides
//!   the same before a message is read.
//!
//! Denials are `PERMISSION_DENIED` with constant text; [`Decisions`] hears of the reason.
//!
//! ```
//! use std::sync::Arc;
//! use cluster_tls::Role;
//! use cluster_tls::tonic::{Authorizer, Method, WithoutIdentity};
//! use tonic::{Request, Response, Status};
//!
//! enum Submit {}
//! impl Method for Submit {
//!     const PATH: &'static str = "/example.Jobs/Submit";
//!     const ROLES: &'static [Role] = &[Role::Scheduler];
//!     const WITHOUT_IDENTITY: WithoutIdentity = WithoutIdentity::Refuse;
//! }
//!
//! fn submit(authorizer: &Authorizer, request: Request<String>) -> Result<Response<()>, Status> {
//!     let permit = authorizer.permit::<Submit, _>(&request)?;
//!     println!("{:?} submits {}", permit.peer(), request.get_ref());
//!     Ok(Response::new(()))
//! }
//! ```
//!
//! # Dial
//!
//! [`NodeTransport::channel`] gives a tonic channel that connects at its first use, and again when
//! the connection is lost, each time with the newest credentials. Why a connection was refused is
//! among the [sources](std::error::Error::source) of the status.
//!
//! **No call is lost when a connection ends.** A server asks a connection to finish before it ends
//! it, and tonic's own channel fails a call that meets this, although the server never began it: it
//! shows as `Cancelled` ("operation was canceled") or as `Internal` with an HTTP/2 GOAWAY. A
//! [`NodeChannel`] sends such calls again on a new connection, and no others.
//!
//! [`NodeTransport::endpoint`] is for code that insists on connecting by itself. What it makes is
//! verified in the same way, but is none of our [connections](crate::Connections): it is not
//! counted, not verified again, and not cut when the peer is revoked.

mod authorization;
mod builder;
mod channel;
mod endpoint;
mod incoming;
mod layer;
mod method_table;
mod node_channel;
mod recording;
mod seats;
mod server;
mod stream;
mod transport;

pub use self::authorization::{
    Authorizer, Decision, Decisions, Denied, Method, Permit, WithoutIdentity,
};
pub use self::builder::{
    FORCED_RESETS, HEADER_LIST_BYTES, PENDING_RESETS, STREAMS_PER_CONNECTION, server_builder,
};
pub use self::channel::{ChannelOptions, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
pub use self::endpoint::EndpointError;
pub use self::incoming::Incoming;
pub use self::layer::{AuthorizationLayer, Authorized};
pub use self::method_table::MethodTable;
pub use self::node_channel::NodeChannel;
pub use self::stream::{Connection, NodeStream};
pub use self::transport::{NodeTransport, Security};

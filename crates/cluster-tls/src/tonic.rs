//! Serve and dial with tonic (feature `tonic`).
//!
//! tonic's own server TLS takes no rustls configuration, and its endpoints connect in plaintext
//! when the URI says `http`. Here one value, [`NodeTransport`], owns both directions, and what it
//! returns is as safe as the transport itself.

mod authorization;
mod channel;
mod endpoint;
mod incoming;
mod stream;
mod transport;

pub use self::authorization::{
    Authorizer, Decision, Decisions, Denied, Method, Permit, WithoutIdentity,
};
pub use self::channel::{ChannelOptions, KEEPALIVE_INTERVAL, KEEPALIVE_TIMEOUT};
pub use self::endpoint::EndpointError;
pub use self::incoming::Incoming;
pub use self::stream::{Connection, NodeStream};
pub use self::transport::{NodeTransport, Security};

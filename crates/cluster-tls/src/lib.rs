//! Mutual TLS between the nodes of a cluster: load credentials, serve, dial, know who the peer is.
//!
//! Every connection is TLS 1.3 with a certificate on both ends, and what it hands over is a
//! [`PeerIdentity`]: a value that exists only after a completed handshake. Chains lead to the
//! configured roots and never to those of the system; hybrid post-quantum key exchange is
//! preferred; sessions are not resumed, because a resumed session skips the verifier.
//!
//! # Load
//!
//! [`load`] reads three PEM files and verifies them exactly as a peer would. What it finds wrong
//! it says with the file, the fault and the remedy. [`publish`] makes the snapshot current and
//! splits the right to change it from the right to read it.
//!
//! ```no_run
//! # use std::sync::Arc;
//! use cluster_tls::{CredentialPaths, PeerPolicy, SystemClock, load, publish};
//!
//! let paths = CredentialPaths {
//!     ca: "ca.pem".into(),
//!     certificate: "executor1.pem".into(),
//!     key: "executor1-key.pem".into(),
//! };
//! let clock = Arc::new(SystemClock);
//! let (mut writer, credentials) = publish(load(&paths, clock.clone(), PeerPolicy::default())?);
//!
//! // Later, with new files: roots, chain and key change together or not at all.
//! let generation = writer.swap(load(&paths, clock, PeerPolicy::default())?);
//! assert_eq!(credentials.current().generation(), generation);
//! # Ok::<(), cluster_tls::LoadError>(())
//! ```
//!
//! # Serve
//!
//! An [`Acceptor`] turns accepted connections into [`PeerStream`]s, within [`AcceptLimits`]. Each
//! connection takes the snapshot that is current when it begins.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cluster_tls::{AcceptLimits, Acceptor, Credentials, NoEvents};
//! # async fn serve(credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
//! let acceptor = Acceptor::new(credentials, AcceptLimits::default(), Arc::new(NoEvents));
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:50052").await?;
//! let (tcp, remote) = listener.accept().await?;
//! let stream = acceptor.accept(tcp, remote).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Dial
//!
//! A [`Dialer`] connects to a [`NodeAddress`] and says whom it expects there: the certificate must
//! carry the name that was dialled and a [`Role`] that may act as the expected one.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cluster_tls::{Credentials, DialLimits, Dialer, NoEvents, Role};
//! # async fn dial(credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
//! let dialer = Dialer::new(credentials, DialLimits::default(), Arc::new(NoEvents));
//! let scheduler = "scheduler1.cluster.local:50052".parse()?;
//! let stream = dialer.connect(&scheduler, Role::Scheduler).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Know
//!
//! [`PeerStream::peer`] is the identity to decide by; this crate decides who a peer is and never
//! what it may do. Refused handshakes reach the [`Events`] with a [`RefusalReason`] and the names
//! that the peer claimed.
//!
//! ```
//! use cluster_tls::{PeerIdentity, Role};
//!
//! fn may_submit(peer: &PeerIdentity) -> bool {
//!     peer.role().may_act_as(Role::Scheduler)
//! }
//! ```
//!
//! # Features
//!
//! - `tonic`: the `tonic` module, an incoming stream and channels for gRPC with the peer's
//!   identity in the request extensions, and the `danger` module. Off by default.

mod accept;
mod address;
mod certificate;
mod clock;
mod config;
mod credentials;
#[cfg(feature = "tonic")]
pub mod danger;
mod dial;
mod event;
mod identity;
mod load;
mod name;
mod policy;
mod refusal;
mod role;
mod root;
mod snapshot;
mod stream;
mod timestamp;
#[cfg(feature = "tonic")]
pub mod tonic;
mod verify;

pub use crate::accept::{
    AcceptError, AcceptLimits, Acceptor, CONCURRENT_HANDSHAKES, HANDSHAKE_TIMEOUT,
    PENDING_CONNECTIONS,
};
pub use crate::address::{AddressError, NodeAddress};
pub use crate::clock::{Clock, SystemClock};
pub use crate::credentials::{Credentials, CredentialsWriter, publish};
pub use crate::dial::{CONNECT_TIMEOUT, DialError, DialLimits, Dialer};
pub use crate::event::{Events, HandshakeEvent, NoEvents, Side};
pub use crate::identity::PeerIdentity;
pub use crate::load::{CredentialFile, CredentialPaths, LoadError, LoadFault, load};
pub use crate::name::{Name, NameError};
pub use crate::policy::{PeerPolicy, UnspecifiedRole};
pub use crate::refusal::{Refusal, RefusalReason};
pub use crate::role::{Role, UnknownRole};
pub use crate::root::RootSummary;
pub use crate::snapshot::Snapshot;
pub use crate::stream::PeerStream;

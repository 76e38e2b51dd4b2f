//! Mutual TLS between the nodes of a cluster: load credentials, serve, dial, know who the peer is.
//!
//! Every connection is TLS 1.3 with a certificate on both ends, and what it hands over is a
//! [`PeerIdentity`]: a value that exists only after a completed handshake. Credentials are replaced
//! while connections live; a peer that is no longer believed is cut. Refusals carry a reason that
//! machines can count and a sentence that people can act on.
//!
//! This page is the guide. With the feature `tonic` the module `tonic` has one of its own. The
//! directory `examples` holds programs that mint their certificates and run by themselves.
//!
//! # Load
//!
//! [`load`] reads three PEM files and verifies them exactly as a peer would: what our own verifier
//! would refuse from a peer, it refuses here, with the file, the fault and the remedy. [`publish`]
//! makes the snapshot current and splits the right to change it from the right to read it.
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
//! let snapshot = load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
//! println!("this node is {}", snapshot.own());
//! let (_writer, credentials) = publish(snapshot);
//! # Ok::<(), cluster_tls::LoadError>(())
//! ```
//!
//! A node that runs for longer than its certificate uses [`open`] instead, see [Rotate](#rotate).
//! Credentials that are not files come from a [`CredentialSource`].
//!
//! # Serve
//!
//! An [`Acceptor`] turns one accepted connection into a [`PeerStream`]. A [`Listener`] runs the
//! loop: handshakes beside each other, within [`AcceptLimits`], and none holds up another.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cluster_tls::{AcceptLimits, Acceptor, Credentials, Listener, NoEvents};
//! # async fn serve(credentials: Credentials) -> std::io::Result<()> {
//! let acceptor = Acceptor::new(credentials, AcceptLimits::default(), Arc::new(NoEvents));
//! let tcp = tokio::net::TcpListener::bind("0.0.0.0:7000").await?;
//! let mut listener = Listener::new(tcp, acceptor);
//! loop {
//!     let stream = listener.accept().await;
//!     println!("{} has connected", stream.peer());
//! }
//! # }
//! ```
//!
//! # Dial
//!
//! A [`Dialer`] connects to a [`NodeAddress`] and says whom it expects there: the certificate must
//! carry the name that was dialled and a [`Role`] that may act as the expected one. Both are
//! checked within the handshake, so that a stranger never gets to see our own certificate.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use cluster_tls::{Credentials, DialLimits, Dialer, NoEvents, Role};
//! # async fn dial(credentials: Credentials) -> Result<(), Box<dyn std::error::Error>> {
//! let dialer = Dialer::new(credentials, DialLimits::default(), Arc::new(NoEvents));
//! let scheduler = "scheduler1.cluster.local:7000".parse()?;
//! let stream = dialer.connect(&scheduler, Role::Scheduler).await?;
//! # Ok(())
//! # }
//! ```
//!
//! In TLS 1.3 the dialling side is done before the other one has looked at its certificate. A
//! server that refuses us shows it at the first read, as an alert; the precise reason is in the
//! events of the server.
//!
//! # Know
//!
//! A certificate names its holder in two ways, and each has one use:
//!
//! - DNS names and IP addresses say where it may be reached. Common names are never looked at.
//! - One URI, `spiffe://<trust domain>/<role>/<name>`, says what it may be: a `scheduler`, an
//!   `executor`, a `node` (both) or a `client`. URIs of other issuers are mapped by
//!   [`IdentityRule`]s. A certificate without a URI has the role [`Role::Unspecified`], which may
//!   act as any member unless [`UnspecifiedRole::Refuse`] says otherwise.
//!
//! [`PeerStream::peer`] is what the handshake proved. The trust domain is not compared with
//! anything: who may issue is decided by the roots, and whoever may issue may issue any name.
//!
//! # Decide
//!
//! This crate decides who a peer is; what it may do is yours. Ask for what a role may act as, and
//! not for equality: a [`Role::Node`] may do what an executor may.
//!
//! ```
//! use cluster_tls::{PeerIdentity, Role};
//!
//! fn may_submit(peer: &PeerIdentity) -> bool {
//!     peer.role().may_act_as(Role::Scheduler)
//! }
//! ```
//!
//! For gRPC, the module `tonic` has a table of methods and roles that denies by default.
//!
//! # Watch
//!
//! [`Events`] hears of every handshake, of connections dropped before one and of connections that
//! ended, of reloads, and of certificates that are about to end. The codes of [`RefusalReason`],
//! [`DropReason`] and [`CloseCause`] are stable, for metric labels. [`Refusal::claimed`] holds the
//! names that a refused peer's certificate carried: they help to find it and prove nothing.
//! [`Credentials::connections`] counts who is connected now. Key bytes are in no event and no log.
//!
//! # Rotate
//!
//! [`open`] gives credentials and the [`Reloader`] that makes them follow their source: it looks
//! every [`POLL_INTERVAL`], at once when a [`ReloadTrigger`] asks, and with the feature `notify`
//! when the operating system tells of a change to `WatchedFiles`. Roots, chain and key change
//! together or not at all. What cannot be used is told once, and what was in use stays.
//!
//! Every new connection takes the newest snapshot, accepted or dialled. Live ones are verified
//! again under it, beside their work: one whose peer is still believed does not notice.
//!
//! - **A new certificate** of the same root: replace the two files, in any order. A pause between
//!   them that is longer than [`SETTLE_TIME`] is told as a fault that goes away, and does no harm.
//!   Renew when [`ExpiryStage::Due`] is told.
//! - **A new root**: add it to the CA file of every node; then issue from it; then take the old one
//!   away. The last step cuts each connection that was made with a certificate of the old root, in
//!   the middle of what it does. So wait until none is left: for [`AcceptLimits::max_age`], or make
//!   connections anew when [`Credentials::identity_changed_from`] ends. The channels of
//!   the `tonic` module do the second by themselves: `examples/rotate_under_load.rs` rotates once a
//!   second under load, and no call fails.
//!
//! # Revoke
//!
//! A deny-list ([`FileSource::with_deny_list`]) names certificates by serial number or SHA-256
//! fingerprint; a serial number denies whoever has it, of any issuer. Revocation lists
//! ([`FileSource::with_crl`]) are those of RFC 5280; with them every root needs a current one, and
//! a certificate that no current list is about is refused. Both are part of the snapshot: within
//! one look of the [`Reloader`] the revoked peer's connections are cut ([`CloseCause::Revoked`])
//! and new ones refused. An intermediate on either list denies all that it has issued.
//! [`Connections::close`] cuts without denying.
//!
//! # Diagnose
//!
//! [`diagnose`] dials step by step and reports each: own files, name, TCP, TLS, chain, name, role,
//! expiry, and whether the peer admits us. [`LoadError`] displays as one line with its remedy.
//! Other errors keep their cause in [`source`](std::error::Error::source) and out of their text:
//! print the chain.
//!
//! # What a node's certificate must be
//!
//! The policy is applied at load to our own certificate and at every handshake to the peer's.
//!
//! | refused | because |
//! |---|---|
//! | a chain that leads to no configured root | system roots vouch for web sites, not for nodes |
//! | a root outside its dates | stock verifiers keep no dates of roots; several roots may overlap |
//! | no alternative name, or only a common name | RFC 9525 ended common names; nothing would be compared |
//! | a wildcard, or an address written as a DNS name | it identifies no single node |
//! | two URIs, or one that is no SPIFFE ID | "the first one wins" depends on who reads it |
//! | a CA, or a key usage of `keyCertSign` or `cRLSign` | a node could make nodes |
//! | no extended key usage, or not that of the direction | it was made for something else |
//! | an RSA key below 2048 bits | disallowed since 2014 (NIST SP 800-131A) |
//! | keys other than RSA, P-256, P-384, P-521 and Ed25519 | what nobody has judged is not strong |
//! | a validity of more than ten years | nobody told the tool a date |
//! | more than 10 certificates or 64 KiB of chain | work for us, nothing for the peer |
//!
//! Both `clientAuth` and `serverAuth` are asked of our own certificate. A private key that every
//! user of the machine may read is refused on Unix; group rights are accepted, since orchestrators
//! mount secrets so.
//!
//! # Security posture
//!
//! - TLS 1.3 alone. Key exchange is X25519MLKEM768, X25519 or P-256, in this order, from aws-lc-rs,
//!   whatever other crates of the build prefer and whether or not a default provider is installed
//!   (but see `NodeTransport::endpoint`, where tonic makes the connection).
//! - A client certificate is mandatory; there is no anonymous peer.
//! - Both ends must agree on the [`ApplicationProtocol`] by ALPN; a peer that offers none is
//!   refused.
//! - No session is resumed and no early data taken: a resumed session skips the verifier, and a
//!   revoked peer would walk back in with it.
//! - A name or address that was dialled is compared in canonical form with the certificate; reverse
//!   DNS is not asked.
//! - The clock is injected ([`Clock`]), and one for a whole snapshot.
//! - Denials tell a peer no more than an alert does; details stay in our own events.
//! - The crate has no `unsafe` code of its own.
//!
//! # Limits and defaults
//!
//! | constant | value | reason |
//! |---|---|---|
//! | [`HANDSHAKE_TIMEOUT`] | 10 s | a handshake takes milliseconds; forgives lost packets and a busy machine |
//! | [`CONNECT_TIMEOUT`] | 5 s | two lost SYN packets |
//! | [`CONCURRENT_HANDSHAKES`] | 64 | a whole cluster that reconnects at once |
//! | [`HANDSHAKES_PER_SOURCE`] | 16 | a quarter: no source keeps all others waiting |
//! | [`PENDING_CONNECTIONS`] | 512 | a descriptor each; for one more, one of the source that has most goes |
//! | [`PENDING_PER_SOURCE`] | 256 | half: many nodes may share an address |
//! | [`FAILURE_BURST`], [`FAILURES_PER_SECOND`] | 64, 8 | a wrong certificate fails a few times, a scanner hundreds |
//! | [`CONNECTIONS_PER_PEER`] | 256 | a stolen key must not use up the descriptors |
//! | [`MAX_AGE`] | 1 h | up to a tenth earlier by chance; an old decision does not live for a day |
//! | [`DRAIN_GRACE`] | 15 min | to finish in; never more than a quarter of the age |
//! | [`POLL_INTERVAL`] | 2 s | how long a revoked peer stays |
//! | [`SETTLE_TIME`] | 250 ms | longer than any tool takes between two files |
//! | file size | 1 MiB | a bundle of a hundred roots is a fifth of it |
//!
//! A source is an IPv4 address or an IPv6 /64 network. A connection ends at the earliest of its
//! age and the end of its peer's certificate; the age is the accepting side's affair.
//!
//! # Coming from tonic's own TLS or from hand-written rustls
//!
//! Read in the sources of tonic 0.14.9, tokio-rustls 0.26.6, rustls 0.23.46 and webpki 0.103.17.
//!
//! | there | here |
//! |---|---|
//! | tonic: an `Endpoint` with a TLS configuration and an `http://` URI connects in plaintext without a word | addresses have no scheme; endpoints of other code are refused unless they say `https` |
//! | tonic: certificate, key and roots are fixed when a channel or server is made, and reconnects use the same | each connection takes the newest |
//! | tonic: no handshake timeout unless set, and no bound on handshakes under way | both, for each source and for all |
//! | tonic: a failed handshake is a debug line without the peer's address | an event with reason, address and claimed names |
//! | tonic: a handler gets certificates as DER | a [`PeerIdentity`] |
//! | tonic: `add_parsable_certificates` drops roots that do not parse | they are an error, at load |
//! | rustls: the client verifier looks at no name: a leaf with a common name alone, a wildcard, two URIs all pass | refused, each with its reason |
//! | rustls: an expired root still vouches, for a trust anchor has no dates | refused |
//! | rustls: a client certificate without extended key usage passes | refused |
//! | rustls: sessions are resumed by default, and a resumed one is believed without its verifier | not resumed |
//! | rustls: a revocation list is believed past its next update unless asked otherwise | out of date is as good as none: refused |
//! | rustls: TLS 1.2 as well, by default feature | TLS 1.3 alone |
//! | rustls: a peer that offers no ALPN protocol passes | refused |
//! | rustls: the post-quantum group comes last in builds without the feature `prefer-post-quantum` | first, always |
//! | tokio-rustls: `accept` and `connect` wait for ever | bounded |
//! | either: a live connection outlives certificate, root and revocation | verified again at each change, and bounded in age |
//!
//! # What it does not do
//!
//! - It issues nothing, and fetches nothing: no ACME, no SPIFFE Workload API, no OCSP, no CRL
//!   distribution points. Files, or your own [`CredentialSource`].
//! - Keys are PEM, unencrypted, in memory: no hardware tokens.
//! - It speaks TCP alone: no QUIC, no Unix sockets through [`Listener`] and [`Dialer`]; an
//!   [`Acceptor`] takes any stream.
//! - There are four roles and no others.
//! - Who holds a node's key is that node, until it is revoked or its certificate ends.
//! - It was tested on Linux. Elsewhere than on Unix, rights of the key file are not looked at.
//!
//! # Features
//!
//! - `tonic`: the modules `tonic` and `danger`, gRPC with the peer's identity in the request
//!   extensions.
//! - `notify`: `WatchedFiles`, a source that tells of its changes.
//! - `fips`: the FIPS module of aws-lc instead of the other one. Its build needs CMake, Go and a C
//!   compiler. Of the key exchange groups X25519MLKEM768 and P-256 remain, of the cipher suites
//!   those with AES-GCM. rustls counts X25519MLKEM768 as approved because its first part, ML-KEM,
//!   is in the module; whether that is enough is for your auditor.
//!
//! All are off by default.
#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod accept;
mod address;
mod certificate;
mod clock;
mod config;
mod connections;
mod credentials;
#[cfg(feature = "tonic")]
pub mod danger;
mod diagnose;
mod dial;
mod event;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod load;
mod name;
mod policy;
mod refusal;
mod reload;
mod revocation;
mod role;
mod root;
mod snapshot;
mod stream;
mod timestamp;
#[cfg(feature = "tonic")]
pub mod tonic;
mod verify;

pub use crate::accept::{
    AcceptError, AcceptLimits, Acceptor, CONCURRENT_HANDSHAKES, CONNECTIONS_PER_PEER, DRAIN_GRACE,
    FAILURE_BURST, FAILURES_PER_SECOND, HANDSHAKE_TIMEOUT, HANDSHAKES_PER_SOURCE, Listener,
    MAX_AGE, PENDING_CONNECTIONS, PENDING_PER_SOURCE,
};
pub use crate::address::{AddressError, NodeAddress};
pub use crate::clock::{Clock, SystemClock};
pub use crate::connections::{CloseCause, Connections, Cut};
pub use crate::credentials::{Credentials, CredentialsWriter, publish};
pub use crate::diagnose::{Diagnosis, Stage, Step, StepOutcome, diagnose};
pub use crate::dial::{CONNECT_TIMEOUT, DialError, DialLimits, Dialer};
pub use crate::event::{
    ClosedEvent, DropReason, DroppedEvent, Events, ExpiryEvent, ExpiryStage, HandshakeEvent,
    NoEvents, ReloadEvent, Side,
};
pub use crate::identity::{IdentityRule, IdentityRuleError, PeerIdentity};
pub use crate::load::{
    CredentialBytes, CredentialFile, CredentialPaths, CredentialSource, FileSource, LoadError,
    LoadFault, RevocationBytes, load, load_from,
};
pub use crate::name::{Name, NameError};
pub use crate::policy::{ApplicationProtocol, PeerPolicy, UnspecifiedRole};
pub use crate::refusal::{Refusal, RefusalReason, RefusedBy};
#[cfg(feature = "notify")]
pub use crate::reload::WatchedFiles;
pub use crate::reload::{POLL_INTERVAL, ReloadTiming, ReloadTrigger, Reloader, SETTLE_TIME, open};
pub use crate::revocation::RevocationListSummary;
pub use crate::role::{Role, UnknownRole};
pub use crate::root::RootSummary;
pub use crate::snapshot::Snapshot;
pub use crate::stream::PeerStream;

//! What must never be reached by accident (feature `tonic`).
//!
//! Everything else in this crate is safe by construction; what is not has its place here, so that a
//! reviewer finds every use by one word.

use crate::dial::DialLimits;
use crate::tonic::NodeTransport;

/// A transport without TLS: **anybody who reaches the port is a member of the cluster**, and
/// anybody on the way reads and changes what is sent.
///
/// For development on one machine. There is no other way to make one, so that a search for this
/// name finds every place where it happens. Peers have no identity on it:
/// [`Connection::peer`](crate::tonic::Connection::peer) is `None`.
///
/// # Examples
///
/// ```
/// use cluster_tls::DialLimits;
/// use cluster_tls::danger::plaintext_transport;
/// use cluster_tls::tonic::Security;
///
/// let transport = plaintext_transport(DialLimits::default());
/// assert_eq!(transport.security(), Security::Plaintext);
/// ```
#[must_use]
pub fn plaintext_transport(dial: DialLimits) -> NodeTransport {
    NodeTransport::plaintext(dial)
}

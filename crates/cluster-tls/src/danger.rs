//! What must never be reached by accident.

use crate::accept::AcceptLimits;
use crate::dial::DialLimits;
use crate::tonic::NodeTransport;

/// A transport without TLS: **anybody who reaches the port is a member of the cluster**, and
/// anybody on the way reads and changes what is sent.
///
/// For development on one machine. There is no other way to make one, so that a search for this
/// name finds every place where it happens. Peers have no identity on it:
/// [`Connection::peer`](crate::tonic::Connection::peer) is `None`.
#[must_use]
pub fn plaintext_transport(accept: AcceptLimits, dial: DialLimits) -> NodeTransport {
    NodeTransport::plaintext(accept, dial)
}

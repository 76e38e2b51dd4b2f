//! Whether the peer accepts our certificate.
//!
//! In TLS 1.3 a client is done before the server has looked at its certificate, so that only what
//! the server says next shows whether it was accepted.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::{LOOK_THERE, Stream};
use crate::refusal::{Refusal, RefusalReason};

/// Begins to speak and waits for an answer, or for an alert.
pub(super) async fn ask(mut stream: Stream, limit: Duration) -> Result<String, Refusal> {
    let speaks_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let answered = async {
        if speaks_http2 {
            // A peer that has hung up already has said why, and that is still there to be read.
            let _ = stream.write_all(HTTP2_BEGINNING).await;
            let _ = stream.flush().await;
        }
        stream.read(&mut [0; 16]).await
    };
    let limit = if speaks_http2 {
        limit
    } else {
        limit.min(SILENCE_IS_CONSENT)
    };
    match timeout(limit, answered).await {
        Ok(Ok(0)) => Err(Refusal::new(
            RefusalReason::Closed,
            "the peer closed the connection after the handshake",
        )),
        Ok(Ok(_)) => Ok("the peer speaks to us".to_owned()),
        Ok(Err(error)) => Err(refused(&error)),
        Err(_) if !speaks_http2 => Ok(format!("the peer did not refuse us within {limit:?}")),
        Err(_) => Err(Refusal::new(
            RefusalReason::Timeout,
            format!("the peer did not answer within {limit:?}"),
        )),
    }
}

fn refused(error: &io::Error) -> Refusal {
    Refusal::from_handshake(error)
}

/// What the alerts of a server mean, for the one who gets them.
pub(super) fn remedy(refusal: &Refusal) -> Option<&'static str> {
    let detail = refusal.detail();
    let known = ALERTS.iter().find(|(alert, _)| detail.ends_with(alert));
    Some(known.map_or(LOOK_THERE, |(_, remedy)| remedy))
}

/// Alerts by the names of RFC 8446, section 6.2.
const ALERTS: [(&str, &str); 7] = [
    (
        "certificate_expired",
        "compare the clocks of both nodes with the dates of our certificate; renew it if it ended",
    ),
    (
        "certificate_revoked",
        "our certificate is revoked there: issue a new one, if this node is to be a member",
    ),
    (
        "unknown_ca",
        "the peer does not trust our issuer, or has no current revocation list of it: compare the CA files, and see its log",
    ),
    (
        "access_denied",
        "the peer keeps us out: it asks for a role that our certificate lacks, or distrusts its issuer",
    ),
    (
        "certificate_required",
        "the peer saw no certificate of ours: see whether something between ends TLS",
    ),
    (
        "unsupported_certificate",
        "our certificate lacks the usage clientAuth: issue it for both directions",
    ),
    (
        "bad_certificate",
        "the peer cannot read our certificate; its log says what is wrong",
    ),
];

/// The connection preface and empty settings (RFC 9113, section 3.4): a server answers with its
/// own settings, and has not been asked for anything.
const HTTP2_BEGINNING: &[u8] =
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";

/// Where nothing is known about the protocol, a peer that has not hung up for this long has
/// accepted us.
const SILENCE_IS_CONSENT: Duration = Duration::from_secs(1);

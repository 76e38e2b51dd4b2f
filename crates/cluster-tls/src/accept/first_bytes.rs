//! What a peer begins with: a TLS handshake, or something that has no business here.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::Replayed;
use crate::certificate::printable;
use crate::refusal::{Refusal, RefusalReason};

/// Reads just enough of `io` to know that a TLS handshake begins, and gives it back unread.
pub(super) async fn expect_tls<IO>(mut io: IO) -> Result<Replayed<IO>, Refusal>
where
    IO: AsyncRead + Unpin,
{
    let mut seen = [0; SEEN_MAX];
    let mut filled = 0;
    while filled < RECORD_TYPE_AND_VERSION {
        let count = io
            .read(&mut seen[filled..])
            .await
            .map_err(|error| Refusal::from_transport(&error))?;
        if count == 0 {
            return Err(closed(filled));
        }
        filled += count;
        judge(&seen[..filled])?;
    }
    Ok(Replayed::new(seen[..filled].to_vec(), io))
}

/// A TLS connection starts with a handshake record of version 3.x (RFC 8446, 5.1).
pub(crate) fn judge(seen: &[u8]) -> Result<(), Refusal> {
    match seen {
        [HANDSHAKE] | [HANDSHAKE, MAJOR_VERSION, ..] => Ok(()),
        [first, ..] if first.is_ascii_alphabetic() => Err(Refusal::new(
            RefusalReason::Plaintext,
            format!(
                "not TLS, but {}: {:?}",
                protocol(seen),
                printable(&String::from_utf8_lossy(seen))
            ),
        )),
        _ => Err(Refusal::new(
            RefusalReason::Plaintext,
            "not TLS, and nothing known",
        )),
    }
}

fn protocol(seen: &[u8]) -> &'static str {
    let known = BEGINNINGS
        .iter()
        .find(|(beginning, _)| seen.starts_with(beginning));
    known.map_or("text of an unknown protocol", |(_, name)| name)
}

fn closed(filled: usize) -> Refusal {
    let detail = if filled == 0 {
        "the peer closed the connection without a word, as health probes and port scanners do"
    } else {
        "the peer closed the connection in the middle of the handshake"
    };
    Refusal::new(RefusalReason::Closed, detail)
}

/// What plaintext clients open with.
const BEGINNINGS: [(&[u8], &str); 9] = [
    (b"PRI * HTTP/2", "HTTP/2 or gRPC without TLS"),
    (b"GET ", "HTTP without TLS"),
    (b"POST ", "HTTP without TLS"),
    (b"PUT ", "HTTP without TLS"),
    (b"HEAD ", "HTTP without TLS"),
    (b"OPTIONS ", "HTTP without TLS"),
    (b"CONNECT ", "an HTTP proxy request"),
    (b"PROXY ", "a load balancer's PROXY header"),
    (b"SSH-", "SSH"),
];

const HANDSHAKE: u8 = 22;
const MAJOR_VERSION: u8 = 3;
const RECORD_TYPE_AND_VERSION: usize = 2;

/// The length of the HTTP/2 preface, the longest beginning worth showing.
const SEEN_MAX: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(seen: &[u8]) -> Option<String> {
        judge(seen).err().map(|refusal| refusal.detail().to_owned())
    }

    #[test]
    fn a_handshake_record_passes_even_byte_by_byte() {
        assert_eq!(verdict(&[22]), None);
        assert_eq!(verdict(&[22, 3]), None);
        assert_eq!(verdict(&[22, 3, 1, 2, 0]), None);
    }

    #[test]
    fn plaintext_is_called_by_its_name() {
        assert!(verdict(b"PRI * HTTP/2.0\r\n").unwrap().contains("gRPC"));
        assert!(verdict(b"GET / HTTP/1.1").unwrap().contains("HTTP without"));
        assert!(verdict(b"SSH-2.0-x").unwrap().contains("SSH"));
        assert!(verdict(b"hello").unwrap().contains("unknown protocol"));
        assert!(verdict(&[22, 2]).unwrap().contains("nothing known"));
        assert!(verdict(&[0]).unwrap().contains("nothing known"));
    }
}

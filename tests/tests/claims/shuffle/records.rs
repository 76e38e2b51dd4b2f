//! One direction of a connection as TLS records (RFC 8446, section 5).

use anyhow::{Result, bail, ensure};

/// How many bytes were sent openly and how many encrypted, headers included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Volume {
    /// The hello, and in TLS 1.3 nothing that says who is talking.
    pub(super) open: usize,
    /// Everything behind it.
    pub(super) encrypted: usize,
}

/// Reads a stream whose last record may still be on its way.
///
/// # Errors
///
/// When a byte of it is no part of a TLS record, or one was sent openly behind the first
/// encrypted record.
pub(super) fn read(mut stream: &[u8]) -> Result<Volume> {
    let mut volume = Volume {
        open: 0,
        encrypted: 0,
    };
    while let [kind, major, minor, high, low, rest @ ..] = stream {
        // Only the first hello may carry 3.1, for the sake of old servers.
        ensure!(
            (*major, *minor) == (3, 3) || (volume.open == 0 && (*major, *minor) == (3, 1)),
            "version {major}.{minor}"
        );
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        ensure!(length <= LONGEST, "a record of {length} bytes");
        match *kind {
            APPLICATION_DATA => volume.encrypted += HEADER + length,
            CHANGE_CIPHER_SPEC | HANDSHAKE if volume.encrypted == 0 => {
                volume.open += HEADER + length;
            }
            other => bail!("a record of type {other} behind {volume:?}"),
        }
        stream = rest.get(length..).unwrap_or_default();
    }
    Ok(volume)
}

const HEADER: usize = 5;

/// 2^14 bytes and what encryption adds at most.
const LONGEST: usize = 16 * 1024 + 256;

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: [u8; 7] = [22, 3, 1, 0, 2, 1, 0];
    const DATA: [u8; 8] = [23, 3, 3, 0, 3, 7, 7, 7];

    #[test]
    fn a_hello_and_data_are_told_apart() {
        let stream = [&HELLO[..], &DATA, &DATA[..6]].concat();
        let volume = Volume {
            open: 7,
            encrypted: 16,
        };
        assert_eq!(read(&stream).unwrap(), volume);
    }

    #[test]
    fn what_is_no_record_and_what_comes_openly_behind_data_is_an_error() {
        assert!(read(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").is_err());
        let stream = [&HELLO[..], &DATA, &HELLO].concat();
        assert!(read(&stream).is_err());
        let plain = [&HELLO[..], &DATA, b"ARROW1 and more"].concat();
        assert!(read(&plain).is_err());
        let alert = [&DATA[..], &[21, 3, 3, 0, 2, 1, 0]].concat();
        assert!(read(&alert).is_err());
    }
}

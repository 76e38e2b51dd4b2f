//! PEM (RFC 7468), written.

/// A section called `label` that holds `content`.
#[must_use]
pub fn pem(label: &str, content: &[u8]) -> Vec<u8> {
    let mut text = format!("-----BEGIN {label}-----\n").into_bytes();
    // 48 octets are a line of 64 characters.
    for line in content.chunks(48) {
        text.extend(line.chunks(3).flat_map(base64));
        text.push(b'\n');
    }
    text.extend(format!("-----END {label}-----\n").into_bytes());
    text
}

/// Four characters for up to three octets (RFC 4648, 4).
fn base64(octets: &[u8]) -> [u8; 4] {
    let octet = |index: usize| u32::from(octets.get(index).copied().unwrap_or_default());
    let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
    let letter = |index: usize| {
        if index > octets.len() {
            return b'=';
        }
        let six = bits >> (18 - 6 * index) & 0x3f;
        ALPHABET[six as usize]
    };
    [letter(0), letter(1), letter(2), letter(3)]
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

//! Text from strangers, made safe to show.

/// Lower-case hexadecimal without separators.
///
/// By table, because it is done twice a handshake: with the formatter it was the largest part of
/// reading a certificate.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text
}

/// Text with control characters escaped and its length bounded, so that a certificate can
/// neither forge a log line nor fill a disk.
pub(crate) fn printable(text: &str) -> String {
    // What nearly all text is like, without a look at each character's escape.
    let is_plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\'' | b'\\');
    if text.len() <= SHOWN_MAX && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// Longer than any DNS name (253) needs to be recognized.
const SHOWN_MAX: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_two_digits() {
        for byte in 0..=u8::MAX {
            assert_eq!(hex(&[byte, 0x0f]), format!("{byte:02x}0f"));
        }
    }

    #[test]
    fn a_name_cannot_start_a_new_log_line() {
        assert_eq!(printable("a\nlevel=info"), "a\\nlevel=info");
        assert_eq!(printable("a\"b'c\\d\u{7f}"), "a\\\"b\\'c\\\\d\\u{7f}");
        assert_eq!(
            printable("executor1.cluster.local"),
            "executor1.cluster.local"
        );
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(printable(&"x".repeat(1000)).len(), SHOWN_MAX + 3);
    }
}

//! Text from strangers, made safe to show.

/// Lower-case hexadecimal without separators.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text with control characters escaped and its length bounded, so that a certificate can
/// neither forge a log line nor fill a disk.
pub(crate) fn printable(text: &str) -> String {
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
    fn a_name_cannot_start_a_new_log_line() {
        assert_eq!(printable("a\nlevel=info"), "a\\nlevel=info");
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(printable(&"x".repeat(1000)).len(), SHOWN_MAX + 3);
    }
}

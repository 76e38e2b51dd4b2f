//! What peers say about themselves, made fit to be shown: bounded, and without anything that could
//! steer a terminal. It is believed no further than that.

/// A digest of an application definition; `None` where it is none.
pub(crate) fn digest(text: &str) -> Option<&str> {
    let hexadecimal = text.bytes().all(|it| it.is_ascii_hexdigit());
    (text.len() == DIGEST_DIGITS && hexadecimal).then_some(text)
}

/// The version of a program; `None` where nothing printable was said.
pub(crate) fn version(text: &str) -> Option<String> {
    let printable = text.chars().filter(char::is_ascii_graphic);
    let version: String = printable.take(VERSION_CHARACTERS).collect();
    (!version.is_empty()).then_some(version)
}

/// Why something is as it is, in a line.
pub(crate) fn reason(text: &str) -> String {
    let printable = text.chars().filter(|character| !character.is_control());
    printable.take(REASON_CHARACTERS).collect()
}

/// SHA-256 in hexadecimal.
const DIGEST_DIGITS: usize = 64;

/// A version with a pre-release and a build behind it.
const VERSION_CHARACTERS: usize = 64;

const REASON_CHARACTERS: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_is_bounded_and_cannot_steer_a_terminal() {
        assert_eq!(version("0.1.0-rc.1+7").as_deref(), Some("0.1.0-rc.1+7"));
        assert_eq!(
            version("\u{1b}[31m0.1\u{202e}\n").as_deref(),
            Some("[31m0.1")
        );
        assert_eq!(version(&"9".repeat(1000)).map(|it| it.len()), Some(64));
        assert_eq!(version("\u{7}\u{9b} "), None);
        assert_eq!(reason("a\u{1b}[2J\r\nb"), "a[2Jb");
        assert_eq!(reason(&"ö".repeat(1000)).chars().count(), 200);
    }

    #[test]
    fn a_digest_has_sixty_four_hexadecimal_digits_and_nothing_else_is_one() {
        let good = "0a".repeat(32);
        assert_eq!(digest(&good), Some(good.as_str()));
        for bad in ["", "0a", &"0g".repeat(32), &"0a".repeat(33)] {
            assert_eq!(digest(bad), None, "{bad}");
        }
    }
}

//! The deny-list: the simple alternative to revocation lists.

use super::LoadFault;
use crate::revocation::DenyList;

/// Reads one certificate a line, as serial number or SHA-256 fingerprint.
///
/// Both are written in the ways that tools print them: with or without colons, in either case,
/// with or without `0x`. A line that is neither is an error and never skipped: a typing mistake
/// must not let a thief back in.
pub(super) fn read(text: &[u8]) -> Result<DenyList, LoadFault> {
    let text = std::str::from_utf8(text).map_err(|_| LoadFault::BadDenyList {
        line: 1,
        detail: "not text",
    })?;
    if text.trim().is_empty() {
        // A copy that was cut short looks like this, and would let everybody back in.
        return Err(LoadFault::Empty);
    }
    let mut denied = DenyList::default();
    for (index, line) in text.lines().enumerate() {
        let entry = line.split('#').next().unwrap_or_default().trim();
        if entry.is_empty() {
            continue;
        }
        let fault = |detail| LoadFault::BadDenyList {
            line: index + 1,
            detail,
        };
        denied.add(&digits(entry).map_err(fault)?);
    }
    Ok(denied)
}

/// Lower-case hexadecimal digits without separators and leading zero octets.
fn digits(entry: &str) -> Result<String, &'static str> {
    let entry = entry.strip_prefix("0x").unwrap_or(entry);
    let mut digits: String = entry.chars().filter(|letter| *letter != ':').collect();
    digits.make_ascii_lowercase();
    if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("neither a serial number nor a fingerprint in hexadecimal");
    }
    match digits.len() {
        FINGERPRINT_DIGITS => Ok(digits),
        // RFC 5280, 4.1.2.2: at most 20 octets, and one of sign in the encoding.
        length if length <= SERIAL_DIGITS_MAX => serial(&digits),
        _ => Err("longer than a serial number, and no SHA-256 fingerprint"),
    }
}

/// A serial number is positive and has at most 20 octets (RFC 5280, 4.1.2.2), so that the first
/// bit of 20 is never set. Half of all SHA-1 fingerprints, which some tools print, show that way.
fn serial(digits: &str) -> Result<String, &'static str> {
    let digits = significant(digits);
    if digits.len() > SERIAL_OCTETS_MAX * 2
        || digits.len() == SERIAL_OCTETS_MAX * 2 && digits.as_bytes()[0] >= b'8'
    {
        return Err("no serial number; is it a SHA-1 fingerprint?");
    }
    Ok(digits)
}

/// The serial as certificates show it: whole octets, no zero octets in front.
fn significant(digits: &str) -> String {
    let significant = digits.trim_start_matches('0');
    match significant.len() {
        0 => "00".to_owned(),
        length if length % 2 == 1 => format!("0{significant}"),
        _ => significant.to_owned(),
    }
}

const FINGERPRINT_DIGITS: usize = 64;
const SERIAL_DIGITS_MAX: usize = 42;
const SERIAL_OCTETS_MAX: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_read_in_every_way_that_tools_print_them() {
        for text in ["5F:3A", "0x5f3a", "005f3a  # executor7", "\n\n5f3a\r\n"] {
            assert!(read(text.as_bytes()).unwrap().holds("5f3a", ""), "{text}");
        }
        assert!(read(b"1").unwrap().holds("01", ""));
        assert!(!read(b"5f3a").unwrap().holds("5f3b", ""));
    }

    #[test]
    fn a_fingerprint_is_told_from_a_serial() {
        let fingerprint = "ab".repeat(32);
        let denied = read(fingerprint.to_uppercase().as_bytes()).unwrap();
        assert!(denied.holds("01", &fingerprint));
        assert!(!denied.holds(&fingerprint, "01"));
    }

    #[test]
    fn a_mistake_is_an_error_with_its_line() {
        let long = "a".repeat(50);
        for text in ["5f3a\nexecutor7", "# x\n5f3g", &format!("1\n{long}")] {
            let fault = read(text.as_bytes()).unwrap_err();
            assert!(fault.to_string().contains("line 2"), "{fault}");
        }
        assert!(read(&[0xff]).is_err());
    }

    #[test]
    fn a_list_of_nobody_says_so_and_an_empty_file_is_none() {
        assert!(!read(b"# nobody yet\n").unwrap().holds("01", "02"));
        assert!(matches!(read(b" \n"), Err(LoadFault::Empty)));
    }

    #[test]
    fn a_sha1_fingerprint_is_no_serial_number_where_that_shows() {
        assert!(read("ff".repeat(20).as_bytes()).is_err());
        assert!(read("7f".repeat(20).as_bytes()).is_ok());
        assert!(read(format!("00{}", "7f".repeat(20)).as_bytes()).is_ok());
        assert!(read("7f".repeat(21).as_bytes()).is_err());
    }
}

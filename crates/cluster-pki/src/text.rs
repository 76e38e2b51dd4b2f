//! Text from strangers, made safe to show.

use std::fmt::Write as _;

use x509_parser::der_parser::Oid;
use x509_parser::objects::{oid_registry, oid2abbrev, oid2sn};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

/// Text with everything escaped that moves a cursor, colours a line or turns it around, and its
/// length bounded: what a certificate says must not act on the terminal that shows it.
///
/// The backslash is escaped too, so that nobody can write something that looks escaped.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN_MAX));
    for character in text.chars().take(SHOWN_MAX) {
        match character {
            '"' | '\'' => shown.push(character),
            _ => shown.extend(character.escape_debug()),
        }
    }
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}

/// The same for octets that should have been text.
pub(crate) fn printable_octets(octets: &[u8]) -> String {
    printable(&String::from_utf8_lossy(octets))
}

/// A distinguished name in the order of the certificate: `O=cluster.local, CN=executor1`.
///
/// A comma or a plus within a value is escaped (RFC 4514, section 2.4), for otherwise one
/// attribute could be written so that it looks like two.
pub(crate) fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    for part in name.iter_rdn() {
        for (index, attribute) in part.iter().enumerate() {
            let separator = match index {
                _ if text.is_empty() => "",
                0 => ", ",
                _ => " + ",
            };
            let label = abbreviation(attribute.attr_type());
            // Writing into a string cannot fail.
            let _ = write!(text, "{separator}{label}={}", attribute_value(attribute));
        }
    }
    text
}

/// The short name of an object, or its number where it has none: `serverAuth`, `1.2.3.4`.
pub(crate) fn object_name(object: &Oid<'_>) -> String {
    match oid2sn(object, oid_registry()) {
        Ok(name) => name.to_owned(),
        Err(_) => printable(&object.to_string()),
    }
}

fn abbreviation(object: &Oid<'_>) -> String {
    match oid2abbrev(object, oid_registry()) {
        Ok(name) => name.to_owned(),
        Err(_) => printable(&object.to_string()),
    }
}

fn attribute_value(attribute: &AttributeTypeAndValue<'_>) -> String {
    let text = match attribute.as_str() {
        Ok(text) => printable(text),
        Err(_) => printable_octets(attribute.attr_value().data),
    };
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ',' | '+') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Longer than any DNS name (253) needs.
const SHOWN_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair};
    use x509_parser::parse_x509_certificate;

    use super::*;

    #[test]
    fn what_would_act_on_a_terminal_is_escaped() {
        for (text, shown) in [
            ("\u{1b}[2Jgone", r"\u{1b}[2Jgone"),
            ("a\nb\r\t", r"a\nb\r\t"),
            ("\u{9b}31m", r"\u{9b}31m"),
            ("\u{202e}lacol", r"\u{202e}lacol"),
            ("\u{7f}\0", r"\u{7f}\0"),
            (r"\u{1b}", r"\\u{1b}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn what_people_write_is_shown_as_it_is() {
        for text in ["executor1.cluster.local", "it's \"fine\"", "Zürich 東京"] {
            assert_eq!(printable(text), text);
        }
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!(printable(&"é".repeat(1000)).chars().count(), SHOWN_MAX + 3);
    }

    fn subject(parts: &[(DnType, &str)]) -> String {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        let (_, parsed) = parse_x509_certificate(certificate.der()).unwrap();
        distinguished_name(parsed.subject())
    }

    #[test]
    fn one_attribute_cannot_look_like_two() {
        let honest = [(DnType::OrganizationName, "a"), (DnType::CommonName, "b")];
        assert_eq!(subject(&honest), "O=a, CN=b");
        let forged = [(DnType::OrganizationName, "a, CN=b")];
        assert_eq!(subject(&forged), r"O=a\, CN=b");
    }
}

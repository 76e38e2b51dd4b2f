//! PEM files as they are found: any sections, in any mixture, with text around them.
//!
//! The decoder of the TLS stack skips sections that it was not asked for. Whoever looks into a
//! file, or signs one, wants to know about every section instead.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::text::printable_octets;

/// One section: what its first line claims, and what is in it.
pub(crate) struct PemSection {
    /// The words between `BEGIN` and the dashes, safe to show.
    pub(crate) label: String,
    pub(crate) body: Result<PemBody, PemFault>,
}

/// What is in a section. It may be a key.
pub(crate) enum PemBody {
    Plain(Zeroizing<Vec<u8>>),
    /// Before PKCS#8, OpenSSL wrote encryption into a header inside the section (RFC 1421).
    Encrypted,
}

/// Why a section, or a whole file, is not PEM. It never quotes the content, which may be a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemFault {
    /// The last line of a section is missing.
    #[error("the section does not end")]
    NoEnd,
    /// The first line of a section is damaged.
    #[error("the section does not begin properly")]
    BadBegin,
    /// Blanks stand before a section, and other programs would take it for a comment.
    #[error("the section does not begin at the start of its line")]
    Indented,
    /// The content is damaged.
    #[error("the content is not base64")]
    NotBase64,
}

/// Whether there is any section at all.
pub(crate) fn has_sections(text: &[u8]) -> bool {
    lines(text).any(|line| line.trim_ascii_start().starts_with(BEGIN))
}

/// Every section, in order; text before, between and after them is passed over.
pub(crate) fn sections(text: &[u8]) -> Vec<PemSection> {
    let mut lines = lines(text);
    let mut sections = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix(BEGIN) {
            sections.push(section(rest, &mut lines));
        } else if line.trim_ascii_start().starts_with(BEGIN) {
            let rest = &line.trim_ascii_start()[BEGIN.len()..];
            let mut section = section(rest, &mut lines);
            section.body = Err(PemFault::Indented);
            sections.push(section);
        }
    }
    sections
}

fn section<'a>(rest: &[u8], lines: &mut impl Iterator<Item = &'a [u8]>) -> PemSection {
    let rest = rest.trim_ascii_end();
    let Some(label) = rest.strip_suffix(DASHES) else {
        return PemSection {
            label: printable_octets(rest),
            body: Err(PemFault::BadBegin),
        };
    };
    PemSection {
        label: printable_octets(label),
        body: body(label, lines),
    }
}

fn body<'a>(label: &[u8], lines: &mut impl Iterator<Item = &'a [u8]>) -> Result<PemBody, PemFault> {
    let mut content = Zeroizing::new(Vec::new());
    let mut is_encrypted = false;
    for line in lines {
        if let Some(rest) = line.strip_prefix(END) {
            if rest.trim_ascii_end().strip_suffix(DASHES) != Some(label) {
                return Err(PemFault::NoEnd);
            }
            return match is_encrypted {
                true => Ok(PemBody::Encrypted),
                false => decode(&content).map(PemBody::Plain),
            };
        }
        if line.contains(&b':') {
            is_encrypted |= line.starts_with(b"Proc-Type:") && line.ends_with(b"ENCRYPTED");
        } else {
            append(&mut content, line);
        }
    }
    Err(PemFault::NoEnd)
}

/// Grows by hand: a vector that grows by itself leaves copies of a key behind.
fn append(content: &mut Zeroizing<Vec<u8>>, line: &[u8]) {
    if content.capacity() - content.len() < line.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity(2 * (content.len() + line.len())));
        larger.extend_from_slice(content);
        *content = larger;
    }
    content.extend(line.iter().filter(|octet| !octet.is_ascii_whitespace()));
}

fn decode(content: &[u8]) -> Result<Zeroizing<Vec<u8>>, PemFault> {
    let mut der = Zeroizing::new(vec![0; content.len()]);
    let length = STANDARD
        .decode_slice(content, &mut der)
        .map_err(|_| PemFault::NotBase64)?;
    der.truncate(length);
    Ok(der)
}

/// Windows editors put a mark before UTF-8; OpenSSL and GnuTLS pass over it.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.strip_prefix(BYTE_ORDER_MARK)
        .unwrap_or(text)
        .split(|octet| matches!(octet, b'\n' | b'\r'))
}

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<(String, Result<Vec<u8>, PemFault>)> {
        sections(text.as_bytes())
            .into_iter()
            .map(|section| {
                let body = section.body.map(|body| match body {
                    PemBody::Plain(der) => der.to_vec(),
                    PemBody::Encrypted => b"encrypted".to_vec(),
                });
                (section.label, body)
            })
            .collect()
    }

    #[test]
    fn sections_are_found_among_text_and_with_any_line_ends() {
        let text = "\u{feff}-----BEGIN A-----\r\nAQ==\r\n-----END A-----\r\n\
                    subject=b\n-----BEGIN B C-----\nAQI\nD\n-----END B C-----";
        let expected = [
            ("A".to_owned(), Ok(vec![1])),
            ("B C".to_owned(), Ok(vec![1, 2, 3])),
        ];
        assert_eq!(shown(text), expected);
        assert!(has_sections(text.as_bytes()));
        assert!(!has_sections(b"BEGIN A"));
    }

    #[test]
    fn what_is_damaged_is_told_and_what_follows_is_read() {
        for (text, fault) in [
            (
                "-----BEGIN A-----\n=\n-----END A-----\n",
                PemFault::NotBase64,
            ),
            ("-----BEGIN A----\n", PemFault::BadBegin),
            (
                "-----BEGIN A-----\nAQ==\n-----END B-----\n",
                PemFault::NoEnd,
            ),
            (
                " -----BEGIN A-----\nAQ==\n-----END A-----\n",
                PemFault::Indented,
            ),
        ] {
            let text = format!("{text}-----BEGIN C-----\nAQ==\n-----END C-----\n");
            let shown = shown(&text);
            assert_eq!(shown[0].1, Err(fault), "{text}");
            assert_eq!(shown[1], ("C".to_owned(), Ok(vec![1])), "{text}");
        }
        assert_eq!(
            shown("-----BEGIN A-----\nAQ==\n")[0].1,
            Err(PemFault::NoEnd)
        );
    }

    #[test]
    fn encryption_of_the_old_kind_is_seen() {
        let text = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                    DEK-Info: AES-256-CBC,00\n\nAQ==\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(shown(text)[0].1, Ok(b"encrypted".to_vec()));
    }

    #[test]
    fn a_label_cannot_act_on_the_terminal() {
        let text = "-----BEGIN \u{1b}[2J-----\nAQ==\n-----END \u{1b}[2J-----\n";
        assert_eq!(shown(text)[0].0, r"\u{1b}[2J");
    }
}

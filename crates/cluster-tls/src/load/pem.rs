//! PEM sections, and what people put into the wrong file.

use rustls_pki_types::pem::{Error, PemObject};

use super::LoadFault;

/// What a PEM file is supposed to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Certificate,
    PrivateKey,
    RevocationList,
}

impl Kind {
    fn expected(self) -> &'static str {
        match self {
            Self::Certificate => "a certificate",
            Self::PrivateKey => "a private key",
            Self::RevocationList => "a revocation list",
        }
    }
}

/// Refuses files that hold anything but `kind`, by the labels of their sections.
///
/// The labels are looked at before decoding because the decoder skips what it was not asked for:
/// a key in the certificate file would go unnoticed.
pub(super) fn expect_only(text: &[u8], kind: Kind) -> Result<(), LoadFault> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(LoadFault::Empty);
    }
    let text = without_mark(text);
    let labels = labels(text);
    if hides_a_section(text) {
        let fault = "a section does not begin at the start of its line";
        return Err(LoadFault::BadPem(fault.to_owned()));
    }
    if labels.is_empty() {
        return Err(LoadFault::NotPem {
            looks_like_der: text.first() == Some(&DER_SEQUENCE),
        });
    }
    let stranger = labels
        .iter()
        .find_map(|label| match (kind, describe(label)) {
            (Kind::Certificate, "a certificate") | (Kind::RevocationList, "a revocation list") => {
                None
            }
            (Kind::PrivateKey, "a private key" | "key parameters") => None,
            (_, found) => Some(found),
        });
    match stranger {
        None => Ok(()),
        Some("an encrypted private key") if kind == Kind::PrivateKey => {
            Err(LoadFault::EncryptedKey)
        }
        Some(found) => Err(LoadFault::WrongKind {
            expected: kind.expected(),
            found,
        }),
    }
}

/// Decodes every section of type `T`.
pub(crate) fn decode<T: PemObject>(text: &[u8]) -> Result<Vec<T>, LoadFault> {
    T::pem_slice_iter(without_mark(text))
        .collect::<Result<_, _>>()
        .map_err(|error| LoadFault::BadPem(fault(&error)))
}

fn labels(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter_map(|line| line.strip_prefix(b"-----BEGIN "))
        .map(|rest| {
            let end = rest.windows(5).position(|window| window == b"-----");
            &rest[..end.unwrap_or(rest.len())]
        })
        .collect()
}

fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}

/// Whether blanks, or a mark in the middle of joined files, stand before a section: the decoder
/// takes it for a comment, and a root among others would be skipped without a word.
fn hides_a_section(text: &[u8]) -> bool {
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
        .any(|line| {
            let visible = line.iter().position(u8::is_ascii_graphic);
            visible.is_some_and(|start| start > 0 && line[start..].starts_with(b"-----BEGIN "))
        })
}

fn describe(label: &[u8]) -> &'static str {
    match label {
        b"CERTIFICATE" => "a certificate",
        b"CERTIFICATE REQUEST" | b"NEW CERTIFICATE REQUEST" => "a certificate request",
        b"TRUSTED CERTIFICATE" => "a certificate in OpenSSL's own format",
        b"PRIVATE KEY" | b"RSA PRIVATE KEY" | b"EC PRIVATE KEY" => "a private key",
        b"ENCRYPTED PRIVATE KEY" => "an encrypted private key",
        b"OPENSSH PRIVATE KEY" => "an OpenSSH private key",
        b"EC PARAMETERS" => "key parameters",
        b"PUBLIC KEY" | b"RSA PUBLIC KEY" => "a public key",
        b"X509 CRL" => "a revocation list",
        _ => "something unknown",
    }
}

/// Never quotes the content: it may be a key.
fn fault(error: &Error) -> String {
    match error {
        Error::MissingSectionEnd { .. } => "a section does not end".to_owned(),
        Error::IllegalSectionStart { .. } => "a section does not begin properly".to_owned(),
        Error::Base64Decode(_) => "the content is not base64".to_owned(),
        _ => "unreadable".to_owned(),
    }
}

/// Certificates and keys in binary form begin with this tag.
const DER_SEQUENCE: u8 = 0x30;

/// Windows editors put it before UTF-8; OpenSSL and GnuTLS pass over it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

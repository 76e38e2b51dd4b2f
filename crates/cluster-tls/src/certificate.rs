//! What one certificate says, read once and owned. Nothing here has been verified.

mod key;
mod text;

use std::net::IpAddr;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::der_parser::Oid;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

use crate::timestamp::from_unix_seconds;

pub(crate) use self::key::PublicKey;
pub(crate) use self::text::{hex, printable};

/// The contents of a certificate that policy is about.
#[derive(Clone, Debug)]
pub(crate) struct Certificate {
    pub(crate) subject: String,
    pub(crate) issuer: String,
    pub(crate) serial: String,
    pub(crate) fingerprint: String,
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    pub(crate) authority: Authority,
    pub(crate) key_usage: Option<KeyUsage>,
    pub(crate) purposes: Option<Purposes>,
    pub(crate) alternatives: Vec<Alternative>,
    pub(crate) public_key: PublicKey,
    pub(crate) signature: Oid<'static>,
}

/// Whether the basic constraints make the holder a certificate authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authority {
    /// The CA flag is set.
    Issuer,
    /// It is not.
    EndEntity,
}

/// The key usages that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct KeyUsage {
    pub(crate) digital_signature: bool,
    pub(crate) sign_certificates: bool,
    pub(crate) sign_revocations: bool,
}

/// The extended key usages that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purposes {
    pub(crate) client_auth: bool,
    pub(crate) server_auth: bool,
}

/// One subject alternative name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Alternative {
    Dns(String),
    Ip(IpAddr),
    Uri(String),
    /// A URI that is not even text. It still counts as one: SPIFFE allows exactly one.
    UndecodableUri,
    /// A DNS name or address that cannot be read.
    Undecodable,
    /// E-mail addresses and the like, which mean nothing between nodes.
    Other,
}

impl Certificate {
    /// Reads a DER certificate.
    ///
    /// The error is a sentence about what does not parse.
    pub(crate) fn parse(der: &CertificateDer<'_>) -> Result<Self, String> {
        let (rest, parsed) = X509Certificate::from_der(der)
            .map_err(|error| format!("not an X.509 certificate ({})", describe(&error)))?;
        if !rest.is_empty() {
            return Err(format!("{} bytes follow the certificate", rest.len()));
        }
        let fingerprint = fingerprint(der);
        Self::read(&parsed, fingerprint)
            .map_err(|error| format!("an extension does not parse ({error})"))
    }

    fn read(parsed: &X509Certificate<'_>, fingerprint: String) -> Result<Self, X509Error> {
        Ok(Self {
            subject: printable(&parsed.subject().to_string()),
            issuer: printable(&parsed.issuer().to_string()),
            serial: serial(parsed.raw_serial()),
            fingerprint,
            not_before: instant(parsed.validity().not_before),
            not_after: instant(parsed.validity().not_after),
            authority: if parsed.is_ca() {
                Authority::Issuer
            } else {
                Authority::EndEntity
            },
            key_usage: parsed.key_usage()?.map(|usage| KeyUsage {
                digital_signature: usage.value.digital_signature(),
                sign_certificates: usage.value.key_cert_sign(),
                sign_revocations: usage.value.crl_sign(),
            }),
            purposes: parsed.extended_key_usage()?.map(|usage| Purposes {
                client_auth: usage.value.client_auth,
                server_auth: usage.value.server_auth,
            }),
            alternatives: alternatives(parsed)?,
            public_key: PublicKey::read(parsed.public_key()),
            signature: parsed.signature_algorithm.algorithm.to_owned(),
        })
    }

    /// The alternative names as loggable text, at most [`CLAIMS_MAX`].
    pub(crate) fn claims(&self) -> Vec<String> {
        self.alternatives
            .iter()
            .filter_map(|name| match name {
                Alternative::Dns(text) | Alternative::Uri(text) => Some(printable(text)),
                Alternative::Ip(address) => Some(address.to_string()),
                Alternative::UndecodableUri | Alternative::Undecodable => {
                    Some("(undecodable)".to_owned())
                }
                Alternative::Other => None,
            })
            .take(CLAIMS_MAX)
            .collect()
    }
}

fn alternatives(parsed: &X509Certificate<'_>) -> Result<Vec<Alternative>, X509Error> {
    let Some(extension) = parsed.subject_alternative_name()? else {
        return Ok(Vec::new());
    };
    Ok(extension
        .value
        .general_names
        .iter()
        .map(|name| match name {
            GeneralName::DNSName(text) => Alternative::Dns((*text).to_owned()),
            GeneralName::URI(text) => Alternative::Uri((*text).to_owned()),
            GeneralName::IPAddress(octets) => address(octets),
            GeneralName::Invalid(tag, _) if tag.0 == URI_TAG => Alternative::UndecodableUri,
            GeneralName::Invalid(..) => Alternative::Undecodable,
            _ => Alternative::Other,
        })
        .collect())
}

fn address(octets: &[u8]) -> Alternative {
    if let Ok(octets) = <[u8; 4]>::try_from(octets) {
        return Alternative::Ip(octets.into());
    }
    match <[u8; 16]>::try_from(octets) {
        Ok(octets) => Alternative::Ip(octets.into()),
        Err(_) => Alternative::Undecodable,
    }
}

/// A serial number as it is shown and compared: hexadecimal, without the sign octet.
pub(crate) fn serial(raw: &[u8]) -> String {
    hex(significant(raw))
}

/// SHA-256 over a certificate, hexadecimal.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref())
}

/// A serial without the zero octet that only keeps DER from reading it as negative.
fn significant(serial: &[u8]) -> &[u8] {
    match serial {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => serial,
    }
}

fn instant(time: ASN1Time) -> SystemTime {
    from_unix_seconds(time.timestamp())
}

fn describe(error: &x509_parser::nom::Err<X509Error>) -> String {
    match error {
        x509_parser::nom::Err::Incomplete(_) => "it ends too early".to_owned(),
        x509_parser::nom::Err::Error(error) | x509_parser::nom::Err::Failure(error) => {
            error.to_string()
        }
    }
}

/// Context tag of `uniformResourceIdentifier` in RFC 5280's GeneralName.
const URI_TAG: u32 = 6;

/// How many claimed names an event carries: enough to find the peer, too few to flood a log.
const CLAIMS_MAX: usize = 8;

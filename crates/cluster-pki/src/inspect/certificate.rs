//! Certificates.

use std::net::IpAddr;
use std::time::SystemTime;

use cluster_tls::Role;
use rustls_pki_types::CertificateDer;
use serde::Serialize;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::inspect::objections;
use crate::inspect::validity::Validity;
use crate::mint::{fingerprint, hex};
use crate::public_key::PublicKeySummary;
use crate::signature::Signature;
use crate::text::{distinguished_name, object_name, printable, printable_octets};
use crate::usages::{extended_key_usages, key_usages};

/// What a certificate says. Nothing of it has been verified but whether it signed itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CertificateReport {
    /// Whom it is about.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// SHA-256 over the certificate, lower-case hexadecimal.
    pub fingerprint_sha256: String,
    /// When it may be believed.
    #[serde(flatten)]
    pub validity: Validity,
    /// Whether it may sign certificates.
    pub is_authority: bool,
    /// Whether its own key signed it; an authority that did is a root.
    pub is_self_signed: bool,
    /// The role that its identity URI gives, if it has one of our own form.
    pub role: Option<&'static str>,
    /// Its URIs; an identity is exactly one.
    pub uris: Vec<String>,
    /// Its DNS names.
    pub dns_names: Vec<String>,
    /// Its addresses.
    pub ip_addresses: Vec<String>,
    /// Other names, which mean nothing between nodes.
    pub other_names: Vec<String>,
    /// Its key.
    pub public_key: PublicKeySummary,
    /// With what it was signed.
    pub signature_algorithm: String,
    /// What its key may do.
    pub key_usages: Vec<&'static str>,
    /// What it may be used for.
    pub extended_key_usages: Vec<String>,
    /// What a node would object to at first sight.
    pub objections: Vec<String>,
}

impl CertificateReport {
    pub(super) fn read(der: &[u8], now: SystemTime) -> Option<Self> {
        let Ok(([], parsed)) = X509Certificate::from_der(der) else {
            return None;
        };
        let mut report = Self::new(der, &parsed, now);
        report.names(&parsed);
        report.role = objections::role(&report.uris).map(Role::as_str);
        report.objections = objections::of(&report, &parsed);
        Some(report)
    }

    fn new(der: &[u8], parsed: &X509Certificate<'_>, now: SystemTime) -> Self {
        let validity = parsed.validity();
        let usage = parsed.key_usage().ok().flatten();
        let purposes = parsed.extended_key_usage().ok().flatten();
        Self {
            subject: distinguished_name(parsed.subject()),
            issuer: distinguished_name(parsed.issuer()),
            serial: serial(parsed.raw_serial()),
            fingerprint_sha256: fingerprint(&CertificateDer::from(der)),
            validity: Validity::new(validity.not_before, validity.not_after, now),
            is_authority: parsed.is_ca(),
            is_self_signed: is_signed_by(parsed, parsed),
            role: None,
            uris: Vec::new(),
            dns_names: Vec::new(),
            ip_addresses: Vec::new(),
            other_names: Vec::new(),
            public_key: PublicKeySummary::read(parsed.public_key()),
            signature_algorithm: object_name(&parsed.signature_algorithm.algorithm),
            key_usages: usage.map_or_else(Vec::new, |usage| key_usages(usage.value)),
            extended_key_usages: purposes
                .map_or_else(Vec::new, |purposes| extended_key_usages(purposes.value)),
            objections: Vec::new(),
        }
    }

    fn names(&mut self, parsed: &X509Certificate<'_>) {
        let Ok(Some(names)) = parsed.subject_alternative_name() else {
            return;
        };
        for name in &names.value.general_names {
            match name {
                GeneralName::DNSName(text) => self.dns_names.push(printable(text)),
                GeneralName::URI(text) => self.uris.push(printable(text)),
                GeneralName::IPAddress(octets) => self.ip_addresses.push(address(octets)),
                GeneralName::RFC822Name(text) => self.other_names.push(printable(text)),
                GeneralName::DirectoryName(name) => {
                    self.other_names.push(distinguished_name(name));
                }
                GeneralName::Invalid(tag, octets) if tag.0 == URI_TAG => {
                    self.uris.push(printable_octets(octets));
                }
                _ => self.other_names.push("(not text)".to_owned()),
            }
        }
    }
}

/// Whether the key of one certificate signed another, whose issuer it is by name.
pub(super) fn is_signed_by(
    certificate: &X509Certificate<'_>,
    authority: &X509Certificate<'_>,
) -> bool {
    let signature = Signature {
        algorithm: &certificate.signature_algorithm,
        value: &certificate.signature_value,
        message: certificate.tbs_certificate.as_ref(),
    };
    certificate.issuer().as_raw() == authority.subject().as_raw()
        && signature.is_by(authority.public_key())
}

/// A serial number without the zero octet that only keeps DER from reading it as negative, and
/// cut where it is longer than any that may be.
pub(super) fn serial(raw: &[u8]) -> String {
    let significant = match raw {
        [0, rest @ ..] if !rest.is_empty() => rest,
        _ => raw,
    };
    match significant.get(..SERIAL_OCTETS_SHOWN) {
        Some(start) if start.len() < significant.len() => hex(start) + "...",
        _ => hex(significant),
    }
}

fn address(octets: &[u8]) -> String {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let address = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
    match address {
        Ok(address) => address.to_string(),
        Err(_) => format!("(not an address: {} octets)", octets.len()),
    }
}

/// RFC 5280, section 4.1.2.2, allows 20.
const SERIAL_OCTETS_SHOWN: usize = 32;

/// Context tag of `uniformResourceIdentifier` in RFC 5280's GeneralName.
const URI_TAG: u32 = 6;

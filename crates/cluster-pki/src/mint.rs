//! Making keys and signing certificates, in memory.
//!
//! The parameters start from nothing and state everything: the library's own defaults are a
//! validity from 1975 to 4096 and a serial number derived from the key.

use std::error::Error;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::Ed25519KeyPair;
use cluster_tls::Name;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
    PublicKeyData, SanType, SerialNumber,
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::key_type::KeyType;
use crate::name::{Domain, NodeName};
use crate::policy::Window;
use crate::timestamp::{Timestamp, offset_date_time};

/// Why a key or a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The system gave no random numbers.
    #[error("no random numbers from the system")]
    Randomness,
    /// No key came about.
    #[error("cannot make a {key_type} key")]
    Key {
        /// The kind that was asked for.
        key_type: KeyType,
        /// What the cryptography answered.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A validity lies beyond the year 9999, where X.509 ends.
    #[error("the validity ends after the year 9999")]
    Time,
    /// The certificate could not be put together or signed.
    #[error("cannot sign the certificate")]
    Sign {
        /// What the cryptography answered.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

/// A certificate and the only copy of its key.
pub(crate) struct Minted {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) key_pem: Zeroizing<String>,
    pub(crate) serial: Serial,
}

/// A random serial number: positive, 159 bits, always 20 octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Serial([u8; Self::OCTETS]);

impl Serial {
    /// The most that RFC 5280, section 4.1.2.2, allows.
    const OCTETS: usize = 20;

    fn random() -> Result<Self, MintError> {
        let mut octets = [0; Self::OCTETS];
        aws_lc_rs::rand::fill(&mut octets).map_err(|_| MintError::Randomness)?;
        Ok(Self::from_random(octets))
    }

    /// The first bit is the sign and must be clear; the second is set, so that no serial number
    /// starts with zeros and every tool writes it with the same digits.
    fn from_random(mut octets: [u8; Self::OCTETS]) -> Self {
        octets[0] = octets[0] & 0x7f | 0x40;
        Self(octets)
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        hex(&self.0)
    }
}

/// What distinguishes one root from every other.
pub(crate) struct RootPlan<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) generation: u64,
    pub(crate) key_type: KeyType,
    pub(crate) window: Window,
}

/// Makes a root: a self-signed certificate that may sign leaves and revocation lists only.
pub(crate) fn mint_root(plan: &RootPlan<'_>) -> Result<Minted, MintError> {
    let key = generate_key(plan.key_type)?;
    let serial = Serial::random()?;
    let mut params = base_params(plan.window, serial)?;
    params.distinguished_name = root_subject(plan, serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let certificate = params.self_signed(&key).map_err(sign_error)?;
    Ok(minted(&certificate, &key, serial))
}

/// A certificate for a key that stays where it was made.
pub(crate) struct Signed {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) certificate_pem: String,
    pub(crate) serial: Serial,
}

/// What one leaf says.
pub(crate) struct LeafPlan<'a> {
    pub(crate) name: &'a NodeName,
    pub(crate) domain: &'a Domain,
    pub(crate) names: &'a [Name],
    pub(crate) uri: &'a str,
    /// The kind of the key that [`mint_leaf`] makes; [`sign_leaf`] makes none.
    pub(crate) key_type: KeyType,
    pub(crate) window: Window,
}

/// Makes a leaf and its key.
pub(crate) fn mint_leaf(
    plan: &LeafPlan<'_>,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<Minted, MintError> {
    let key = generate_key(plan.key_type)?;
    let Signed {
        certificate,
        certificate_pem,
        serial,
    } = sign_leaf(plan, &key, issuer)?;
    Ok(Minted {
        certificate,
        certificate_pem,
        key_pem: Zeroizing::new(key.serialize_pem()),
        serial,
    })
}

/// Makes a leaf for a public key, which authenticates a server and a client and can sign nothing
/// but handshakes.
pub(crate) fn sign_leaf(
    plan: &LeafPlan<'_>,
    public_key: &impl PublicKeyData,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<Signed, MintError> {
    let serial = Serial::random()?;
    let mut params = base_params(plan.window, serial)?;
    params.distinguished_name = leaf_subject(plan);
    // Stated rather than left out: it also makes the library write the subject key identifier.
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    params.subject_alt_names = alternative_names(plan)?;
    let certificate = params.signed_by(public_key, issuer).map_err(sign_error)?;
    Ok(Signed {
        certificate_pem: certificate.pem(),
        certificate: certificate.into(),
        serial,
    })
}

/// SHA-256 of a certificate as lower-case hexadecimal digits.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    hex(digest(&SHA256, certificate).as_ref())
}

pub(crate) fn hex(octets: &[u8]) -> String {
    let mut text = String::with_capacity(octets.len() * 2);
    for octet in octets {
        // Writing into a string cannot fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn base_params(window: Window, serial: Serial) -> Result<CertificateParams, MintError> {
    let time = |time: SystemTime| offset_date_time(time).ok_or(MintError::Time);
    let mut params = CertificateParams::default();
    params.not_before = time(window.not_before)?;
    params.not_after = time(window.not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(&serial.0));
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

/// Verifiers find a root by its subject, and one with the same subject and another key shows as
/// a bad signature instead of an unknown issuer. So every root has a subject of its own: domain,
/// generation and date for people, a part of the serial for two roots made on one day.
fn root_subject(plan: &RootPlan<'_>, serial: Serial) -> DistinguishedName {
    let moment = Timestamp(plan.window.not_before).to_string();
    let (date, _) = moment.split_once('T').unwrap_or((&moment, ""));
    let mark = hex(&serial.0[..4]);
    let generation = plan.generation;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, plan.domain.as_str());
    subject.push(
        DnType::CommonName,
        format!("Spice cluster CA {generation} {date} {mark}"),
    );
    subject
}

/// For people: no verifier looks at it.
fn leaf_subject(plan: &LeafPlan<'_>) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, plan.domain.as_str());
    subject.push(DnType::CommonName, plan.name.canonical());
    subject
}

fn alternative_names(plan: &LeafPlan<'_>) -> Result<Vec<SanType>, MintError> {
    let uri = SanType::URI(plan.uri.try_into().map_err(sign_error)?);
    let mut entries = name_entries(plan.names)?;
    entries.push(uri);
    Ok(entries)
}

/// DNS names and addresses as entries of a certificate or a request.
pub(crate) fn name_entries(names: &[Name]) -> Result<Vec<SanType>, MintError> {
    let entry = |name: &Name| {
        Ok(match name {
            Name::Dns(name) => SanType::DnsName(name.as_str().try_into().map_err(sign_error)?),
            Name::Ip(address) => SanType::IpAddress(IpAddr::clone(address)),
        })
    };
    names.iter().map(entry).collect()
}

pub(crate) fn generate_key(key_type: KeyType) -> Result<KeyPair, MintError> {
    let generated = match key_type {
        KeyType::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyType::P384 => KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384),
        KeyType::Ed25519 => return generate_ed25519(),
    };
    generated.map_err(|source| key_error(key_type, source))
}

/// As PKCS#8 version 1: the library would write version 2, with the public key in it, which
/// OpenSSL 3.0 does not read.
fn generate_ed25519() -> Result<KeyPair, MintError> {
    let fail = |source| key_error(KeyType::Ed25519, source);
    let document = Ed25519KeyPair::generate()
        .and_then(|key| key.to_pkcs8v1())
        .map_err(fail)?;
    KeyPair::try_from(&PrivatePkcs8KeyDer::from(document.as_ref()))
        .map_err(|source| key_error(KeyType::Ed25519, source))
}

fn minted(certificate: &rcgen::Certificate, key: &KeyPair, serial: Serial) -> Minted {
    Minted {
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key_pem: Zeroizing::new(key.serialize_pem()),
        serial,
    }
}

fn key_error(key_type: KeyType, source: impl Error + Send + Sync + 'static) -> MintError {
    let source = Box::new(source);
    MintError::Key { key_type, source }
}

pub(crate) fn sign_error(source: rcgen::Error) -> MintError {
    let source = Box::new(source);
    MintError::Sign { source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_positive_and_always_159_bits_long() {
        for octets in [[0x00; 20], [0xff; 20], [0x80; 20]] {
            let Serial(octets) = Serial::from_random(octets);
            assert_eq!(octets[0] & 0xc0, 0x40);
        }
        assert_ne!(Serial::random().unwrap(), Serial::random().unwrap());
    }

    #[test]
    fn hexadecimal_digits_keep_leading_zeros() {
        assert_eq!(hex(&[0x00, 0x0f, 0xa0]), "000fa0");
    }
}

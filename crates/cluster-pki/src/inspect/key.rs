//! Keys: what kind they are and which certificate they belong to, and nothing of their secrets.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256K1_SHA256_ASN1_SIGNING,
    ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
};
use pkcs8::der::asn1::AnyRef;
use pkcs8::der::{Encode, Tag};
use serde::Serialize;
use x509_parser::der_parser::Oid;
use x509_parser::prelude::FromDer;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::inspect::shape;
use crate::public_key::PublicKeySummary;
use crate::text::object_name;

/// A private key, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PrivateKeyReport {
    /// How it is written: `pkcs8`, `pkcs1` (RSA alone), `sec1` (elliptic curves alone) or
    /// `rfc1421` (encrypted by OpenSSL's old way, which hides the rest).
    pub encoding: &'static str,
    /// Whether it takes a passphrase to be used.
    pub encrypted: bool,
    /// Its public half; nothing where it is encrypted or of a kind that is not known.
    pub public_key: Option<PublicKeySummary>,
    /// The kind of a key that is not known.
    pub unknown_algorithm: Option<String>,
}

impl PrivateKeyReport {
    /// A key in the clear.
    pub(super) fn read(der: &[u8]) -> Option<Self> {
        let parts = shape::parts(der)?;
        let tags = shape::tags(&parts);
        match tags.as_slice() {
            [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => Self::pkcs8(der, &parts),
            [Tag::Integer, Tag::Integer, Tag::Integer, ..] if tags.len() >= RSA_PARTS => {
                Some(Self::open("pkcs1", rsa_public(&parts)))
            }
            [Tag::Integer, Tag::OctetString, ..] => Some(Self::open("sec1", elliptic(der))),
            _ => None,
        }
    }

    /// `EncryptedPrivateKeyInfo` of RFC 5958.
    pub(super) fn read_encrypted(der: &[u8]) -> Option<Self> {
        let parts = shape::parts(der)?;
        let [Tag::Sequence, Tag::OctetString] = shape::tags(&parts)[..] else {
            return None;
        };
        let scheme = shape::inner_parts(parts[0])?;
        let [Tag::ObjectIdentifier, ..] = shape::tags(&scheme)[..] else {
            return None;
        };
        Some(Self::encrypted("pkcs8"))
    }

    pub(super) fn encrypted_by_header() -> Self {
        Self::encrypted("rfc1421")
    }

    fn encrypted(encoding: &'static str) -> Self {
        Self {
            encoding,
            encrypted: true,
            public_key: None,
            unknown_algorithm: None,
        }
    }

    fn open(encoding: &'static str, public_key: Option<PublicKeySummary>) -> Self {
        Self {
            encoding,
            encrypted: false,
            public_key,
            unknown_algorithm: None,
        }
    }

    fn pkcs8(der: &[u8], parts: &[AnyRef<'_>]) -> Option<Self> {
        let algorithm = shape::inner_parts(*parts.get(1)?)?;
        let object = algorithm.first()?.to_der().ok()?;
        let (_, object) = Oid::from_der(&object).ok()?;
        let public_key = if object == crate::public_key::RSA {
            let inner = shape::parts(parts.get(2)?.value())?;
            rsa_public(&inner)
        } else {
            edwards(der).or_else(|| elliptic(der))
        };
        let unknown_algorithm = public_key.is_none().then(|| object_name(&object));
        Some(Self {
            unknown_algorithm,
            ..Self::open("pkcs8", public_key)
        })
    }
}

/// A public key alone.
pub(super) fn read_public(der: &[u8]) -> Option<PublicKeySummary> {
    match SubjectPublicKeyInfo::from_der(der) {
        Ok(([], info)) => Some(PublicKeySummary::read(&info)),
        _ => None,
    }
}

fn edwards(der: &[u8]) -> Option<PublicKeySummary> {
    let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    read_public(public.as_ref())
}

fn elliptic(der: &[u8]) -> Option<PublicKeySummary> {
    let on_curve = |curve: &&'static EcdsaSigningAlgorithm| {
        EcdsaKeyPair::from_private_key_der(curve, der).ok()
    };
    let pair = ELLIPTIC_CURVES.iter().find_map(on_curve)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    read_public(public.as_ref())
}

/// The public half stands in front of the secrets (RFC 8017, A.1.2), so that it can be told
/// without the cryptography, which reads no weak keys.
fn rsa_public(parts: &[AnyRef<'_>]) -> Option<PublicKeySummary> {
    let [_version, modulus, exponent, ..] = parts else {
        return None;
    };
    let numbers = [modulus.to_der().ok()?, exponent.to_der().ok()?].concat();
    let key = AnyRef::new(Tag::Sequence, &numbers).ok()?.to_der().ok()?;
    let bits = [&[0], key.as_slice()].concat();
    let bits = AnyRef::new(Tag::BitString, &bits).ok()?.to_der().ok()?;
    let info = [RSA_ENCRYPTION, &bits].concat();
    let info = AnyRef::new(Tag::Sequence, &info).ok()?.to_der().ok()?;
    read_public(&info)
}

/// secp256k1 is refused by nodes, and named here.
static ELLIPTIC_CURVES: [&EcdsaSigningAlgorithm; 4] = [
    &ECDSA_P256_SHA256_ASN1_SIGNING,
    &ECDSA_P384_SHA384_ASN1_SIGNING,
    &ECDSA_P521_SHA512_ASN1_SIGNING,
    &ECDSA_P256K1_SHA256_ASN1_SIGNING,
];

/// `AlgorithmIdentifier` of rsaEncryption (RFC 3279, section 2.3.1).
const RSA_ENCRYPTION: &[u8] = &[
    0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
];

/// Version, modulus, two exponents, two primes and what speeds up the use of them.
const RSA_PARTS: usize = 9;

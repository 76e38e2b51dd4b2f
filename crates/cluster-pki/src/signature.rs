//! Whether a signature was made by a public key.

use aws_lc_rs::signature::{self as aws, UnparsedPublicKey, VerificationAlgorithm};
use x509_parser::der_parser::asn1_rs::BitString;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::signature_algorithm::RsaSsaPssParams;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

use crate::public_key::{EC, ED25519, P256, P384, P521, RSA};

/// What became of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The key made it.
    Genuine,
    /// The key did not make it.
    Forged,
    /// It is of a kind that nodes do not believe: SHA-1, an unusual salt, a key below 2048 bits.
    Unsupported,
}

/// A signature as certificates, requests and revocation lists carry it.
pub(crate) struct Signature<'a> {
    pub(crate) algorithm: &'a AlgorithmIdentifier<'a>,
    pub(crate) value: &'a BitString<'a>,
    /// What was signed.
    pub(crate) message: &'a [u8],
}

impl Signature<'_> {
    pub(crate) fn verdict(&self, key: &SubjectPublicKeyInfo<'_>) -> Verdict {
        let Some(algorithm) = algorithm(key, self.algorithm) else {
            return Verdict::Unsupported;
        };
        let key = UnparsedPublicKey::new(algorithm, &key.subject_public_key.data);
        match key.verify(self.message, &self.value.data) {
            Ok(()) => Verdict::Genuine,
            Err(_) => Verdict::Forged,
        }
    }

    /// Whether `key` made it.
    pub(crate) fn is_by(&self, key: &SubjectPublicKeyInfo<'_>) -> bool {
        self.verdict(key) == Verdict::Genuine
    }
}

fn algorithm(
    key: &SubjectPublicKeyInfo<'_>,
    signature: &AlgorithmIdentifier<'_>,
) -> Option<&'static dyn VerificationAlgorithm> {
    let (kind, signature_kind) = (&key.algorithm.algorithm, &signature.algorithm);
    if *kind == ED25519 {
        return (*signature_kind == ED25519).then_some(&aws::ED25519);
    }
    if *kind == EC {
        return elliptic(&key.algorithm, signature_kind);
    }
    if *kind != RSA {
        return None;
    }
    if *signature_kind == RSA_PSS {
        return pss(signature);
    }
    let mut known = RSA_PKCS1.into_iter();
    known
        .find(|(kind, _)| kind == signature_kind)
        .map(|(_, algorithm)| algorithm)
}

fn elliptic(
    key: &AlgorithmIdentifier<'_>,
    signature: &Oid<'_>,
) -> Option<&'static dyn VerificationAlgorithm> {
    let curve = key.parameters.as_ref()?.as_oid().ok()?;
    let row = match () {
        () if curve == P256 => &ECDSA_P256,
        () if curve == P384 => &ECDSA_P384,
        () if curve == P521 => &ECDSA_P521,
        () => return None,
    };
    let column = ECDSA_HASHES.iter().position(|known| known == signature)?;
    Some(row[column])
}

fn pss(signature: &AlgorithmIdentifier<'_>) -> Option<&'static dyn VerificationAlgorithm> {
    let parameters = RsaSsaPssParams::try_from(signature.parameters.as_ref()?).ok()?;
    let hash = parameters.hash_algorithm_oid();
    let mut known = RSA_PSS_HASHES.into_iter();
    known
        .find(|(kind, salt_octets, _)| kind == hash && *salt_octets == parameters.salt_length())
        .map(|(.., algorithm)| algorithm)
}

type Verification = &'static dyn VerificationAlgorithm;

const RSA_PSS: Oid<'static> = oid!(1.2.840.113549.1.1.10);

const RSA_PKCS1: [(Oid<'static>, Verification); 3] = [
    (
        oid!(1.2.840.113549.1.1.11),
        &aws::RSA_PKCS1_2048_8192_SHA256,
    ),
    (
        oid!(1.2.840.113549.1.1.12),
        &aws::RSA_PKCS1_2048_8192_SHA384,
    ),
    (
        oid!(1.2.840.113549.1.1.13),
        &aws::RSA_PKCS1_2048_8192_SHA512,
    ),
];

/// The salt is as long as the hash, as TLS wants it (RFC 8446, section 4.2.3).
const RSA_PSS_HASHES: [(Oid<'static>, u32, Verification); 3] = [
    (
        oid!(2.16.840.1.101.3.4.2.1),
        32,
        &aws::RSA_PSS_2048_8192_SHA256,
    ),
    (
        oid!(2.16.840.1.101.3.4.2.2),
        48,
        &aws::RSA_PSS_2048_8192_SHA384,
    ),
    (
        oid!(2.16.840.1.101.3.4.2.3),
        64,
        &aws::RSA_PSS_2048_8192_SHA512,
    ),
];

/// With SHA-256, SHA-384 and SHA-512; the curves' arrays are in the same order.
const ECDSA_HASHES: [Oid<'static>; 3] = [
    oid!(1.2.840.10045.4.3.2),
    oid!(1.2.840.10045.4.3.3),
    oid!(1.2.840.10045.4.3.4),
];
const ECDSA_P256: [Verification; 3] = [
    &aws::ECDSA_P256_SHA256_ASN1,
    &aws::ECDSA_P256_SHA384_ASN1,
    &aws::ECDSA_P256_SHA512_ASN1,
];
const ECDSA_P384: [Verification; 3] = [
    &aws::ECDSA_P384_SHA256_ASN1,
    &aws::ECDSA_P384_SHA384_ASN1,
    &aws::ECDSA_P384_SHA512_ASN1,
];
const ECDSA_P521: [Verification; 3] = [
    &aws::ECDSA_P521_SHA256_ASN1,
    &aws::ECDSA_P521_SHA384_ASN1,
    &aws::ECDSA_P521_SHA512_ASN1,
];

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
    use rcgen::{
        CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384,
        PKCS_ECDSA_P521_SHA256, PKCS_ECDSA_P521_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519,
        PKCS_RSA_SHA256, PKCS_RSA_SHA384, PKCS_RSA_SHA512, PublicKeyData, SignatureAlgorithm,
    };
    use x509_parser::parse_x509_certificate;
    use x509_parser::prelude::FromDer;

    use super::*;

    fn is_self_signed(der: &[u8]) -> bool {
        let (_, parsed) = parse_x509_certificate(der).unwrap();
        let signature = Signature {
            algorithm: &parsed.signature_algorithm,
            value: &parsed.signature_value,
            message: parsed.tbs_certificate.as_ref(),
        };
        signature.is_by(parsed.public_key())
    }

    #[test]
    fn every_algorithm_is_verified_and_a_flipped_bit_is_not() {
        let algorithms: [&'static SignatureAlgorithm; 9] = [
            &PKCS_ECDSA_P256_SHA256,
            &PKCS_ECDSA_P384_SHA384,
            &PKCS_ECDSA_P521_SHA256,
            &PKCS_ECDSA_P521_SHA384,
            &PKCS_ECDSA_P521_SHA512,
            &PKCS_ED25519,
            &PKCS_RSA_SHA256,
            &PKCS_RSA_SHA384,
            &PKCS_RSA_SHA512,
        ];
        for algorithm in algorithms {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let certificate = CertificateParams::default().self_signed(&key).unwrap();
            let mut der = certificate.der().to_vec();
            assert!(is_self_signed(&der), "{algorithm:?}");
            // The last octet belongs to the signature's value in all of them.
            *der.last_mut().unwrap() ^= 1;
            assert!(!is_self_signed(&der), "{algorithm:?}");
        }
    }

    /// `AlgorithmIdentifier` of RSASSA-PSS with SHA-256 (RFC 4055), up to the length of the salt.
    const PSS_SHA256: &[u8] = b"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
        \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
        \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
        \xa2\x03\x02\x01";

    #[test]
    fn pss_is_verified_with_the_salt_of_tls_and_with_no_other() {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let info = key.subject_public_key_info();
        let (_, info) = SubjectPublicKeyInfo::from_der(&info).unwrap();
        let signer = RsaKeyPair::from_pkcs8(&key.serialize_der()).unwrap();
        let mut value = vec![0; signer.public_modulus_len()];
        let random = SystemRandom::new();
        signer
            .sign(&aws::RSA_PSS_SHA256, &random, b"message", &mut value)
            .unwrap();
        let verdict = |salt_octets: u8, message: &[u8]| {
            let der = [PSS_SHA256, &[salt_octets]].concat();
            let (_, algorithm) = AlgorithmIdentifier::from_der(&der).unwrap();
            let signature = Signature {
                algorithm: &algorithm,
                value: &BitString::new(0, &value),
                message,
            };
            signature.verdict(&info)
        };
        assert_eq!(verdict(32, b"message"), Verdict::Genuine);
        assert_eq!(verdict(32, b"massage"), Verdict::Forged);
        assert_eq!(verdict(20, b"message"), Verdict::Unsupported);
    }
}

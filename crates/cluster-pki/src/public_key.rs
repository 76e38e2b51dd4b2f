//! Which public keys are strong enough, and how they are told apart.

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;
use x509_parser::der_parser::{Oid, oid};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

use crate::mint::hex;
use crate::text::printable;

/// A public key: its kind, its strength, and the mark by which key and certificate are matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PublicKeySummary {
    /// `p256`, `p384`, `p521`, `ed25519`, `rsa` or `other`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its size, where it says something about its strength.
    pub bits: Option<usize>,
    /// SHA-256 over the key as certificates carry it (`SubjectPublicKeyInfo`), lower-case
    /// hexadecimal. A private key has the same mark as the certificate that was made for it.
    pub sha256: String,
    /// Why nodes refuse such a key, if they do.
    pub weakness: Option<String>,
}

impl PublicKeySummary {
    pub(crate) fn read(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let (kind, bits, weakness) = judge(info);
        Self {
            kind,
            bits,
            sha256: hex(digest(&SHA256, info.raw).as_ref()),
            weakness,
        }
    }
}

impl fmt::Display for PublicKeySummary {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            "p256" => out.write_str("ECDSA P-256"),
            "p384" => out.write_str("ECDSA P-384"),
            "p521" => out.write_str("ECDSA P-521"),
            "ed25519" => out.write_str("Ed25519"),
            "rsa" => write!(out, "RSA {}", self.bits.unwrap_or_default()),
            _ => out.write_str(self.weakness.as_deref().unwrap_or("unknown")),
        }
    }
}

/// By the same standard as nodes, which judge every certificate they see.
fn judge(info: &SubjectPublicKeyInfo<'_>) -> (&'static str, Option<usize>, Option<String>) {
    let algorithm = &info.algorithm.algorithm;
    if *algorithm == RSA {
        return judge_rsa(info);
    }
    if *algorithm == ED25519 {
        return ("ed25519", Some(256), None);
    }
    if *algorithm != EC {
        let shown = printable(&algorithm.to_string());
        return ("other", None, Some(format!("a key of algorithm {shown}")));
    }
    let parameters = info.algorithm.parameters.as_ref();
    let Some(curve) = parameters.and_then(|parameters| parameters.as_oid().ok()) else {
        let unnamed = "an elliptic curve key on a curve without a name";
        return ("other", None, Some(unnamed.to_owned()));
    };
    match CURVES.iter().find(|(known, ..)| *known == curve) {
        Some((_, kind, bits)) => (kind, Some(*bits), None),
        None => {
            let shown = printable(&curve.to_string());
            let weakness = format!("an elliptic curve key on curve {shown}");
            ("other", None, Some(weakness))
        }
    }
}

fn judge_rsa(info: &SubjectPublicKeyInfo<'_>) -> (&'static str, Option<usize>, Option<String>) {
    let bits = match info.parsed() {
        Ok(Parsed::RSA(key)) => significant_bits(key.modulus),
        _ => 0,
    };
    let is_refused = !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits);
    let weakness = is_refused.then(|| format!("an RSA key of {bits} bits"));
    ("rsa", Some(bits), weakness)
}

fn significant_bits(modulus: &[u8]) -> usize {
    let first = modulus.iter().position(|byte| *byte != 0);
    first.map_or(0, |first| {
        let leading = usize::try_from(modulus[first].leading_zeros()).unwrap_or_default();
        (modulus.len() - first) * 8 - leading
    })
}

pub(crate) const RSA: Oid<'static> = oid!(1.2.840.113549.1.1.1);
pub(crate) const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
pub(crate) const ED25519: Oid<'static> = oid!(1.3.101.112);
pub(crate) const P256: Oid<'static> = oid!(1.2.840.10045.3.1.7);
pub(crate) const P384: Oid<'static> = oid!(1.3.132.0.34);
pub(crate) const P521: Oid<'static> = oid!(1.3.132.0.35);

const CURVES: [(Oid<'static>, &str, usize); 3] = [
    (P256, "p256", 256),
    (P384, "p384", 384),
    (P521, "p521", 521),
];

/// NIST SP 800-131A: anything smaller has been disallowed since 2014.
const RSA_BITS_MIN: usize = 2048;

/// The cryptography of nodes verifies nothing beyond, since it would take a peer's time.
const RSA_BITS_MAX: usize = 8192;

#[cfg(test)]
mod tests {
    use rcgen::{
        KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ECDSA_P521_SHA512, PKCS_ED25519, PKCS_RSA_SHA256,
        PublicKeyData, SignatureAlgorithm,
    };
    use x509_parser::prelude::FromDer;

    use super::*;

    fn summary(der: &[u8]) -> PublicKeySummary {
        let (_, info) = SubjectPublicKeyInfo::from_der(der).unwrap();
        PublicKeySummary::read(&info)
    }

    #[test]
    fn what_nodes_accept_has_a_name_and_no_weakness() {
        let table: [(&'static SignatureAlgorithm, &str, &str); 5] = [
            (&rcgen::PKCS_ECDSA_P256_SHA256, "p256", "ECDSA P-256"),
            (&PKCS_ECDSA_P384_SHA384, "p384", "ECDSA P-384"),
            (&PKCS_ECDSA_P521_SHA512, "p521", "ECDSA P-521"),
            (&PKCS_ED25519, "ed25519", "Ed25519"),
            (&PKCS_RSA_SHA256, "rsa", "RSA 2048"),
        ];
        for (algorithm, kind, shown) in table {
            let key = KeyPair::generate_for(algorithm).unwrap();
            let summary = summary(&key.subject_public_key_info());
            assert_eq!((summary.kind, summary.weakness.as_deref()), (kind, None));
            assert_eq!(summary.to_string(), shown);
        }
    }

    #[test]
    fn what_nodes_refuse_is_named() {
        // SubjectPublicKeyInfo of secp256k1, of ML-DSA-44, and of Ed448, each without its key.
        let table: [(&[u8], &str); 3] = [
            (
                b"\x30\x14\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x0a\x03\x00",
                "an elliptic curve key on curve 1.3.132.0.10",
            ),
            (
                b"\x30\x11\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x02\x00\x00",
                "a key of algorithm 2.16.840.1.101.3.4.3.17",
            ),
            (
                b"\x30\x0b\x30\x05\x06\x03\x2b\x65\x71\x03\x02\x00\x00",
                "a key of algorithm 1.3.101.113",
            ),
        ];
        for (der, weakness) in table {
            let mut der = der.to_vec();
            if der.ends_with(b"\x03\x00") {
                // An empty bit string is not DER; give it its count of unused bits.
                der.truncate(der.len() - 2);
                der.extend(b"\x03\x01\x00");
                der[1] += 1;
            }
            let summary = summary(&der);
            assert_eq!(summary.kind, "other");
            assert_eq!(summary.weakness.as_deref(), Some(weakness));
        }
    }

    #[test]
    fn leading_zeros_do_not_make_a_key_longer() {
        assert_eq!(significant_bits(&[0, 0x80, 0]), 16);
        assert_eq!(significant_bits(&[0, 0x01, 0]), 9);
        assert_eq!(significant_bits(&[0, 0]), 0);
    }
}

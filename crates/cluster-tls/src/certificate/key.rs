//! Which public keys are strong enough.

use x509_parser::der_parser::{Oid, oid};
use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A public key, as far as its strength is concerned.
///
/// Identifiers stay in binary: a certificate is read twice a handshake, and they become text only
/// in a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Rsa { bits: usize },
    Ec { curve: Option<Oid<'static>> },
    Ed25519,
    Other { algorithm: Oid<'static> },
}

impl PublicKey {
    pub(super) fn read(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = &info.algorithm.algorithm;
        if *algorithm == RSA {
            Self::Rsa {
                bits: match info.parsed() {
                    Ok(Parsed::RSA(key)) => significant_bits(key.modulus),
                    _ => 0,
                },
            }
        } else if *algorithm == EC {
            let parameters = info.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
            Self::Ec {
                curve: curve.map(|curve| curve.to_owned()),
            }
        } else if *algorithm == ED25519 {
            Self::Ed25519
        } else {
            Self::Other {
                algorithm: algorithm.to_owned(),
            }
        }
    }

    /// What is wrong with the key, if anything is.
    pub(crate) fn weakness(&self) -> Option<String> {
        match self {
            Self::Ed25519 => None,
            Self::Rsa { bits } if *bits >= RSA_BITS_MIN => None,
            Self::Rsa { bits } => Some(format!("an RSA key of {bits} bits")),
            Self::Ec { curve: Some(curve) } if CURVES.contains(curve) => None,
            Self::Ec { curve: Some(curve) } => {
                Some(format!("an elliptic curve key on curve {curve}"))
            }
            Self::Ec { curve: None } => {
                Some("an elliptic curve key on a curve without a name".to_owned())
            }
            Self::Other { algorithm } => Some(format!("a key of algorithm {algorithm}")),
        }
    }
}

fn significant_bits(modulus: &[u8]) -> usize {
    let first = modulus.iter().position(|byte| *byte != 0);
    first.map_or(0, |first| {
        let leading = usize::try_from(modulus[first].leading_zeros()).unwrap_or_default();
        (modulus.len() - first) * 8 - leading
    })
}

const RSA: Oid<'static> = oid!(1.2.840.113549.1.1.1);
const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
const ED25519: Oid<'static> = oid!(1.3.101.112);

/// P-256, P-384 and P-521.
const CURVES: [Oid<'static>; 3] = [
    oid!(1.2.840.10045.3.1.7),
    oid!(1.3.132.0.34),
    oid!(1.3.132.0.35),
];

/// NIST SP 800-131A: anything smaller has been disallowed since 2014.
const RSA_BITS_MIN: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_keys_pass_and_weak_ones_are_named() {
        assert_eq!(PublicKey::Ed25519.weakness(), None);
        assert_eq!(PublicKey::Rsa { bits: 2048 }.weakness(), None);
        let weak = PublicKey::Rsa { bits: 1024 }.weakness();
        assert_eq!(weak.as_deref(), Some("an RSA key of 1024 bits"));
        let [strong, secp256k1, unnamed] =
            [Some(CURVES[0].clone()), Some(oid!(1.3.132.0.10)), None]
                .map(|curve| PublicKey::Ec { curve }.weakness());
        assert_eq!(strong, None);
        assert!(secp256k1.unwrap().contains("1.3.132.0.10"));
        assert!(unnamed.is_some());
    }

    #[test]
    fn leading_zeros_do_not_make_a_key_longer() {
        assert_eq!(significant_bits(&[0, 0x80, 0]), 16);
        assert_eq!(significant_bits(&[0, 0x01, 0]), 9);
        assert_eq!(significant_bits(&[0, 0]), 0);
    }
}

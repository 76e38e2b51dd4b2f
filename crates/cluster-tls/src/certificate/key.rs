//! Which public keys are strong enough.

use x509_parser::public_key::PublicKey as Parsed;
use x509_parser::x509::SubjectPublicKeyInfo;

/// A public key, as far as its strength is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PublicKey {
    Rsa { bits: usize },
    Ec { curve: String },
    Ed25519,
    Other { algorithm: String },
}

impl PublicKey {
    pub(super) fn read(info: &SubjectPublicKeyInfo<'_>) -> Self {
        let algorithm = info.algorithm.algorithm.to_id_string();
        match algorithm.as_str() {
            RSA => Self::Rsa {
                bits: match info.parsed() {
                    Ok(Parsed::RSA(key)) => significant_bits(key.modulus),
                    _ => 0,
                },
            },
            EC => Self::Ec {
                curve: info
                    .algorithm
                    .parameters
                    .as_ref()
                    .and_then(|parameters| parameters.as_oid().ok())
                    .map(|curve| curve.to_id_string())
                    .unwrap_or_default(),
            },
            ED25519 => Self::Ed25519,
            _ => Self::Other { algorithm },
        }
    }

    /// What is wrong with the key, if anything is.
    pub(crate) fn weakness(&self) -> Option<String> {
        match self {
            Self::Ed25519 => None,
            Self::Rsa { bits } if *bits >= RSA_BITS_MIN => None,
            Self::Rsa { bits } => Some(format!("an RSA key of {bits} bits")),
            Self::Ec { curve } if CURVES.contains(&curve.as_str()) => None,
            Self::Ec { curve } => Some(format!("an elliptic curve key on curve {curve:?}")),
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

const RSA: &str = "1.2.840.113549.1.1.1";
const EC: &str = "1.2.840.10045.2.1";
const ED25519: &str = "1.3.101.112";

/// P-256, P-384 and P-521.
const CURVES: [&str; 3] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"];

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
        let strong = PublicKey::Ec {
            curve: CURVES[0].to_owned(),
        };
        assert_eq!(strong.weakness(), None);
        let secp256k1 = PublicKey::Ec {
            curve: "1.3.132.0.10".to_owned(),
        };
        assert!(secp256k1.weakness().is_some());
    }

    #[test]
    fn leading_zeros_do_not_make_a_key_longer() {
        assert_eq!(significant_bits(&[0, 0x80, 0]), 16);
        assert_eq!(significant_bits(&[0, 0x01, 0]), 9);
        assert_eq!(significant_bits(&[0, 0]), 0);
    }
}

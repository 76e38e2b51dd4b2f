//! Which kind of key an authority and its leaves use.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kind of the authority's key and of every leaf key it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyType {
    /// ECDSA on P-256 with SHA-256: the default, since every TLS stack has it.
    #[default]
    P256,
    /// ECDSA on P-384 with SHA-384.
    P384,
    /// Ed25519.
    Ed25519,
}

impl KeyType {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::P256, Self::P384, Self::Ed25519];

    /// The word for it in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for KeyType {
    type Err = UnknownKeyType;

    fn from_str(text: &str) -> Result<Self, UnknownKeyType> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| UnknownKeyType(text.to_owned()))
    }
}

/// A text that names no key type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a key type; use p256, p384 or ed25519")]
pub struct UnknownKeyType(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_back_from_its_word() {
        for kind in KeyType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn refuses_other_words() {
        for text in ["", "P256", "rsa", "p-256"] {
            assert!(text.parse::<KeyType>().is_err(), "{text:?}");
        }
    }
}

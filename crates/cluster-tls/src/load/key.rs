//! The private key, and whether it is the certificate's.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::PrivateKeyDer;

use super::{LoadFault, pem};

/// Reads the one private key of a file.
pub(super) fn read(
    text: &[u8],
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, LoadFault> {
    pem::expect_only(text, pem::Kind::PrivateKey)?;
    if is_encrypted_the_old_way(text) {
        return Err(LoadFault::EncryptedKey);
    }
    let mut keys: Vec<PrivateKeyDer<'static>> = pem::decode(text)?;
    let count = keys.len();
    match (keys.pop(), count) {
        (Some(key), 1) => provider
            .key_provider
            .load_private_key(key)
            .map_err(|error| LoadFault::UnusableKey(error.to_string())),
        (Some(_), _) => Err(LoadFault::SeveralKeys { count }),
        (None, _) => Err(LoadFault::Empty),
    }
}

/// Refuses a key that does not belong to the first certificate of the chain.
pub(super) fn must_match(certified: &CertifiedKey) -> Result<(), LoadFault> {
    if certified.keys_match().is_ok() {
        return Ok(());
    }
    let fits = |position: &usize| {
        let candidate = CertifiedKey::new(
            certified.cert[*position..=*position].to_vec(),
            Arc::clone(&certified.key),
        );
        candidate.keys_match().is_ok()
    };
    match (1..certified.cert.len()).find(fits) {
        Some(position) => Err(LoadFault::ChainOutOfOrder {
            position: position + 1,
        }),
        None => Err(LoadFault::KeyMismatch),
    }
}

/// Before PKCS#8, OpenSSL wrote encryption into a header inside the section.
fn is_encrypted_the_old_way(text: &[u8]) -> bool {
    text.split(|byte| *byte == b'\n').any(|line| {
        line.starts_with(b"Proc-Type:") && line.trim_ascii_end().ends_with(b"ENCRYPTED")
    })
}

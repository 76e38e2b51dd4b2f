//! PKCS#12, as OpenSSL 1.1 and Java 8u301 and later read it.

use aws_lc_rs::digest::{SHA256, digest};
use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey,
    PrivateKeyChain,
};
use zeroize::Zeroizing;

use super::{Bundle, BundleError, NodeBundle, PKCS8_LABEL};
use crate::passphrase::Passphrase;

pub(super) fn write(node: &NodeBundle, passphrase: &Passphrase) -> Result<Bundle, BundleError> {
    let mut store = KeyStore::new();
    let chain = KeyStoreEntry::PrivateKeyChain(chain(node)?);
    store.add_entry(node.name.as_str(), chain);
    let bytes = store
        .writer(passphrase.as_str())
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS)
        .write()
        .map_err(refused)?;
    Ok(Bundle(Zeroizing::new(bytes)))
}

fn chain(node: &NodeBundle) -> Result<PrivateKeyChain, BundleError> {
    if node.key.label != PKCS8_LABEL {
        return Err(BundleError::KeyEncoding {
            name: node.name.clone(),
            label: node.key.label,
        });
    }
    let key = PrivateKey::from_der(&node.key.der).map_err(refused)?;
    let certificates = node
        .chain
        .iter()
        .chain(&node.roots)
        .map(|der| Certificate::from_der(der).map_err(refused))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(PrivateKeyChain::new(local_key_id(node), key, certificates))
}

/// Ties the key to its certificate; any octets do, and a digest is the certificate's own.
fn local_key_id(node: &NodeBundle) -> Vec<u8> {
    let leaf = node.chain.first().map_or(&[][..], |leaf| leaf);
    digest(&SHA256, leaf).as_ref().to_vec()
}

fn refused(source: p12_keystore::error::Error) -> BundleError {
    let source = Box::new(source);
    BundleError::Pkcs12 { source }
}

/// What OWASP recommends for PBKDF2 with SHA-256, and as much for the MAC: whoever guesses attacks
/// the weaker of the two. OpenSSL writes 2 048 and Java 10 000; Java reads up to 5 000 000.
const ITERATIONS: u32 = 600_000;

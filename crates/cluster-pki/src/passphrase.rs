//! Placeholder until the real one is merged.
use std::path::Path;
use zeroize::Zeroizing;
/// p
pub struct Passphrase(#[allow(dead_code)] Zeroizing<String>);
impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase")
    }
}
/// e
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct PassphraseError;
/// s
pub trait PassphraseSource {
    /// p
    fn passphrase(&mut self, key: &Path) -> Result<Passphrase, PassphraseError>;
}
/// n
pub struct NoPassphrase;
impl PassphraseSource for NoPassphrase {
    fn passphrase(&mut self, _: &Path) -> Result<Passphrase, PassphraseError> {
        Err(PassphraseError)
    }
}
pub(crate) fn seal(pem: &str, _: &Passphrase) -> Result<Zeroizing<String>, PassphraseError> {
    Ok(Zeroizing::new(pem.to_owned()))
}
pub(crate) fn unseal(pem: &str, _: &Passphrase) -> Result<Zeroizing<String>, PassphraseError> {
    Ok(Zeroizing::new(pem.to_owned()))
}
pub(crate) fn is_sealed(_: &str) -> bool {
    false
}

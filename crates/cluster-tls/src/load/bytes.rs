//! Credentials as text, wherever they came from.

use std::fmt::{self, Debug, Formatter};

use zeroize::Zeroizing;

/// The PEM texts that a node's credentials are made of. Nothing here has been looked at yet.
///
/// The private key is wiped from memory when the last owner lets go of it, and is never shown.
///
/// # Examples
///
/// ```no_run
/// # fn vault(_: &str) -> Vec<u8> { Vec::new() }
/// use cluster_tls::CredentialBytes;
///
/// let bytes = CredentialBytes::new(vault("ca"), vault("certificate"), vault("key"))
///     .with_deny_list("5f3a901c   # executor7, stolen on 3 May\n");
/// ```
pub struct CredentialBytes {
    pub(crate) ca: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) key: Zeroizing<Vec<u8>>,
    pub(crate) crl: Option<Vec<u8>>,
    pub(crate) deny_list: Option<Vec<u8>>,
}

impl CredentialBytes {
    /// Roots, certificate with its intermediates, and private key, each as PEM.
    #[must_use]
    pub fn new(
        ca: impl Into<Vec<u8>>,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        Self {
            ca: ca.into(),
            certificate: certificate.into(),
            key: Zeroizing::new(key.into()),
            crl: None,
            deny_list: None,
        }
    }

    /// Adds certificate revocation lists (RFC 5280, section 5) as PEM.
    ///
    /// With lists in use every root needs a current one: a peer whose standing nobody vouches for
    /// is refused.
    #[must_use]
    pub fn with_crl(mut self, crl: impl Into<Vec<u8>>) -> Self {
        self.crl = Some(crl.into());
        self
    }

    /// Adds a deny-list: one certificate a line, by its serial number or its SHA-256 fingerprint
    /// in hexadecimal; `#` begins a comment. An empty text is refused, for that is what a copy that
    /// was cut short looks like: a list of nobody is a comment.
    #[must_use]
    pub fn with_deny_list(mut self, deny_list: impl Into<Vec<u8>>) -> Self {
        self.deny_list = Some(deny_list.into());
        self
    }

    /// SHA-256 over everything, with lengths, so that no two different sets look the same.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        let parts = [
            Some(self.ca.as_slice()),
            Some(self.certificate.as_slice()),
            Some(self.key.as_slice()),
            self.crl.as_deref(),
            self.deny_list.as_deref(),
        ];
        for part in parts {
            // An absent part has a length that no present one can have.
            let length = part.map_or(u64::MAX, |part| part.len() as u64);
            context.update(&length.to_be_bytes());
            context.update(part.unwrap_or_default());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

/// The part of a node's credentials that says who is no longer a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevocationBytes {
    /// Certificate revocation lists; see [`CredentialBytes::with_crl`].
    pub crl: Option<Vec<u8>>,
    /// A deny-list; see [`CredentialBytes::with_deny_list`].
    pub deny_list: Option<Vec<u8>>,
}

impl CredentialBytes {
    /// The same credentials with other revocations.
    pub(crate) fn with_revocations(&self, revocations: RevocationBytes) -> Self {
        Self {
            ca: self.ca.clone(),
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            crl: revocations.crl,
            deny_list: revocations.deny_list,
        }
    }
}

impl Debug for CredentialBytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialBytes")
            .field("ca_bytes", &self.ca.len())
            .field("certificate_bytes", &self.certificate.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_tells_moved_and_absent_parts_apart() {
        let digest =
            |ca: &str, certificate: &str| CredentialBytes::new(ca, certificate, "key").digest();
        assert_eq!(digest("a", "b"), digest("a", "b"));
        assert_ne!(digest("ab", ""), digest("a", "b"));
        let bare = CredentialBytes::new("a", "b", "key");
        let empty = CredentialBytes::new("a", "b", "key").with_crl("");
        assert_ne!(bare.digest(), empty.digest());
    }

    #[test]
    fn the_key_is_not_shown() {
        let shown = format!("{:?}", CredentialBytes::new("a", "b", "secret"));
        assert!(!shown.contains("secret"), "{shown}");
    }
}

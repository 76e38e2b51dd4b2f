//! The CA keys of a run: read when something is to be signed, and not before.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rcgen::{Issuer, KeyPair, PublicKeyData};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::files::{self, FileError};
use crate::passphrase::{self, NoPassphrase, PassphraseError, PassphraseSource};
use crate::root::{Root, key_file};

/// A key and the name that it signs for.
pub(crate) type CaIssuer = Issuer<'static, KeyPair>;

/// The keys that were opened, by the generation of their root.
#[derive(Default)]
pub(crate) struct Keys(BTreeMap<u64, CaIssuer>);

impl Keys {
    /// Opens the key of a root unless it is open already.
    pub(crate) fn open(
        &mut self,
        directory: &Path,
        root: &Root,
        passphrases: &mut dyn PassphraseSource,
    ) -> Result<(), KeyError> {
        if self.0.contains_key(&root.generation) {
            return Ok(());
        }
        let issuer = load(&key_file(directory, root.generation), root, passphrases)?;
        self.0.insert(root.generation, issuer);
        Ok(())
    }

    /// The open key of a root.
    pub(crate) fn of(&self, root: &Root) -> Result<&CaIssuer, KeyError> {
        self.0.get(&root.generation).ok_or(KeyError::Closed)
    }
}

/// Why a CA key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// [`unlock`](crate::Authority::unlock) was not called before signing.
    #[error("the authority's key was not unlocked")]
    Closed,
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// It has a passphrase, which was not given or is another one.
    #[error("cannot open {}", path.display())]
    Passphrase {
        /// The key file.
        path: PathBuf,
        /// What is wrong with the passphrase.
        #[source]
        source: PassphraseError,
    },
    /// It is no key.
    #[error("{} is not a private key", path.display())]
    Damaged {
        /// The key file.
        path: PathBuf,
    },
    /// Key and certificate were made for each other in no way.
    #[error("{} is not the key of the authority's certificate", path.display())]
    Mismatch {
        /// The key file.
        path: PathBuf,
    },
}

/// Whether the key of a root has a passphrase.
pub(crate) fn is_sealed(directory: &Path, root: &Root) -> Result<bool, FileError> {
    let pem = files::read_owner_only(&key_file(directory, root.generation))?;
    Ok(passphrase::is_sealed(&pem))
}

/// Checks that the key of a root is there and, as far as that can be seen without a passphrase,
/// that it is the right one.
pub(crate) fn check(directory: &Path, root: &Root) -> Result<(), KeyError> {
    if is_sealed(directory, root)? {
        return Ok(());
    }
    let key = key_file(directory, root.generation);
    load(&key, root, &mut NoPassphrase).map(drop)
}

fn load(
    path: &Path,
    root: &Root,
    passphrases: &mut dyn PassphraseSource,
) -> Result<CaIssuer, KeyError> {
    let own = || path.to_owned();
    let mut pem = files::read_owner_only(path)?;
    if passphrase::is_sealed(&pem) {
        let opened = passphrases
            .passphrase(path)
            .and_then(|given| passphrase::unseal(&pem, &given));
        pem = opened.map_err(|source| KeyError::Passphrase {
            path: own(),
            source,
        })?;
    }
    let pair = KeyPair::from_pem(&pem).map_err(|_| KeyError::Damaged { path: own() })?;
    let mismatch = || KeyError::Mismatch { path: own() };
    let (_, parsed) = X509Certificate::from_der(&root.certificate).map_err(|_| mismatch())?;
    if parsed.public_key().raw != pair.subject_public_key_info() {
        return Err(mismatch());
    }
    Issuer::from_ca_cert_der(&root.certificate, pair).map_err(|_| mismatch())
}

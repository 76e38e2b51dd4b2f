//! The authority: a PKI directory, opened.
//!
//! ```text
//! authority.json      domain, key type, which root signs; its presence makes an authority
//! ca-<generation>.pem, ca-<generation>-key.pem
//! issued.jsonl        every certificate ever signed
//! revoked.jsonl       every certificate ever revoked
//! lock                held while an authority is open
//! ```

mod init;
mod issue;
mod plan;
mod published;
mod recover;
mod renew;
mod revoke;
mod rotate;
mod sign;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::files::{self, FileError};
use crate::index::{Index, IssuedRecord};
use crate::key_type::KeyType;
use crate::keys::{self, KeyError, Keys};
use crate::lines::{self, RecordError};
use crate::lock::{DirectoryLock, LockError};
use crate::name::Domain;
use crate::passphrase::{NoPassphrase, PassphraseSource};
use crate::revocations::{Revocations, RevokedRecord};
use crate::root::Root;
use crate::roots_file::{Roots, believed_pem};
use crate::settings::{Settings, SettingsError};
use crate::standing::{self, Certificate};

pub use self::init::{InitError, InitRequest};
pub use self::issue::{BatchError, Identity, IssueError, Issued, LeafRequest};
pub use self::renew::{Due, RenewRequest, Renewals};
pub use self::revoke::{Lists, ListsRequest, RevokeError, RevokeTarget, Revoked};
pub use self::rotate::{Begun, RootInfo, RotateError, Rotation, RotationRequest};
pub use self::sign::RequestedNames;

/// The certificate authority of one cluster.
///
/// It holds the lock of its directory for as long as it lives, so there is one at a time; a
/// second one waits up to 30 seconds.
pub struct Authority {
    directory: PathBuf,
    settings: Settings,
    signing: Root,
    retiring: Option<Root>,
    keys: Keys,
    index: Index,
    revocations: Revocations,
    _lock: DirectoryLock,
}

impl Authority {
    /// Opens the authority of a PKI directory. Its keys stay closed until something is signed.
    ///
    /// Where a run died after it had recorded certificates and before all their files had their
    /// names, this completes it.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoAuthority`] where none was made yet; other variants name the file that is
    /// missing, readable by others or damaged.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let no_authority = || OpenError::NoAuthority {
            directory: directory.to_owned(),
        };
        // Looked at before the lock, which would create a file in a stranger's directory.
        if !files::exists(&Settings::path(directory))? {
            return Err(if lines::has_records(&Index::path(directory))? {
                OpenError::SettingsLost {
                    path: Settings::path(directory),
                }
            } else {
                no_authority()
            });
        }
        files::check_owner_only_directory(directory)?;
        let lock = DirectoryLock::acquire(directory, DirectoryLock::PATIENCE)?;
        let settings = Settings::load(directory)?.ok_or_else(no_authority)?;
        Self::load(directory, settings, lock)
    }

    fn load(directory: &Path, settings: Settings, lock: DirectoryLock) -> Result<Self, OpenError> {
        let roots = settings.roots();
        let retiring = roots
            .retiring
            .map(|retiring| Root::load(directory, retiring.generation))
            .transpose()?;
        let authority = Self {
            directory: directory.to_owned(),
            signing: Root::load(directory, roots.generation)?,
            retiring,
            keys: Keys::default(),
            index: Index::load(directory)?,
            revocations: Revocations::load(directory)?,
            settings,
            _lock: lock,
        };
        authority.recover();
        Ok(authority)
    }

    /// Opens the key of the root that signs, asking for the passphrase if it has one: for
    /// certificates.
    ///
    /// A key without a passphrase needs no unlocking. It stays open as long as the value lives.
    ///
    /// # Errors
    ///
    /// [`KeyError`] names the key file and what is wrong with it, or with the passphrase.
    pub fn unlock(&mut self, passphrases: &mut dyn PassphraseSource) -> Result<(), KeyError> {
        self.keys.open(&self.directory, &self.signing, passphrases)
    }

    /// The same, and the key of the root that a rotation takes out of use: for revocation lists,
    /// of which each root signs its own.
    ///
    /// # Errors
    ///
    /// Those of [`unlock`](Authority::unlock). A key file of the retiring root that is lost is
    /// missed where a list is made.
    pub fn unlock_lists(&mut self, passphrases: &mut dyn PassphraseSource) -> Result<(), KeyError> {
        self.unlock(passphrases)?;
        let Some(retiring) = &self.retiring else {
            return Ok(());
        };
        match self.keys.open(&self.directory, retiring, passphrases) {
            Err(KeyError::File(_)) => Ok(()),
            opened => opened,
        }
    }

    /// The PKI directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The cluster's domain.
    pub fn domain(&self) -> &Domain {
        &self.settings.domain
    }

    /// The kind of key that the authority has and makes.
    pub fn key_type(&self) -> KeyType {
        self.settings.key_type
    }

    /// The number of the root that signs.
    pub fn generation(&self) -> u64 {
        self.signing.generation
    }

    /// The roots as nodes read them: the content of their `ca.pem`. During a rotation it has two,
    /// the one that signs first.
    pub fn ca_pem(&self) -> String {
        believed_pem(&self.signing, self.retiring.as_ref())
    }

    /// The subject of the root that signs.
    pub fn subject(&self) -> &str {
        &self.signing.subject
    }

    /// SHA-256 of the root that signs as lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.signing.fingerprint
    }

    /// The first moment of the root that signs.
    pub fn not_before(&self) -> SystemTime {
        self.signing.window.not_before
    }

    /// The last moment of the root that signs; no leaf outlives it.
    pub fn not_after(&self) -> SystemTime {
        self.signing.window.not_after
    }

    /// Every certificate that was ever signed, oldest first.
    pub fn issued(&self) -> &[IssuedRecord] {
        self.index.records()
    }

    /// Every certificate that was ever revoked, oldest revocation first.
    pub fn revoked(&self) -> &[RevokedRecord] {
        self.revocations.records()
    }

    /// Every certificate that was ever signed and what became of it, oldest first.
    pub fn certificates(&self, now: SystemTime) -> Vec<Certificate<'_>> {
        let roots = self.settings.roots();
        standing::certificates(self.index.records(), &self.revocations, roots, now)
    }

    /// Whether the key of the root that signs has a passphrase.
    ///
    /// # Errors
    ///
    /// [`KeyError::File`] where the key file cannot be read, or others may read it.
    pub fn has_passphrase(&self) -> Result<bool, KeyError> {
        Ok(keys::is_sealed(&self.directory, &self.signing)?)
    }

    /// Opens the key of the root that signs if it has no passphrase, and no other: what is issued
    /// during a rotation needs nothing of the old root.
    fn open_issuer(&mut self) -> Result<(), KeyError> {
        self.keys
            .open(&self.directory, &self.signing, &mut NoPassphrase)
    }

    /// The roots as a `ca.pem` is compared with them.
    fn roots_file(&self) -> Result<Roots, OpenError> {
        let known = Root::load_all(&self.directory)?;
        Ok(Roots::new(&self.signing, self.retiring.as_ref(), known))
    }
}

impl fmt::Debug for Authority {
    /// Everything but the keys.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority")
            .field("directory", &self.directory)
            .field("settings", &self.settings)
            .field("subject", &self.signing.subject)
            .finish_non_exhaustive()
    }
}

/// Why an authority cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory holds no authority.
    #[error("there is no authority in {}", directory.display())]
    NoAuthority {
        /// The PKI directory.
        directory: PathBuf,
    },
    /// There are records of an authority, and nothing that says what it was.
    #[error("{} is missing beside the records of an authority", path.display())]
    SettingsLost {
        /// The settings file.
        path: PathBuf,
    },
    /// Another run is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The record of issued or of revoked certificates cannot be read.
    #[error(transparent)]
    Records(#[from] RecordError),
    /// The CA certificate is not one.
    #[error("{} is not a CA certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
}

//! The authority: a PKI directory, opened.
//!
//! ```text
//! authority.json      domain, key type, generation in use; its presence makes an authority
//! ca-<generation>.pem, ca-<generation>-key.pem
//! issued.jsonl        every certificate ever signed
//! lock                held while an authority is open
//! ```

mod init;
mod issue;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{Issuer, KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::files::{self, FileError};
use crate::index::{Index, IndexError, IssuedRecord};
use crate::key_type::KeyType;
use crate::lock::{DirectoryLock, LockError};
use crate::mint::fingerprint;
use crate::name::Domain;
use crate::policy::Window;
use crate::settings::{Settings, SettingsError};

pub use self::init::{InitError, InitRequest};
pub use self::issue::{IssueError, Issued, LeafRequest};

/// The certificate authority of one cluster.
///
/// It holds the lock of its directory for as long as it lives, so there is one at a time; a
/// second one waits up to 30 seconds.
pub struct Authority {
    directory: PathBuf,
    settings: Settings,
    root: Root,
    issuer: Issuer<'static, KeyPair>,
    index: Index,
    _lock: DirectoryLock,
}

/// The public half of the root in use.
struct Root {
    pem: String,
    subject: String,
    fingerprint: String,
    window: Window,
}

impl Authority {
    /// Opens the authority of a PKI directory.
    ///
    /// # Errors
    ///
    /// [`OpenError::NoAuthority`] where none was made yet; other variants name the file that is
    /// missing, readable by others, damaged or foreign.
    pub fn open(directory: &Path) -> Result<Self, OpenError> {
        let no_authority = || OpenError::NoAuthority {
            directory: directory.to_owned(),
        };
        // Looked at before the lock, which would create a file in a stranger's directory.
        if !files::exists(&Settings::path(directory))? {
            return Err(no_authority());
        }
        files::check_owner_only_directory(directory)?;
        let lock = DirectoryLock::acquire(directory, DirectoryLock::PATIENCE)?;
        let settings = Settings::load(directory)?.ok_or_else(no_authority)?;
        Self::load(directory, settings, lock)
    }

    fn load(directory: &Path, settings: Settings, lock: DirectoryLock) -> Result<Self, OpenError> {
        let (certificate, key) = root_files(directory, settings.generation);
        let (root, issuer) = load_root(&certificate, &key)?;
        Ok(Self {
            directory: directory.to_owned(),
            settings,
            root,
            issuer,
            index: Index::load(directory)?,
            _lock: lock,
        })
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

    /// The number of the root in use.
    pub fn generation(&self) -> u64 {
        self.settings.generation
    }

    /// The roots as nodes read them: the content of their `ca.pem`.
    pub fn ca_pem(&self) -> &str {
        &self.root.pem
    }

    /// The subject of the root in use.
    pub fn subject(&self) -> &str {
        &self.root.subject
    }

    /// SHA-256 of the root in use as lower-case hexadecimal digits.
    pub fn fingerprint(&self) -> &str {
        &self.root.fingerprint
    }

    /// The first moment of the root in use.
    pub fn not_before(&self) -> SystemTime {
        self.root.window.not_before
    }

    /// The last moment of the root in use; no leaf outlives it.
    pub fn not_after(&self) -> SystemTime {
        self.root.window.not_after
    }

    /// Every certificate that was ever signed, oldest first.
    pub fn issued(&self) -> &[IssuedRecord] {
        self.index.records()
    }
}

impl fmt::Debug for Authority {
    /// Everything but the key.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Authority")
            .field("directory", &self.directory)
            .field("settings", &self.settings)
            .field("subject", &self.root.subject)
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
    /// Another run is at work.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The settings cannot be read.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The record of issued certificates cannot be read.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The CA certificate is not one.
    #[error("{} is not a CA certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// The CA key is not one.
    #[error("{} is not a private key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate were made for each other in no way.
    #[error("{} is not the key of {}", key.display(), certificate.display())]
    Mismatch {
        /// The key file.
        key: PathBuf,
        /// The certificate file.
        certificate: PathBuf,
    },
}

/// The certificate and the key file of one generation.
fn root_files(directory: &Path, generation: u64) -> (PathBuf, PathBuf) {
    (
        directory.join(format!("ca-{generation}.pem")),
        directory.join(format!("ca-{generation}-key.pem")),
    )
}

fn load_root(
    certificate: &Path,
    key: &Path,
) -> Result<(Root, Issuer<'static, KeyPair>), OpenError> {
    let pem = files::read(certificate)?;
    let secret = files::read_owner_only(key)?;
    let foreign = || OpenError::Certificate {
        path: certificate.to_owned(),
    };
    let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| foreign())?;
    let (_, parsed) = X509Certificate::from_der(&der).map_err(|_| foreign())?;
    if !parsed.is_ca() {
        return Err(foreign());
    }
    let pair = KeyPair::from_pem(&secret).map_err(|_| OpenError::Key {
        path: key.to_owned(),
    })?;
    if parsed.public_key().raw != pair.subject_public_key_info() {
        return Err(OpenError::Mismatch {
            key: key.to_owned(),
            certificate: certificate.to_owned(),
        });
    }
    let issuer = Issuer::from_ca_cert_der(&der, pair).map_err(|_| foreign())?;
    let root = Root {
        subject: parsed.subject().to_string(),
        fingerprint: fingerprint(&der),
        window: window(&parsed).ok_or_else(foreign)?,
        pem,
    };
    Ok((root, issuer))
}

fn window(certificate: &X509Certificate<'_>) -> Option<Window> {
    let time = |seconds: i64| {
        let since = Duration::from_secs(u64::try_from(seconds).ok()?);
        SystemTime::UNIX_EPOCH.checked_add(since)
    };
    let validity = certificate.validity();
    Some(Window {
        not_before: time(validity.not_before.timestamp())?,
        not_after: time(validity.not_after.timestamp())?,
    })
}

//! Where credentials come from: files, a channel, or whatever an embedder has.

use std::future::{Future, pending};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use zeroize::Zeroizing;

use super::{CredentialBytes, CredentialFile, CredentialPaths, LoadError, RevocationBytes, file};

/// A place that credentials are read from, now and again when they change.
///
/// Files ([`FileSource`]), a channel (`watch::Receiver<Arc<CredentialBytes>>`) and a constant
/// (`Arc<CredentialBytes>`) are sources already.
///
/// # Examples
///
/// A source that asks a secret store:
///
/// ```
/// use std::sync::Arc;
/// use cluster_tls::{CredentialBytes, CredentialSource, LoadError};
///
/// # struct Vault;
/// # impl Vault { fn get(&self, _: &str) -> Result<Vec<u8>, std::io::Error> { Ok(Vec::new()) } }
/// impl CredentialSource for Vault {
///     fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
///         let get = |name| self.get(name).map_err(LoadError::unavailable);
///         let bytes = CredentialBytes::new(get("ca")?, get("certificate")?, get("key")?);
///         Ok(Arc::new(bytes))
///     }
/// }
/// ```
pub trait CredentialSource: Send + 'static {
    /// Reads everything as it is at this moment. May block: it is called on a thread that may.
    ///
    /// # Errors
    ///
    /// Fails if anything that must be there cannot be read; see [`LoadError::unavailable`].
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError>;

    /// Reads what says who is no longer a member, apart from everything else: it is used also while
    /// the rest cannot be. `None` where a source has no such part, or cannot read it now.
    fn read_revocations(&mut self) -> Option<RevocationBytes> {
        None
    }

    /// Ends when there may be something new. Sources are polled as well, so that a source that
    /// cannot tell keeps this method, which never ends.
    ///
    /// # Cancel safety
    ///
    /// Must be cancel safe: it is dropped whenever polling comes first.
    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(pending())
    }

    /// The path of a part, where it has one, for messages.
    fn path(&self, _file: CredentialFile) -> Option<&Path> {
        None
    }
}

/// Credentials in PEM files.
///
/// # Examples
///
/// ```
/// use cluster_tls::{CredentialPaths, FileSource};
///
/// let source = FileSource::new(CredentialPaths {
///     ca: "ca.pem".into(),
///     certificate: "executor1.pem".into(),
///     key: "executor1-key.pem".into(),
/// })
/// .with_crl("crl.pem");
/// ```
#[derive(Clone, Debug)]
pub struct FileSource {
    paths: CredentialPaths,
    crl: Option<PathBuf>,
    deny_list: Option<PathBuf>,
}

impl FileSource {
    /// The three files that every node has.
    #[must_use]
    pub fn new(paths: CredentialPaths) -> Self {
        Self {
            paths,
            crl: None,
            deny_list: None,
        }
    }

    /// Adds a file of certificate revocation lists, PEM; see [`CredentialBytes::with_crl`].
    #[must_use]
    pub fn with_crl(mut self, path: impl Into<PathBuf>) -> Self {
        self.crl = Some(path.into());
        self
    }

    /// Adds a deny-list file; see [`CredentialBytes::with_deny_list`].
    #[must_use]
    pub fn with_deny_list(mut self, path: impl Into<PathBuf>) -> Self {
        self.deny_list = Some(path.into());
        self
    }

    fn read_part(&self, file: CredentialFile) -> Result<Zeroizing<Vec<u8>>, LoadError> {
        let Some(path) = self.path(file) else {
            return Ok(Zeroizing::default());
        };
        let read = match file {
            CredentialFile::Key => file::read_secret(path),
            _ => file::read(path).map(Zeroizing::new),
        };
        read.map_err(|fault| LoadError::new(file, fault).located(self))
    }

    /// Everything that can be read, with nothing in the place of what cannot.
    fn digest_of_the_rest(&self) -> [u8; 32] {
        let part = |file| {
            self.read_part(file)
                .map_or_else(|_| Vec::new(), |part| part.to_vec())
        };
        let [ca, certificate, key, crl, deny_list] = EVERY_FILE.map(part);
        CredentialBytes::new(ca, certificate, key)
            .with_crl(crl)
            .with_deny_list(deny_list)
            .digest()
    }

    fn read_all(&self) -> Result<CredentialBytes, LoadError> {
        let part = |file| self.read_part(file);
        let optional = |file| match self.path(file) {
            Some(_) => part(file).map(|text| Some(text.to_vec())),
            None => Ok(None),
        };
        Ok(CredentialBytes {
            ca: part(CredentialFile::Ca)?.to_vec(),
            certificate: part(CredentialFile::Certificate)?.to_vec(),
            key: part(CredentialFile::Key)?,
            crl: optional(CredentialFile::Crl)?,
            deny_list: optional(CredentialFile::DenyList)?,
        })
    }
}

impl CredentialSource for FileSource {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        self.read_all()
            .map(Arc::new)
            .map_err(|error| error.beside(self.digest_of_the_rest()))
    }

    fn read_revocations(&mut self) -> Option<RevocationBytes> {
        let optional = |file| match self.path(file) {
            Some(_) => self.read_part(file).ok().map(|text| Some(text.to_vec())),
            None => Some(None),
        };
        Some(RevocationBytes {
            crl: optional(CredentialFile::Crl)?,
            deny_list: optional(CredentialFile::DenyList)?,
        })
    }

    fn path(&self, file: CredentialFile) -> Option<&Path> {
        match file {
            CredentialFile::Ca => Some(&self.paths.ca),
            CredentialFile::Certificate => Some(&self.paths.certificate),
            CredentialFile::Key => Some(&self.paths.key),
            CredentialFile::Crl => self.crl.as_deref(),
            CredentialFile::DenyList => self.deny_list.as_deref(),
        }
    }
}

/// Credentials that never change.
impl CredentialSource for Arc<CredentialBytes> {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        Ok(Self::clone(self))
    }
}

/// Credentials that another part of the program sends.
impl CredentialSource for watch::Receiver<Arc<CredentialBytes>> {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        Ok(Arc::clone(&self.borrow_and_update()))
    }

    fn changed(&mut self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // Without a sender nothing changes any more.
            if Self::changed(self).await.is_err() {
                pending::<()>().await;
            }
        })
    }
}

/// In the order in which a fault in one of them is told.
pub(crate) const EVERY_FILE: [CredentialFile; 5] = [
    CredentialFile::Ca,
    CredentialFile::Certificate,
    CredentialFile::Key,
    CredentialFile::Crl,
    CredentialFile::DenyList,
];

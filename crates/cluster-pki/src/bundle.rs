//! A node's files in the forms that other programs take them in.
//!
//! Nothing is handed over that a node would not start with: the files are verified by the very
//! code that a node runs, and what was verified is what is written, not a second reading of it.

mod kubernetes;
mod pkcs12;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use cluster_tls::{
    Clock, CredentialBytes, CredentialFile, CredentialSource, LoadError, PeerIdentity, PeerPolicy,
    Snapshot,
};
use pkcs8::LineEnding;
use pkcs8::der::pem::encode_string;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::{Zeroize, Zeroizing};

use crate::files::{self, Access, FileError, StagedFile};
use crate::name::NodeName;
use crate::output::{self, Existing, NodeFiles, OutputError};
use crate::passphrase::Passphrase;

pub use self::kubernetes::{Namespace, SecretForm, SecretName, SecretNameError, SecretTarget};

/// A node's certificate, key and roots, verified together.
pub struct NodeBundle {
    name: NodeName,
    chain: Vec<CertificateDer<'static>>,
    roots: Vec<CertificateDer<'static>>,
    key: Key,
    snapshot: Snapshot,
}

/// A private key and the PEM label of its encoding.
struct Key {
    label: &'static str,
    der: Zeroizing<Vec<u8>>,
}

impl NodeBundle {
    /// Reads `ca.pem`, `NAME.pem` and `NAME-key.pem` of a directory and verifies them as a whole.
    ///
    /// # Errors
    ///
    /// [`BundleError::File`] when a file is missing, or the key is a link or open to others;
    /// [`BundleError::Refused`] when a node would not start with them: the key is another
    /// certificate's, the chain does not reach the roots, the certificate has expired, ...
    pub fn read(directory: &Path, name: &NodeName, now: SystemTime) -> Result<Self, BundleError> {
        let files = NodeFiles::new(directory, name);
        let ca = files::read(&files.ca)?;
        let certificate = files::read(&files.certificate)?;
        let key = files::read_owner_only(&files.key)?;
        let bytes = CredentialBytes::new(ca.as_str(), certificate.as_str(), key.as_str());
        let mut source = FilesAsRead {
            bytes: Arc::new(bytes),
            files,
        };
        let clock = Arc::new(Moment(now));
        let snapshot = cluster_tls::load_from(&mut source, clock, PeerPolicy::default())?;
        Ok(Self {
            name: name.clone(),
            chain: certificates(&source.files.certificate, &certificate)?,
            roots: certificates(&source.files.ca, &ca)?,
            key: Key::read(&source.files.key, &key)?,
            snapshot,
        })
    }

    /// The node.
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// What the certificate says of its holder.
    pub fn identity(&self) -> &PeerIdentity {
        self.snapshot.own()
    }

    /// How many roots there are; several while a rotation is under way.
    pub fn root_count(&self) -> usize {
        self.roots.len()
    }

    /// One PEM file: certificate and intermediates, then the key, then the roots.
    ///
    /// HAProxy, nginx and curl take the first certificate for the node's and find the key wherever
    /// it is. Roots come last: they are then the end of the chain that a server sends, and never
    /// in the place of its own certificate.
    ///
    /// # Errors
    ///
    /// [`BundleError::Encode`].
    pub fn pem(&self) -> Result<Bundle, BundleError> {
        let parts = [
            pem_certificates(&self.chain)?,
            self.key.pem()?,
            pem_certificates(&self.roots)?,
        ];
        Ok(Bundle::joined(&parts.each_ref().map(|part| part.as_str())))
    }

    /// PKCS#12 (RFC 7292): key, certificate, intermediates and roots under the node's name.
    ///
    /// # Errors
    ///
    /// [`BundleError::KeyEncoding`] for a key that is not PKCS#8, [`BundleError::Pkcs12`] for a
    /// passphrase that the format cannot express.
    pub fn pkcs12(&self, passphrase: &Passphrase) -> Result<Bundle, BundleError> {
        pkcs12::write(self, passphrase)
    }

    /// A Secret of type `kubernetes.io/tls`, with the roots as `ca.crt` beside it.
    ///
    /// # Errors
    ///
    /// [`BundleError::Encode`].
    pub fn kubernetes_secret(
        &self,
        target: &SecretTarget,
        form: SecretForm,
    ) -> Result<Bundle, BundleError> {
        kubernetes::write(self, target, form)
    }
}

/// A finished bundle, private key included; wiped from memory after use and never shown.
pub struct Bundle(Zeroizing<Vec<u8>>);

impl Bundle {
    /// What its file holds.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Writes it to a file that only its owner may read.
    ///
    /// # Errors
    ///
    /// [`OutputError::Exists`] unless an existing file is to be replaced; whatever the error, a
    /// file that was there is there unchanged.
    pub fn write(&self, path: &Path, existing: Existing) -> Result<(), OutputError> {
        output::refuse_pki_directory(files::parent(path))?;
        match existing {
            Existing::Refuse => self.create(path),
            Existing::Require if !files::exists(path)? => Err(OutputError::Missing {
                path: path.to_owned(),
            }),
            _ if path.is_dir() => Err(OutputError::Directory {
                path: path.to_owned(),
            }),
            Existing::Replace | Existing::Require => {
                Ok(files::replace(path, Access::Owner, &self.0)?)
            }
        }
    }

    fn create(&self, path: &Path) -> Result<(), OutputError> {
        // The exclusive create would refuse as well; this says so in the words of its own error.
        if files::exists(path)? {
            let path = path.to_owned();
            return Err(OutputError::Exists { path });
        }
        Ok(StagedFile::write(path, Access::Owner, &self.0)?.publish_new()?)
    }

    fn joined(parts: &[&str]) -> Self {
        // Room for everything at once: a growing buffer would leave copies of the key behind.
        let room = parts.iter().map(|part| part.len()).sum();
        let mut all = Zeroizing::new(Vec::with_capacity(room));
        for part in parts {
            all.extend_from_slice(part.as_bytes());
        }
        Self(all)
    }
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// A node would not start with these files.
    #[error(transparent)]
    Refused(#[from] LoadError),
    /// The key is in an encoding that PKCS#12 has no room for.
    #[error("the key of `{name}` is a `{label}`, and PKCS#12 takes PKCS#8 keys only")]
    KeyEncoding {
        /// The node.
        name: NodeName,
        /// The PEM label of its key.
        label: &'static str,
    },
    /// The PKCS#12 file could not be made.
    #[error("cannot make the PKCS#12 file")]
    Pkcs12 {
        /// What the format has against it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A part could not be written as text.
    #[error("cannot encode the bundle")]
    Encode {
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Key {
    fn read(path: &Path, text: &str) -> Result<Self, BundleError> {
        let mut key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|source| unreadable(path, source))?;
        let label = match &key {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => PKCS8_LABEL,
        };
        let der = Zeroizing::new(key.secret_der().to_vec());
        key.zeroize();
        Ok(Self { label, der })
    }

    fn pem(&self) -> Result<Zeroizing<String>, BundleError> {
        encode(self.label, &self.der)
    }
}

/// Texts that were read once, under the paths they came from.
struct FilesAsRead {
    bytes: Arc<CredentialBytes>,
    files: NodeFiles,
}

impl CredentialSource for FilesAsRead {
    fn read(&mut self) -> Result<Arc<CredentialBytes>, LoadError> {
        Ok(Arc::clone(&self.bytes))
    }

    fn path(&self, file: CredentialFile) -> Option<&Path> {
        match file {
            CredentialFile::Ca => Some(&self.files.ca),
            CredentialFile::Certificate => Some(&self.files.certificate),
            CredentialFile::Key => Some(&self.files.key),
            _ => None,
        }
    }
}

/// A clock that stands still.
#[derive(Debug)]
struct Moment(SystemTime);

impl Clock for Moment {
    fn now(&self) -> SystemTime {
        self.0
    }
}

fn certificates(path: &Path, text: &str) -> Result<Vec<CertificateDer<'static>>, BundleError> {
    CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|source| unreadable(path, source))
}

fn pem_certificates(certificates: &[CertificateDer<'_>]) -> Result<Zeroizing<String>, BundleError> {
    let mut all = Zeroizing::new(String::new());
    for certificate in certificates {
        all.push_str(&encode("CERTIFICATE", certificate)?);
    }
    Ok(all)
}

fn encode(label: &str, der: &[u8]) -> Result<Zeroizing<String>, BundleError> {
    encode_string(label, LineEnding::LF, der)
        .map(Zeroizing::new)
        .map_err(unencoded)
}

fn unencoded(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> BundleError {
    let source = source.into();
    BundleError::Encode { source }
}

/// The verification read the same text; should the two readers ever differ, it is told and not
/// written.
fn unreadable(path: &Path, source: rustls_pki_types::pem::Error) -> BundleError {
    FileError::new("read", path, std::io::Error::other(source)).into()
}

const PKCS8_LABEL: &str = "PRIVATE KEY";

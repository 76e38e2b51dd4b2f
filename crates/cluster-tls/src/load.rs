//! From three files to a verified snapshot.

mod error;
mod file;
mod key;
mod pem;
mod roots;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::clock::Clock;
use crate::config::{Material, provider};
use crate::identity::PeerIdentity;
use crate::policy::{PeerPolicy, Usage};
use crate::snapshot::Snapshot;
use crate::verify::Verifier;

pub use self::error::{CredentialFile, LoadError, LoadFault};

/// The three PEM files of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialPaths {
    /// The roots of the cluster, one or several.
    pub ca: PathBuf,
    /// This node's certificate, followed by its intermediates if there are any.
    pub certificate: PathBuf,
    /// The private key that belongs to the certificate, unencrypted.
    pub key: PathBuf,
}

impl CredentialPaths {
    fn fault(&self, file: CredentialFile, fault: LoadFault) -> LoadError {
        let path = match file {
            CredentialFile::Ca => &self.ca,
            CredentialFile::Certificate => &self.certificate,
            CredentialFile::Key => &self.key,
        };
        LoadError::new(file, path.clone(), fault)
    }
}

/// Loads the files and verifies them as a whole, exactly as a peer would.
///
/// Reads files and signs nothing: call it on a thread that may block.
///
/// # Errors
///
/// Reports the first fault found, with the file that holds it and a remedy. Material that our own
/// verifier would refuse from a peer is refused here too.
///
/// # Examples
///
/// ```no_run
/// use std::sync::Arc;
/// use cluster_tls::{CredentialPaths, PeerPolicy, SystemClock, load, publish};
///
/// let paths = CredentialPaths {
///     ca: "ca.pem".into(),
///     certificate: "executor1.pem".into(),
///     key: "executor1-key.pem".into(),
/// };
/// let snapshot = load(&paths, Arc::new(SystemClock), PeerPolicy::default())?;
/// println!("this node is {}", snapshot.own());
/// let (writer, credentials) = publish(snapshot);
/// # Ok::<(), cluster_tls::LoadError>(())
/// ```
pub fn load(
    paths: &CredentialPaths,
    clock: Arc<dyn Clock>,
    policy: PeerPolicy,
) -> Result<Snapshot, LoadError> {
    let files = Files::read(paths)?;
    let provider = provider();
    let roots = roots::read(&files.ca, clock.now())
        .map_err(|fault| paths.fault(CredentialFile::Ca, fault))?;
    let chain = certificates(&files.certificate)
        .map_err(|fault| paths.fault(CredentialFile::Certificate, fault))?;
    let signing = key::read(&files.key, &provider)
        .map_err(|fault| paths.fault(CredentialFile::Key, fault))?;

    let verifier = Arc::new(Verifier::new(
        roots,
        policy,
        Arc::clone(&clock),
        provider.signature_verification_algorithms,
    ));
    let own = accepts_itself(&verifier, &chain)
        .map_err(|fault| paths.fault(CredentialFile::Certificate, fault))?;
    let certified = CertifiedKey::new(chain, signing);
    key::must_match(&certified).map_err(|fault| paths.fault(CredentialFile::Key, fault))?;

    let material = Material {
        provider,
        clock,
        certified: Arc::new(certified),
        verifier,
    };
    Snapshot::new(
        own,
        material,
        #[cfg(feature = "tonic")]
        crate::snapshot::PemPair {
            certificate: files.certificate,
            key: files.key,
        },
    )
    .map_err(|error| {
        paths.fault(
            CredentialFile::Certificate,
            LoadFault::Unusable(error.to_string()),
        )
    })
}

/// The bytes of the three files.
struct Files {
    ca: Vec<u8>,
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl Files {
    fn read(paths: &CredentialPaths) -> Result<Self, LoadError> {
        Ok(Self {
            ca: file::read(&paths.ca).map_err(|fault| paths.fault(CredentialFile::Ca, fault))?,
            certificate: file::read(&paths.certificate)
                .map_err(|fault| paths.fault(CredentialFile::Certificate, fault))?,
            key: file::read_secret(&paths.key)
                .map_err(|fault| paths.fault(CredentialFile::Key, fault))?,
        })
    }
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, LoadFault> {
    pem::expect_only(text, pem::Kind::Certificate)?;
    pem::decode(text)
}

/// A peer would refuse what our own verifier refuses: better to know before the first connection.
fn accepts_itself(
    verifier: &Verifier,
    chain: &[CertificateDer<'static>],
) -> Result<PeerIdentity, LoadFault> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Err(LoadFault::Empty);
    };
    for usage in [Usage::Server, Usage::Client] {
        verifier
            .verify(leaf, intermediates, usage)
            .map_err(LoadFault::Refused)?;
    }
    let certificate = Certificate::parse(leaf).map_err(LoadFault::BadCertificate)?;
    PeerIdentity::of_verified(&certificate, 0).map_err(LoadFault::Refused)
}

//! From text to a verified snapshot.

mod bytes;
mod deny_list;
mod error;
mod file;
mod key;
mod pem;
mod remedy;
mod revocations;
mod roots;
mod source;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::CertificateDer;

use crate::clock::Clock;
use crate::config::{Material, provider};
use crate::identity::PeerIdentity;
use crate::policy::{PeerPolicy, Usage};
use crate::refusal::{Refusal, RefusalReason};
use crate::root::Root;
use crate::snapshot::Snapshot;
use crate::verify::{RevocationCheck, Verified, Verifier};

pub use self::bytes::{CredentialBytes, RevocationBytes};
pub use self::error::{CredentialFile, LoadError, LoadFault};
#[cfg(feature = "notify")]
pub(crate) use self::source::EVERY_FILE;
pub use self::source::{CredentialSource, FileSource};

#[cfg(fuzzing)]
pub(crate) use self::{pem::decode as decode_pem, revocations::read as read_revocations};

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

/// Loads the files and verifies them as a whole, exactly as a peer would.
///
/// Reads files: call it on a thread that may block. For credentials that reload see
/// [`open`](crate::open).
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
    load_from(&mut FileSource::new(paths.clone()), clock, policy)
}

/// Loads from any source; otherwise as [`load`].
///
/// # Errors
///
/// As [`load`], and when our own certificate is revoked.
///
/// # Examples
///
/// ```no_run
/// # fn vault(_: &str) -> Vec<u8> { Vec::new() }
/// use std::sync::Arc;
/// use cluster_tls::{CredentialBytes, PeerPolicy, SystemClock, load_from};
///
/// let bytes = CredentialBytes::new(vault("ca"), vault("certificate"), vault("key"));
/// let snapshot = load_from(&mut Arc::new(bytes), Arc::new(SystemClock), PeerPolicy::default())?;
/// # Ok::<(), cluster_tls::LoadError>(())
/// ```
pub fn load_from<S: CredentialSource>(
    source: &mut S,
    clock: Arc<dyn Clock>,
    policy: PeerPolicy,
) -> Result<Snapshot, LoadError> {
    let bytes = source.read()?;
    let snapshot = assemble(&bytes, clock, policy).map_err(|error| error.located(source))?;
    match snapshot.own_revocation() {
        None => Ok(snapshot),
        Some(refusal) => {
            let fault = LoadFault::Refused(refusal.clone());
            Err(LoadError::new(CredentialFile::Certificate, fault).located(source))
        }
    }
}

/// Verifies texts as a whole. Our own certificate may be revoked: that is for the caller to judge.
pub(crate) fn assemble(
    bytes: &CredentialBytes,
    clock: Arc<dyn Clock>,
    policy: PeerPolicy,
) -> Result<Snapshot, LoadError> {
    let at = |file| move |fault| LoadError::new(file, fault);
    let provider = provider();
    let roots = roots::read(&bytes.ca, clock.now()).map_err(at(CredentialFile::Ca))?;
    let chain = certificates(&bytes.certificate).map_err(at(CredentialFile::Certificate))?;
    let signing = key::read(&bytes.key, &provider).map_err(at(CredentialFile::Key))?;
    let denied = bytes.deny_list.as_deref().map(deny_list::read).transpose();
    let revoked = revoked(bytes, &roots, clock.as_ref()).map_err(at(CredentialFile::Crl))?;

    let protocol = policy.application_protocol.clone();
    let verifier = Verifier::new(
        roots,
        policy,
        Arc::clone(&clock),
        provider.signature_verification_algorithms,
    )
    .with_revocations(revoked)
    .with_denied(denied.map_err(at(CredentialFile::DenyList))?);
    let standing = own_standing(&verifier, &chain).map_err(at(CredentialFile::Certificate))?;
    let certified = CertifiedKey::new(chain, signing);
    key::must_match(&certified).map_err(at(CredentialFile::Key))?;

    let material = Material {
        provider,
        clock,
        certified: Arc::new(certified),
        verifier: Arc::new(verifier),
        protocol,
    };
    let snapshot = Snapshot::new(standing.own, material).with_own_revocation(standing.revocation);
    #[cfg(feature = "tonic")]
    let snapshot = snapshot.with_pem(crate::snapshot::PemPair {
        certificate: bytes.certificate.clone(),
        key: bytes.key.clone(),
    });
    // Whatever rustls has against the material shows here and not at the first connection.
    snapshot
        .probe()
        .map_err(|error| LoadFault::Unusable(error.to_string()))
        .map_err(at(CredentialFile::Certificate))?;
    Ok(snapshot)
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, LoadFault> {
    pem::expect_only(text, pem::Kind::Certificate)?;
    pem::decode(text)
}

fn revoked(
    bytes: &CredentialBytes,
    roots: &[Root],
    clock: &dyn Clock,
) -> Result<Option<crate::revocation::Revocations>, LoadFault> {
    let Some(text) = bytes.crl.as_deref() else {
        return Ok(None);
    };
    let lists = revocations::read(text)?;
    revocations::must_cover(&lists, roots, clock.now())?;
    Ok(Some(lists))
}

/// Who we are to our peers, and whether they would refuse us only because we are revoked.
struct Standing {
    own: PeerIdentity,
    revocation: Option<Refusal>,
}

/// A peer would refuse what our own verifier refuses: better to know before the first connection.
fn own_standing(
    verifier: &Verifier,
    chain: &[CertificateDer<'static>],
) -> Result<Standing, LoadFault> {
    let Some((leaf, intermediates)) = chain.split_first() else {
        return Err(LoadFault::Empty);
    };
    let verify = |usage, revocation| verifier.verify(leaf, intermediates, usage, revocation);
    verify(Usage::Server, RevocationCheck::Skip).map_err(LoadFault::Refused)?;
    let Verified {
        claims,
        certificate,
    } = verify(Usage::Client, RevocationCheck::Skip).map_err(LoadFault::Refused)?;
    let revocation = match verify(Usage::Client, RevocationCheck::Enforce) {
        Ok(_) => None,
        Err(refusal) if refusal.reason() == RefusalReason::Revoked => Some(refusal),
        Err(refusal) => return Err(LoadFault::Refused(refusal)),
    };
    Ok(Standing {
        own: PeerIdentity::new(claims, &certificate, 0),
        revocation,
    })
}

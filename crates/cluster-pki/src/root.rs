//! One root of an authority: its certificate, and where its files are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::oid_registry::{
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;

use crate::authority::OpenError;
use crate::files::{self, FileError};
use crate::key_type::KeyType;
use crate::mint::fingerprint;
use crate::policy::Window;

/// The public half of a root, read from the authority's directory.
pub(crate) struct Root {
    pub(crate) generation: u64,
    pub(crate) pem: String,
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) subject: String,
    pub(crate) fingerprint: String,
    pub(crate) window: Window,
    /// The kind of its key; `None` where it is none that this program makes.
    pub(crate) key_type: Option<KeyType>,
}

impl Root {
    pub(crate) fn load(directory: &Path, generation: u64) -> Result<Self, OpenError> {
        let path = certificate_file(directory, generation);
        let foreign = || OpenError::Certificate { path: path.clone() };
        let pem = files::read(&path)?;
        let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| foreign())?;
        let (_, parsed) = X509Certificate::from_der(&certificate).map_err(|_| foreign())?;
        if !parsed.is_ca() {
            return Err(foreign());
        }
        let (subject, window) = (
            parsed.subject().to_string(),
            window(&parsed).ok_or_else(foreign)?,
        );
        Ok(Self {
            generation,
            subject,
            fingerprint: fingerprint(&certificate),
            window,
            key_type: key_type(&parsed),
            pem,
            certificate,
        })
    }
}

impl Root {
    /// Every root that the authority ever had, oldest first.
    pub(crate) fn load_all(directory: &Path) -> Result<Vec<Self>, OpenError> {
        certificate_generations(directory)?
            .into_iter()
            .map(|generation| Self::load(directory, generation))
            .collect()
    }
}

pub(crate) fn certificate_file(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("ca-{generation}.pem"))
}

pub(crate) fn key_file(directory: &Path, generation: u64) -> PathBuf {
    directory.join(format!("ca-{generation}-key.pem"))
}

/// The roots that have a certificate here, oldest first. A crash while one was made may have left
/// its key alone, which certifies nothing.
fn certificate_generations(directory: &Path) -> Result<BTreeSet<u64>, FileError> {
    generations(directory, ".pem")
}

/// The roots that have a key here.
pub(crate) fn key_generations(directory: &Path) -> Result<BTreeSet<u64>, FileError> {
    generations(directory, "-key.pem")
}

/// A number above those of all roots that have a file here, and of what a crash left of one: a
/// key is never overwritten, and a number that was taken once means the same root forever.
pub(crate) fn free_generation(directory: &Path) -> Result<u64, FileError> {
    let last = certificate_generations(directory)?
        .last()
        .max(key_generations(directory)?.last())
        .copied();
    Ok(last.map_or(1, |last| last.saturating_add(1)))
}

/// The numbers of the files `ca-<generation><ending>`.
fn generations(directory: &Path, ending: &str) -> Result<BTreeSet<u64>, FileError> {
    let names = files::names_in(directory)?;
    let number = |name: &String| name.strip_prefix("ca-")?.strip_suffix(ending)?.parse().ok();
    Ok(names.iter().filter_map(number).collect())
}

/// A root signs itself, so that the algorithm of its signature tells the kind of its key.
fn key_type(certificate: &X509Certificate<'_>) -> Option<KeyType> {
    let algorithm = &certificate.signature_algorithm.algorithm;
    if *algorithm == OID_SIG_ECDSA_WITH_SHA256 {
        Some(KeyType::P256)
    } else if *algorithm == OID_SIG_ECDSA_WITH_SHA384 {
        Some(KeyType::P384)
    } else if *algorithm == OID_SIG_ED25519 {
        Some(KeyType::Ed25519)
    } else {
        None
    }
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

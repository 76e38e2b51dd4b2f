//! One root of an authority: its certificate, and where its files are.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::authority::OpenError;
use crate::files;
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
            pem,
            certificate,
        })
    }
}

impl Root {
    /// Every root that the authority ever had, oldest first.
    pub(crate) fn load_all(directory: &Path) -> Result<Vec<Self>, OpenError> {
        (1..free_generation(directory)?)
            // A crash while a root was made may have left its key alone, which certifies nothing.
            .filter(|generation| certificate_file(directory, *generation).exists())
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

/// The first number that no root has, nor what a crash left of one: a key is never overwritten.
pub(crate) fn free_generation(directory: &Path) -> Result<u64, files::FileError> {
    let mut generation = 1;
    while files::exists(&certificate_file(directory, generation))?
        || files::exists(&key_file(directory, generation))?
    {
        generation += 1;
    }
    Ok(generation)
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

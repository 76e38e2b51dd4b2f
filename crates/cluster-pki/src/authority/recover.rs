//! What a run that died had left to do: all was recorded, but not every file had its name.

use std::path::Path;

use rcgen::{KeyPair, PublicKeyData};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::{Authority, OpenError};
use crate::files::{self, FileError, StagedFile};
use crate::index::{IssuedRecord, KeyOrigin};
use crate::mint::fingerprint;
use crate::output::NodeFiles;

impl Authority {
    /// Gives the files of the newest certificates their names where that was not done.
    ///
    /// It is done unasked, and so only in directories that nobody else can change.
    ///
    /// Without it a renewal that died would count as done, while its node has the old certificate
    /// or even the new key beside it; nobody would look again before it expires.
    pub(super) fn recover(&self) {
        for record in self.index.newest() {
            // The directory may be gone or closed to this user, which is no reason to open
            // nothing. What cannot be done now is tried by the next run.
            let _ = self.complete(record);
        }
    }

    fn complete(&self, record: &IssuedRecord) -> Result<(), OpenError> {
        let Some(directory) = &record.directory else {
            return Ok(());
        };
        let directory = Path::new(directory);
        let files = NodeFiles::new(directory, &record.name);
        if !files::exists(&files::temporary_name(&files.certificate))?
            || !files::is_trusted(directory, &self.directory)?
        {
            return Ok(());
        }
        let Some(key) = key_left(&files, record)? else {
            return Ok(());
        };
        // Files beside the roots of others stay as they are.
        let Ok(roots) = self.roots_file()?.stage(&files.ca) else {
            return Ok(());
        };
        roots.map_or(Ok(()), StagedFile::publish)?;
        if key == KeyLeft::ToBePublished {
            files::publish_left(&files.key)?;
        }
        Ok(files::publish_left(&files.certificate)?)
    }
}

/// What a run did with the key of a certificate that is still under its temporary name.
#[derive(Debug, PartialEq, Eq)]
enum KeyLeft {
    ToBePublished,
    InPlace,
}

/// Nothing where nothing was left, or something else than this certificate and its key: the
/// directory may have been anybody's in the meantime.
fn key_left(files: &NodeFiles, record: &IssuedRecord) -> Result<Option<KeyLeft>, FileError> {
    let Some(text) = files::read_optional(&files::temporary_name(&files.certificate))? else {
        return Ok(None);
    };
    let Ok(certificate) = CertificateDer::from_pem_slice(text.as_bytes()) else {
        return Ok(None);
    };
    if fingerprint(&certificate) != record.fingerprint {
        return Ok(None);
    }
    let staged = files::temporary_name(&files.key);
    let (key, left) = match (record.key, files::exists(&staged)?) {
        (KeyOrigin::Request, _) => return Ok(Some(KeyLeft::InPlace)),
        (KeyOrigin::Authority, true) => (staged, KeyLeft::ToBePublished),
        (KeyOrigin::Authority, false) => (files.key.clone(), KeyLeft::InPlace),
    };
    Ok(is_key_of(&key, &certificate)?.then_some(left))
}

/// Whether a key file is that of a certificate.
pub(super) fn is_key_of(key: &Path, certificate: &CertificateDer<'_>) -> Result<bool, FileError> {
    let pem = files::read_owner_only(key)?;
    let Ok(pair) = KeyPair::from_pem(&pem) else {
        return Ok(false);
    };
    Ok(X509Certificate::from_der(certificate)
        .is_ok_and(|(_, parsed)| parsed.public_key().raw == pair.subject_public_key_info()))
}

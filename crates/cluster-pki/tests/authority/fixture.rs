//! A PKI directory and an output directory that live as long as a test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cluster_pki::{
    Authority, Days, Existing, InitRequest, LeafRequest, ListsRequest, NodeFiles, RenewRequest,
    RotationRequest,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tempfile::TempDir;

pub(crate) struct Fixture {
    root: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn pki(&self) -> PathBuf {
        self.root.path().join("home/.spice/pki")
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.root.path().join("out")
    }

    pub(crate) fn init(&self) -> Authority {
        Authority::init(&self.pki(), &InitRequest::default(), now()).unwrap()
    }

    pub(crate) fn reopen(&self) -> Authority {
        Authority::open(&self.pki()).unwrap()
    }

    pub(crate) fn renewal(&self, name: &str) -> RenewRequest {
        RenewRequest {
            name: name.parse().unwrap(),
            days: None,
            out: self.out(),
            existing: Existing::Require,
        }
    }

    pub(crate) fn lists(&self) -> ListsRequest {
        ListsRequest {
            out: self.out(),
            days: None,
        }
    }

    pub(crate) fn rotation(&self) -> RotationRequest {
        RotationRequest {
            days: Days::AUTHORITY_DEFAULT,
            key_type: None,
            passphrase: None,
            out: self.out(),
        }
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.out().join("ca.pem")
    }

    /// The files that nodes had at this moment, in a directory of their own.
    pub(crate) fn keep(&self, label: &str) -> PathBuf {
        let kept = self.root.path().join(label);
        fs::create_dir(&kept).unwrap();
        for name in names_in(&self.out()) {
            fs::copy(self.out().join(&name), kept.join(&name)).unwrap();
        }
        kept
    }

    pub(crate) fn request(&self, name: &str) -> LeafRequest {
        LeafRequest::new(name.parse().unwrap(), self.out())
    }
}

/// A moment at which every certificate of these tests is made.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000)
}

pub(crate) fn days(days: u32) -> Duration {
    Days::new(days).unwrap().duration()
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub(crate) fn der(pem: &Path) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(pem).unwrap()
}

pub(crate) fn contents(files: &NodeFiles) -> [Vec<u8>; 3] {
    [&files.ca, &files.certificate, &files.key].map(|path| fs::read(path).unwrap())
}

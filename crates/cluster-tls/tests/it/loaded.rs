//! Credentials that went through files, as they do in production.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cluster_tls::{CredentialPaths, Credentials, LoadError, PeerPolicy, Snapshot, load, publish};
use tempfile::TempDir;

use crate::pki::{Authority, Issued, Mid2024};

/// Three files in a directory that goes away with them.
pub(crate) struct Files {
    pub(crate) paths: CredentialPaths,
    _directory: TempDir,
}

impl Files {
    pub(crate) fn write(ca: &str, certificate: &str, key: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let paths = CredentialPaths {
            ca: directory.path().join("ca.pem"),
            certificate: directory.path().join("node.pem"),
            key: directory.path().join("node-key.pem"),
        };
        fs::write(&paths.ca, ca).unwrap();
        fs::write(&paths.certificate, certificate).unwrap();
        fs::write(&paths.key, key).unwrap();
        set_mode(&paths.key, 0o600);
        Self {
            paths,
            _directory: directory,
        }
    }

    pub(crate) fn of(authority: &Authority, issued: &Issued) -> Self {
        Self::write(&authority.pem(), &issued.chain_pem(), &issued.key_pem())
    }

    pub(crate) fn load(&self) -> Result<Snapshot, LoadError> {
        self.load_under(PeerPolicy::default())
    }

    pub(crate) fn load_under(&self, policy: PeerPolicy) -> Result<Snapshot, LoadError> {
        load(&self.paths, Arc::new(Mid2024), policy)
    }
}

/// A snapshot of a node whose certificate `authority` issued.
pub(crate) fn snapshot(authority: &Authority, issued: &Issued) -> Snapshot {
    Files::of(authority, issued).load().unwrap()
}

/// Credentials that nobody will change.
pub(crate) fn credentials(authority: &Authority, issued: &Issued) -> Credentials {
    publish(snapshot(authority, issued)).1
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_path: &Path, _mode: u32) {}

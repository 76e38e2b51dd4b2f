//! Credentials that went through files, as they do in production.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cluster_tls::{
    CredentialBytes, CredentialPaths, Credentials, LoadError, PeerPolicy, Snapshot, load,
    load_from, publish,
};
use tempfile::TempDir;

use crate::pki::{Authority, Issued, Mid2024};

/// Three files in a directory that goes away with them.
pub(crate) struct Files {
    pub(crate) paths: CredentialPaths,
    directory: TempDir,
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
        Self { paths, directory }
    }

    pub(crate) fn of(authority: &Authority, issued: &Issued) -> Self {
        Self::write(&authority.pem(), &issued.chain_pem(), &issued.key_pem())
    }

    /// A file beside the three.
    pub(crate) fn beside(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Puts new files into the places of the old ones, the key first.
    pub(crate) fn replace_with(&self, ca: &str, issued: &Issued) {
        replace(&self.paths.key, &issued.key_pem());
        replace(&self.paths.certificate, &issued.chain_pem());
        replace(&self.paths.ca, ca);
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

/// The texts of a node whose certificate `authority` issued.
pub(crate) fn texts(authority: &Authority, issued: &Issued) -> CredentialBytes {
    CredentialBytes::new(authority.pem(), issued.chain_pem(), issued.key_pem())
}

/// What a node makes of texts.
pub(crate) fn load_texts(texts: CredentialBytes) -> Result<Snapshot, LoadError> {
    load_from(
        &mut Arc::new(texts),
        Arc::new(Mid2024),
        PeerPolicy::default(),
    )
}

/// Credentials that nobody will change.
pub(crate) fn credentials(authority: &Authority, issued: &Issued) -> Credentials {
    publish(snapshot(authority, issued)).1
}

/// Puts a new file into the place of the old one in one step, with rights that fit a key.
pub(crate) fn replace(path: &Path, text: &str) {
    let next = path.with_extension("next");
    fs::write(&next, text).unwrap();
    set_mode(&next, 0o600);
    fs::rename(&next, path).unwrap();
}

#[cfg(unix)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
pub(crate) fn set_mode(_path: &Path, _mode: u32) {}

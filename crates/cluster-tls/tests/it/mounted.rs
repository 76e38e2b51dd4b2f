//! A directory as orchestrators mount secrets: every file is a link into `..data`, which is a link
//! to a dated directory and changes in one step.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use cluster_tls::{CredentialPaths, FileSource};
use tempfile::TempDir;

use crate::loaded::set_mode;
use crate::pki::Issued;

/// A mounted secret that goes away with this value.
pub(crate) struct Mounted {
    directory: TempDir,
    versions: u32,
}

impl Mounted {
    pub(crate) fn new(ca: &str, issued: &Issued) -> Self {
        let mut mounted = Self {
            directory: TempDir::new().unwrap(),
            versions: 0,
        };
        mounted.publish(ca, issued);
        for name in [CA, CERTIFICATE, KEY] {
            symlink(format!("..data/{name}"), mounted.path(name)).unwrap();
        }
        mounted
    }

    /// Everything new in one step, and what was before removed.
    pub(crate) fn publish(&mut self, ca: &str, issued: &Issued) {
        let last = self.path(&format!("..2024_06_{}", self.versions));
        self.versions += 1;
        let version = format!("..2024_06_{}", self.versions);
        fs::create_dir(self.path(&version)).unwrap();
        for (name, text) in [
            (CA, ca),
            (CERTIFICATE, &issued.chain_pem()),
            (KEY, &issued.key_pem()),
        ] {
            let path = self.path(&version).join(name);
            fs::write(&path, text).unwrap();
            set_mode(&path, 0o440);
        }
        symlink(&version, self.path("..data_tmp")).unwrap();
        fs::rename(self.path("..data_tmp"), self.path("..data")).unwrap();
        if self.versions > 1 {
            fs::remove_dir_all(last).unwrap();
        }
    }

    pub(crate) fn source(&self) -> FileSource {
        FileSource::new(CredentialPaths {
            ca: self.path(CA),
            certificate: self.path(CERTIFICATE),
            key: self.path(KEY),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

const CA: &str = "ca.crt";
const CERTIFICATE: &str = "tls.crt";
const KEY: &str = "tls.key";

//! What must hold of a home whatever happened.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use cluster_pki::{Authority, InspectedContent, Inspection, InspectionInput};
use cluster_tls::{CredentialPaths, PeerPolicy, SystemClock};
use serde_json::Value;

use crate::tool::tool;

/// A home as it is seen from here.
pub(crate) struct Place {
    root: PathBuf,
}

impl Place {
    /// `root` has the directories `home` and `work`.
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Every file and what is in it, but for the lock, which has nothing in it.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = BTreeMap::new();
        collect(&self.root, &mut files);
        files
    }

    /// What must hold after any crash: keys are their owner's alone, no file is half-written, and
    /// every certificate that a node has is believed and known.
    pub(crate) fn assert_sound(&self, told: &str) {
        for (path, content) in &self.files() {
            let told = format!("{} {told}", path.display());
            if has_key(content) || path.to_string_lossy().contains("-key.pem") {
                let mode = fs::metadata(path).unwrap().permissions().mode();
                assert_eq!(mode & 0o177, 0, "{told}");
            }
            if !is_temporary(path) && path.extension().is_some_and(|end| end == "pem") {
                assert_whole(path, &told);
            }
        }
        let issued = self.issued();
        let leaves = self.leaves();
        for leaf in &leaves {
            let is_known = issued.contains(&fingerprint(leaf));
            assert!(is_known, "{} {told}", leaf.display());
        }
        self.assert_believed(&leaves, told);
    }

    /// What must hold when a command has come to its end: the same, no temporary file is left,
    /// the roots are those of the authority, and each node's key is that of its certificate.
    pub(crate) fn assert_settled(&self, told: &str) {
        self.assert_sound(told);
        for (path, content) in self.files() {
            // A crash while a root was made leaves part of one that signed nothing.
            let is_spare = path.to_string_lossy().contains("/.ca-") && !has_key(&content);
            assert!(
                is_spare || !is_temporary(&path),
                "{} {told}",
                path.display()
            );
        }
        let authority = Authority::open(&self.pki());
        let authority = authority.unwrap_or_else(|error| panic!("{error} {told}"));
        let ca = self.work().join("ca.pem");
        assert_eq!(
            fs::read_to_string(&ca).unwrap(),
            authority.ca_pem(),
            "{told}"
        );
        self.assert_paired(told);
    }

    /// What must hold when any command has come to its end: each node would start with its files.
    pub(crate) fn assert_paired(&self, told: &str) {
        for leaf in self.leaves() {
            let paths = CredentialPaths {
                ca: self.work().join("ca.pem"),
                key: leaf.with_file_name(format!("{}-key.pem", stem(&leaf))),
                certificate: leaf,
            };
            cluster_tls::load(&paths, Arc::new(SystemClock), PeerPolicy::default())
                .unwrap_or_else(|error| panic!("{error} {told}"));
        }
    }

    /// What must hold when a rotation has ended: no root has a key but the one that signs.
    pub(crate) fn assert_one_key(&self) {
        let files = self.files().into_keys();
        let keys = files.filter(|path| {
            let path = path.to_string_lossy();
            path.contains("/pki/ca-") && path.ends_with("-key.pem")
        });
        let keys: Vec<_> = keys.collect();
        assert_eq!(keys.len(), 1, "{keys:?}");
    }

    fn pki(&self) -> PathBuf {
        self.root.join("home/.spice/pki")
    }

    fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// What the records have, as they lie there: to open an authority completes what was left.
    fn issued(&self) -> HashSet<String> {
        let text = fs::read_to_string(self.pki().join("issued.jsonl")).unwrap_or_default();
        let records = text.lines().map(|line| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["fingerprint"].as_str().unwrap().to_owned()
        });
        records.collect()
    }

    /// The certificates of nodes.
    fn leaves(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.work()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| {
                let name = path.file_name().unwrap().to_string_lossy();
                name.ends_with(".pem")
                    && !is_temporary(path)
                    && !name.ends_with("-key.pem")
                    && !["ca.pem", "crl.pem", "n1-bundle.pem"].contains(&name.as_ref())
            })
            .collect()
    }

    /// By a program that does not share a line with ours.
    fn assert_believed(&self, leaves: &[PathBuf], told: &str) {
        if leaves.is_empty() {
            return;
        }
        let names: Vec<_> = leaves.iter().map(|leaf| stem(leaf) + ".pem").collect();
        let command = format!("openssl verify -CAfile ca.pem {}", names.join(" "));
        let said = tool(&self.work(), &command).accepted();
        assert_eq!(said.matches(": OK").count(), leaves.len(), "{said} {told}");
    }
}

fn collect(directory: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), files);
        } else if entry.file_name() != "lock" {
            files.insert(entry.path(), fs::read(entry.path()).unwrap());
        }
    }
}

/// Every section is what its first line says, and there is one.
fn assert_whole(path: &Path, told: &str) {
    for content in sections(path, told) {
        let known = !matches!(
            content,
            InspectedContent::Damaged { .. } | InspectedContent::Unknown
        );
        assert!(known, "{content:?} {told}");
    }
}

fn fingerprint(path: &Path) -> String {
    match sections(path, "").into_iter().next() {
        Some(InspectedContent::Certificate(report)) => report.fingerprint_sha256,
        other => panic!("{}: {other:?}", path.display()),
    }
}

fn sections(path: &Path, told: &str) -> Vec<InspectedContent> {
    let input = InspectionInput::read(path).unwrap();
    let inspection = Inspection::of(&input, SystemTime::now())
        .unwrap_or_else(|error| panic!("{}: {error} {told}", path.display()));
    let sections = inspection.sections.into_iter();
    sections.map(|section| section.content).collect()
}

fn has_key(content: &[u8]) -> bool {
    String::from_utf8_lossy(content).contains("PRIVATE KEY")
}

/// Files that are not complete yet begin with a dot.
fn is_temporary(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

//! A record of every certificate the authority ever signed.
//!
//! One JSON object per line, oldest first. Records are only added: what was replaced must still
//! be found when it is to be revoked.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cluster_tls::{Name, Role};
use serde::{Deserialize, Serialize};

use crate::days::Days;
use crate::lines::{self, RecordError};
use crate::name::NodeName;
use crate::stored::{name_list, role_word, unix_seconds};

/// What was certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct IssuedRecord {
    /// The node.
    pub name: NodeName,
    /// What it may act as.
    #[serde(with = "role_word")]
    pub role: Role,
    /// The identity URI, `spiffe://<domain>/<role>/<name>`.
    pub uri: String,
    /// Where it may be reached: the DNS names and addresses, in the certificate's order.
    #[serde(with = "name_list")]
    pub names: Vec<Name>,
    /// The serial number as lower-case hexadecimal digits, 20 octets.
    pub serial: String,
    /// SHA-256 of the certificate as lower-case hexadecimal digits.
    pub fingerprint: String,
    /// The first moment of validity.
    #[serde(rename = "not_before_unix_s", with = "unix_seconds")]
    pub not_before: SystemTime,
    /// The last moment of validity.
    #[serde(rename = "not_after_unix_s", with = "unix_seconds")]
    pub not_after: SystemTime,
    /// When it was signed.
    #[serde(rename = "issued_at_unix_s", with = "unix_seconds")]
    pub issued_at: SystemTime,
    /// Which of the authority's roots signed it.
    pub generation: u64,
    /// The validity that was asked for, which a renewal asks for again.
    #[serde(default = "Days::leaf_default")]
    pub days: Days,
    /// Who made its key.
    #[serde(default)]
    pub key: KeyOrigin,
    /// SHA-256 of the public key as certificates carry it, lower-case hexadecimal digits: by it a
    /// key is known again that was given away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Where its files were put, an absolute path, where that is text: if the run died there, the
    /// next one completes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

/// Who made the key of a certificate, and so who can make the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum KeyOrigin {
    /// The authority, which wrote it beside the certificate.
    #[default]
    Authority,
    /// The node: the authority has only seen its signing request.
    Request,
}

impl KeyOrigin {
    /// The word for it in files and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authority => "authority",
            Self::Request => "request",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    records: Vec<IssuedRecord>,
    /// Where the newest record of each node is, by its canonical name.
    newest: HashMap<String, usize>,
}

impl Index {
    pub(crate) fn path(directory: &Path) -> PathBuf {
        directory.join("issued.jsonl")
    }

    pub(crate) fn load(directory: &Path) -> Result<Self, RecordError> {
        let path = Self::path(directory);
        let records = lines::read(&path)?;
        let mut index = Self {
            path,
            records: Vec::new(),
            newest: HashMap::new(),
        };
        index.extend(records);
        Ok(index)
    }

    pub(crate) fn records(&self) -> &[IssuedRecord] {
        &self.records
    }

    /// The newest certificate of a node.
    pub(crate) fn current(&self, name: &NodeName) -> Option<&IssuedRecord> {
        self.newest_of(&name.canonical())
    }

    /// The newest certificate of each node.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &IssuedRecord> {
        self.newest.values().filter_map(|at| self.records.get(*at))
    }

    /// The same by the canonical name.
    pub(crate) fn newest_of(&self, canonical: &str) -> Option<&IssuedRecord> {
        self.records.get(*self.newest.get(canonical)?)
    }

    /// Adds records together, on disk before in memory.
    pub(crate) fn append(&mut self, records: Vec<IssuedRecord>) -> Result<(), RecordError> {
        lines::append(&self.path, &self.records, &records)?;
        self.extend(records);
        Ok(())
    }

    fn extend(&mut self, records: Vec<IssuedRecord>) {
        for record in records {
            let at = self.records.len();
            self.newest.insert(record.name.canonical(), at);
            self.records.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    fn record(name: &str, serial: &str) -> IssuedRecord {
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        IssuedRecord {
            name: name.parse().unwrap(),
            role: Role::Executor,
            uri: format!("spiffe://cluster.local/executor/{name}"),
            names: vec![Name::Dns(name.to_owned()), Name::Ip([127, 0, 0, 1].into())],
            serial: serial.to_owned(),
            fingerprint: "00".repeat(32),
            not_before: at(1),
            not_after: at(2),
            issued_at: at(3),
            generation: 1,
            days: Days::LEAF_DEFAULT,
            key: KeyOrigin::Authority,
            public_key: None,
            directory: None,
        }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Index::path(dir.path())).unwrap();
        let mut index = Index::load(dir.path()).unwrap();
        assert!(index.records().is_empty());
        index.append(vec![record("a", "01")]).unwrap();
        index.append(vec![record("b", "02")]).unwrap();
        let read = Index::load(dir.path()).unwrap();
        assert_eq!(read.records(), [record("a", "01"), record("b", "02")]);
    }

    #[test]
    fn the_current_certificate_is_the_newest_whatever_the_case() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Index::path(dir.path())).unwrap();
        let mut index = Index::load(dir.path()).unwrap();
        index.append(vec![record("a", "01")]).unwrap();
        index.append(vec![record("A", "02")]).unwrap();
        let current = index.current(&"a".parse().unwrap()).unwrap();
        assert_eq!(current.serial, "02");
        assert!(index.current(&"b".parse().unwrap()).is_none());
    }

    #[test]
    fn a_half_written_successor_does_not_disturb() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Index::path(dir.path())).unwrap();
        let mut index = Index::load(dir.path()).unwrap();
        index.append(vec![record("a", "01")]).unwrap();
        fs::write(dir.path().join(".issued.jsonl.new"), "{\"name\":\"b").unwrap();
        let mut index = Index::load(dir.path()).unwrap();
        assert_eq!(index.records().len(), 1);
        index.append(vec![record("b", "02")]).unwrap();
        assert_eq!(Index::load(dir.path()).unwrap().records().len(), 2);
    }

    #[test]
    fn a_line_of_before_renewals_is_read_with_what_it_must_have_meant() {
        let line = r#"{"name":"a","role":"executor","uri":"spiffe://d/executor/a","names":["a"],
            "serial":"01","fingerprint":"00","not_before_unix_s":1,"not_after_unix_s":2,
            "issued_at_unix_s":3,"generation":1}"#;
        let read: IssuedRecord = serde_json::from_str(line).unwrap();
        assert_eq!(
            (read.days, read.key),
            (Days::LEAF_DEFAULT, KeyOrigin::Authority)
        );
    }

    #[test]
    fn a_lost_file_is_not_one_without_records() {
        let dir = tempfile::tempdir().unwrap();
        let error = Index::load(dir.path()).unwrap_err();
        assert!(matches!(error, RecordError::Missing { .. }));
    }

    #[test]
    fn a_damaged_line_is_named_and_never_skipped() {
        let dir = tempfile::tempdir().unwrap();
        lines::create(&Index::path(dir.path())).unwrap();
        let mut index = Index::load(dir.path()).unwrap();
        index.append(vec![record("a", "01")]).unwrap();
        let path = dir.path().join("issued.jsonl");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"name\":");
        fs::write(&path, text).unwrap();
        let error = Index::load(dir.path()).unwrap_err();
        assert!(matches!(error, RecordError::Damaged { line: 2, .. }));
    }
}

//! Which certificates were revoked, when and why.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::index::IssuedRecord;
use crate::lines::{self, RecordError};
use crate::name::NodeName;
use crate::stored::unix_seconds;

/// Why a certificate is no longer to be believed (RFC 5280, section 5.3.1).
///
/// The reasons that are about authorities, and those that can be taken back, are left out: the
/// ones here are about a node, and final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RevocationReason {
    /// None was given.
    #[default]
    Unspecified,
    /// Somebody else may have the key.
    KeyCompromise,
    /// The node is something or someone else's now.
    AffiliationChanged,
    /// Another certificate takes its place.
    Superseded,
    /// The node is no more.
    CessationOfOperation,
    /// The node may no longer do what the certificate lets it do.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason, in the order in which they are offered.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The word for it in flags and files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for RevocationReason {
    type Err = UnknownReason;

    fn from_str(text: &str) -> Result<Self, UnknownReason> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or_else(|| UnknownReason(text.to_owned()))
    }
}

/// A text that names no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a reason for a revocation")]
pub struct UnknownReason(String);

/// A certificate that is no longer to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RevokedRecord {
    /// The node.
    pub name: NodeName,
    /// The serial number as lower-case hexadecimal digits, 20 octets.
    pub serial: String,
    /// Which of the authority's roots had signed it.
    pub generation: u64,
    /// Why.
    pub reason: RevocationReason,
    /// When.
    #[serde(rename = "revoked_at_unix_s", with = "unix_seconds")]
    pub revoked_at: SystemTime,
}

/// Every revocation of an authority.
#[derive(Debug)]
pub(crate) struct Revocations {
    path: PathBuf,
    records: Vec<RevokedRecord>,
}

impl Revocations {
    pub(crate) fn path(directory: &Path) -> PathBuf {
        directory.join("revoked.jsonl")
    }

    pub(crate) fn load(directory: &Path) -> Result<Self, RecordError> {
        let path = Self::path(directory);
        let records = lines::read(&path)?;
        Ok(Self { path, records })
    }

    pub(crate) fn records(&self) -> &[RevokedRecord] {
        &self.records
    }

    pub(crate) fn of(&self, serial: &str) -> Option<&RevokedRecord> {
        self.records.iter().find(|record| record.serial == serial)
    }

    /// Adds records together, on disk before in memory.
    pub(crate) fn append(&mut self, records: Vec<RevokedRecord>) -> Result<(), RecordError> {
        lines::append(&self.path, &self.records, &records)?;
        self.records.extend(records);
        Ok(())
    }
}

impl RevokedRecord {
    pub(crate) fn new(
        certificate: &IssuedRecord,
        reason: RevocationReason,
        now: SystemTime,
    ) -> Self {
        Self {
            name: certificate.name.clone(),
            serial: certificate.serial.clone(),
            generation: certificate.generation,
            reason,
            revoked_at: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_read_back_from_its_word() {
        for reason in RevocationReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
            let word = serde_json::to_string(&reason).unwrap();
            assert_eq!(word, format!("\"{reason}\""));
        }
    }

    #[test]
    fn refuses_reasons_that_are_not_about_a_node_or_not_final() {
        for text in ["", "keyCompromise", "ca-compromise", "certificate-hold"] {
            assert!(text.parse::<RevocationReason>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let dir = tempfile::tempdir().unwrap();
        let record = RevokedRecord {
            name: "n1".parse().unwrap(),
            serial: "4f".to_owned(),
            generation: 1,
            reason: RevocationReason::KeyCompromise,
            revoked_at: SystemTime::UNIX_EPOCH,
        };
        lines::create(&Revocations::path(dir.path())).unwrap();
        let mut revocations = Revocations::load(dir.path()).unwrap();
        assert_eq!(revocations.of("4f"), None);
        revocations.append(vec![record.clone()]).unwrap();
        let read = Revocations::load(dir.path()).unwrap();
        assert_eq!(read.of("4f"), Some(&record));
        assert_eq!(read.records(), [record]);
    }
}

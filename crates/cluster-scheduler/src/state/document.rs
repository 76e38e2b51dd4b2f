//! The documents of the shared state, and what makes a text one of them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cluster_proto::{InvalidNodeId, NodeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::membership::ProcessMark;
use crate::told;

/// `cluster.json`. What this version does not know is kept as it was, so that a newer one beside
/// it loses nothing; what it must not touch has another [`SCHEMA_VERSION`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ClusterDocument {
    schema_version: u64,
    created_at_ms: u64,
    updated_at_ms: u64,
    /// The marks of the latest writes, the last one first: whoever lost the answer to a write
    /// finds it here, and does not make it again.
    recent_writes: Vec<String>,
    pub(crate) schedulers: BTreeMap<MemberId, SchedulerEntry>,
    /// The partition table; not of this version.
    #[serde(default)]
    accelerations: Map<String, Value>,
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// A member of the cluster, written by itself when it joined and when its application changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SchedulerEntry {
    pub(crate) scheduler_id: MemberId,
    pub(crate) instance_id: InstanceId,
    pub(crate) advertise_address: String,
    #[serde(default)]
    pub(crate) http_address: Option<String>,
    pub(crate) started_at_ms: u64,
    pub(crate) ttl_ms: u64,
    pub(crate) build_version: String,
    /// Of the application that it serves; the one thing here that changes while it runs.
    #[serde(default)]
    pub(crate) app_digest: Option<String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    /// Where it can be seen whether it still runs, by who is on the same machine.
    #[serde(default)]
    pub(crate) process: Option<ProcessMark>,
    #[serde(flatten)]
    pub(crate) other: Map<String, Value>,
}

/// `heartbeats/{scheduler_id}.json`. Every one differs from the one before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Heartbeat {
    pub(crate) scheduler_id: MemberId,
    pub(crate) instance_id: InstanceId,
    pub(crate) sequence: u64,
    pub(crate) written_at_ms: u64,
}

/// A scheduler's id, the address that it advertises.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct MemberId(pub(crate) NodeId);

/// One run of a scheduler's process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct InstanceId(String);

impl ClusterDocument {
    /// The document of a cluster that has no member yet.
    pub(crate) fn new() -> Self {
        let now = unix_ms(SystemTime::now());
        Self {
            schema_version: SCHEMA_VERSION,
            created_at_ms: now,
            updated_at_ms: now,
            recent_writes: Vec::new(),
            schedulers: BTreeMap::new(),
            accelerations: Map::new(),
            other: Map::new(),
        }
    }

    /// The document as it is written under the mark `write`.
    pub(super) fn encode(&mut self, write: &str) -> Result<Bytes, serde_json::Error> {
        self.updated_at_ms = unix_ms(SystemTime::now());
        self.recent_writes.insert(0, write.to_owned());
        self.recent_writes.truncate(RECENT_WRITES);
        serde_json::to_vec_pretty(self).map(Bytes::from)
    }

    /// Whether the write with this mark was made, as far back as is remembered.
    pub(super) fn holds(&self, write: &str) -> bool {
        self.recent_writes.iter().any(|it| it == write)
    }

    /// Whether this document was made from `before` by one write.
    #[cfg(test)]
    pub(super) fn follows(&self, before: &Self) -> bool {
        let remembered = before.recent_writes.len().min(RECENT_WRITES - 1);
        self.recent_writes[1..] == before.recent_writes[..remembered]
    }

    /// Reads a document. The version comes first: the rest of another one may mean anything.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DocumentFault> {
        let value: Value = serde_json::from_slice(bytes)?;
        match value.get("schema_version") {
            Some(Value::Number(found)) if found.as_u64() != Some(SCHEMA_VERSION) => {
                return Err(DocumentFault::Schema(found.to_string()));
            }
            _ => {}
        }
        let document: Self = serde_json::from_value(value)?;
        document.check()?;
        Ok(document)
    }

    fn check(&self) -> Result<(), serde_json::Error> {
        let misplaced = self
            .schedulers
            .iter()
            .find(|(id, it)| it.scheduler_id != **id);
        match misplaced {
            None => Ok(()),
            Some((id, entry)) => Err(serde::de::Error::custom(format!(
                "the entry of {} says that it is {}",
                id.0, entry.scheduler_id.0
            ))),
        }
    }
}

/// Why bytes are no [`ClusterDocument`] of this version.
#[derive(Debug)]
pub(super) enum DocumentFault {
    Schema(String),
    Garbage(serde_json::Error),
}

impl From<serde_json::Error> for DocumentFault {
    fn from(error: serde_json::Error) -> Self {
        Self::Garbage(error)
    }
}

impl SchedulerEntry {
    /// The digest of the application that it serves, where it says one.
    pub(crate) fn served(&self) -> Option<&str> {
        self.app_digest.as_deref().and_then(told::digest)
    }
}

impl Heartbeat {
    pub(crate) fn encode(&self) -> Result<Bytes, serde_json::Error> {
        serde_json::to_vec(self).map(Bytes::from)
    }
}

impl InstanceId {
    /// A fresh one.
    pub(crate) fn new() -> Self {
        Self(uuid::Uuid::new_v4().to_string())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MemberId {
    type Error = InvalidNodeId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl From<MemberId> for String {
    fn from(id: MemberId) -> Self {
        id.0.to_string()
    }
}

/// Milliseconds since 1970: for people who look, never for a decision, because clocks differ.
pub(crate) fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The documents that this version reads and writes.
pub(super) const SCHEMA_VERSION: u64 = 1;

/// Four times the attempts at one change: whoever looks for its own write finds it.
const RECENT_WRITES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> Result<ClusterDocument, DocumentFault> {
        ClusterDocument::decode(text.as_bytes())
    }

    const WITH_MORE: &str = r#"{
        "schema_version": 1, "created_at_ms": 5, "updated_at_ms": 6, "recent_writes": [],
        "accelerations": {"lineitem": {"partitions": [1, 2.5]}}, "quota": {"a": [null]},
        "schedulers": {"s1:50052": {"scheduler_id": "s1:50052", "instance_id": "i",
            "advertise_address": "s1:50052", "started_at_ms": 1, "ttl_ms": 30000,
            "build_version": "9.9.9", "zone": "b"}}
    }"#;

    #[test]
    fn what_this_version_does_not_know_is_written_again() {
        let mut document = decoded(WITH_MORE).unwrap();
        let again: Value = serde_json::from_slice(&document.encode("w1").unwrap()).unwrap();
        let before: Value = serde_json::from_str(WITH_MORE).unwrap();
        for path in [
            "/accelerations",
            "/quota",
            "/schedulers/s1:50052/zone",
            "/created_at_ms",
        ] {
            assert_eq!(again.pointer(path), before.pointer(path), "{path}");
            assert!(before.pointer(path).is_some());
        }
        assert_eq!(again["recent_writes"][0], "w1");
        assert_ne!(again["updated_at_ms"], before["updated_at_ms"]);
    }

    #[test]
    fn another_schema_version_is_told_whatever_else_the_document_holds() {
        for version in ["2", "0", "1.5", "-1"] {
            let text = format!(r#"{{"schema_version": {version}, "members": []}}"#);
            let fault = decoded(&text).unwrap_err();
            assert!(
                matches!(&fault, DocumentFault::Schema(found) if found == version),
                "{fault:?}"
            );
        }
    }

    #[test]
    fn what_is_no_document_is_garbage() {
        let torn = &WITH_MORE[..WITH_MORE.len() / 2];
        let renamed =
            WITH_MORE.replace(r#""scheduler_id": "s1:50052""#, r#""scheduler_id": "s2:1""#);
        let no_id = WITH_MORE.replace("s1:50052", "s1");
        let text_version = WITH_MORE.replace(r#""schema_version": 1"#, r#""schema_version": "1""#);
        for text in [
            "",
            "[]",
            "{}",
            "null",
            "\0\0",
            torn,
            &renamed,
            &no_id,
            &text_version,
        ] {
            let fault = decoded(text).unwrap_err();
            assert!(
                matches!(fault, DocumentFault::Garbage(_)),
                "{text}: {fault:?}"
            );
        }
    }

    #[test]
    fn the_latest_writes_are_remembered() {
        let mut document = ClusterDocument::new();
        for write in 0..40 {
            document.encode(&write.to_string()).unwrap();
        }
        assert!(document.holds("39") && document.holds("8"));
        assert!(!document.holds("7"));
    }
}

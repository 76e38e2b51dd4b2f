use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use cluster_proto::NodeId;

use super::error::StoreError;

/// Everything that the shared state asks of a store. Every call is bounded in time and size.
#[async_trait]
pub(crate) trait StateStore: fmt::Debug + Send + Sync + 'static {
    /// The object at `key`, with the version to make a change on.
    async fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError>;

    /// Writes an object as a whole, if it is as `expected`.
    ///
    /// An error other than [`PutError::Conflict`] leaves open whether it was written; so does a
    /// conflict after an answer was lost. Two writes must never have the same bytes: versions may
    /// be made from them.
    async fn put(&self, key: &Key, bytes: Bytes, expected: &Expected) -> Result<Version, PutError>;

    /// Deletes an object that is still at `version`, as read or listed.
    ///
    /// S3 has no such call that all stores know: there the object is looked at and deleted in two
    /// steps, so whatever is deleted must be an object that its writer can do without.
    async fn delete(&self, key: &Key, version: &Version) -> Result<(), PutError>;

    /// The heartbeats with their versions, which tell of a change and may not be the ones that
    /// [`StateStore::read`] gives.
    async fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError>;
}

/// The name of an object below the state's location.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key(String);

/// What an object was when it was read; another one after every write.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Version(Bytes);

/// An object as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) bytes: Bytes,
    pub(crate) version: Version,
}

/// What a write is made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// There is no such object.
    Absent,
    /// It is still at this version.
    At(Version),
}

/// Why nothing was written, as far as is known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PutError {
    /// The object is not as expected.
    #[error("another write came first")]
    Conflict,
    /// The store did not say.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Key {
    /// The members of the cluster and its partition table.
    pub(crate) fn cluster() -> Self {
        Self("cluster.json".to_owned())
    }

    /// The signs of life of one scheduler. The brackets of an IPv6 address are left out: stores
    /// disagree about how they are written in a name.
    pub(crate) fn heartbeat(id: &NodeId) -> Self {
        let plain = id.as_str().replace(['[', ']'], "");
        Self(format!("{HEARTBEATS}/{plain}.json"))
    }

    /// An object that nobody else uses, to try a store with.
    pub(super) fn probe() -> Self {
        Self(format!("probe-{}.json", uuid::Uuid::new_v4().simple()))
    }

    /// The heartbeat that a store lists by this name, without its folder.
    pub(super) fn listed_heartbeat(name: &str) -> Option<Self> {
        let sound = name.ends_with(".json") && !name.starts_with('.');
        sound.then(|| Self(format!("{HEARTBEATS}/{name}")))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The largest object of this name that is read.
    pub(super) fn limit_bytes(&self) -> u64 {
        if *self == Self::cluster() {
            DOCUMENT_LIMIT_BYTES
        } else {
            HEARTBEAT_LIMIT_BYTES
        }
    }

    /// What is in this object's place is larger than any that a scheduler writes.
    pub(super) fn too_large(&self) -> StoreError {
        StoreError::TooLarge {
            key: self.to_string(),
            limit_bytes: self.limit_bytes(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Version {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        Self(bytes.into())
    }

    pub(super) fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({} bytes)", self.0.len())
    }
}

/// The folder of the heartbeats.
pub(super) const HEARTBEATS: &str = "heartbeats";

/// A thousand schedulers fit in a quarter of it; whatever is larger was not written by one.
pub(super) const DOCUMENT_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Forty times a heartbeat, so that a folder full of anything is read within a bound.
pub(super) const HEARTBEAT_LIMIT_BYTES: u64 = 16 * 1024;

/// More heartbeats than a cluster can have members; what is beyond is not looked at.
pub(super) const LIST_LIMIT: usize = 10_000;

//! What the schedulers of a cluster share: documents in an object store, changed by conditional
//! writes only, so that nothing is ever overwritten unseen.
//!
//! [`StateStore`] is all that is asked of a store. [`ClusterState`] holds `cluster.json` in one:
//! every change is a pure function of the document, applied once however often it is tried.

mod backoff;
mod change;
mod cluster;
mod config;
mod directory;
mod document;
mod error;
mod file_lock;
mod file_store;
mod probe;
mod s3_store;
mod store;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod memory_store;
#[cfg(test)]
mod stores_agree;

pub(crate) use change::{Joined, join, remove, serve};
pub(crate) use cluster::ClusterState;
pub(crate) use config::open;
pub(crate) use document::{
    ClusterDocument, Heartbeat, InstanceId, MemberId, SchedulerEntry, unix_ms,
};
pub(crate) use store::{Expected, Key, PutError, Version};

pub use config::{S3Keys, S3Location, StateLocation};
pub use error::{OpenError, StateError, StoreError};

#[cfg(test)]
pub(crate) use fixture::{entry, interleave, process, state_in, version_of};
#[cfg(test)]
pub(crate) use memory_store::{Fault, MemoryStore};

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// A store did not do what it was asked for.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The directory of the state is no longer there.
    #[error("the directory {} is not there", path.display())]
    Gone {
        /// The state's location.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The object store refused, or was not reached.
    #[error("the object store did not answer for {key}")]
    ObjectStore {
        /// The object, below the state's location.
        key: String,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing was heard in time.
    #[error("no answer for {key} within {} s", after.as_secs_f64())]
    Silent {
        /// The object, below the state's location.
        key: String,
        /// How long was waited.
        after: Duration,
    },
    /// Something that is none of ours is in the object's place.
    #[error("{key} is larger than {limit_bytes} bytes, so no scheduler wrote it; remove it")]
    TooLarge {
        /// The object, below the state's location.
        key: String,
        /// The largest that is read.
        limit_bytes: u64,
    },
    /// A link, a pipe or a directory is in the object's place.
    #[error("{} is a link or no file, so no scheduler wrote it; remove it", path.display())]
    NoFile {
        /// What is there.
        path: PathBuf,
    },
    /// The object store told of no ETag.
    #[error("the object store gave no ETag for {key}, without which nothing can be changed safely")]
    Unversioned {
        /// The object, below the state's location.
        key: String,
    },
    /// The node is stopping.
    #[error("reading and writing files has ended")]
    Stopping,
}

/// The shared state cannot be read or changed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// The store failed.
    #[error("the cluster state at {place} cannot be reached")]
    Store {
        /// The state's location.
        place: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A newer program wrote the document.
    #[error(
        "{key} at {place} has schema_version {found}, and this version of spiced reads {supported} \
         only: run the version that the other schedulers run, or give this one a state_location of \
         its own"
    )]
    Schema {
        /// The state's location.
        place: String,
        /// The document.
        key: String,
        /// Its version.
        found: String,
        /// Ours.
        supported: u64,
    },
    /// The document is not one of ours.
    #[error(
        "{key} at {place} is no document of a cluster; it is left as it is. Put back a copy of it; \
         or stop all schedulers, remove it and start them again, which writes a new one"
    )]
    Garbage {
        /// The state's location.
        place: String,
        /// The document.
        key: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The document with the change in it could not be read any more.
    #[error(
        "{key} at {place} would have {bytes} bytes with this change, and no scheduler reads more than \
         {limit_bytes}; it was left as it is. Schedulers need a fraction of that: take out what else is \
         in it"
    )]
    TooLarge {
        /// The state's location.
        place: String,
        /// The document.
        key: String,
        /// What it would have.
        bytes: u64,
        /// The most that is read.
        limit_bytes: u64,
    },
    /// The cluster has as many members as it can.
    #[error(
        "the cluster at {place} has as many schedulers as it can; the entries of those that ended \
         go by themselves, so wait, or stop some"
    )]
    Full {
        /// The state's location.
        place: String,
    },
    /// Others kept changing the document.
    #[error(
        "{key} at {place} was changed by others {attempts} times in a row while it was to be \
         changed here; it will be tried again"
    )]
    Contended {
        /// The state's location.
        place: String,
        /// The document.
        key: String,
        /// How often it was tried.
        attempts: u32,
    },
}

/// The place for the shared state cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The directory cannot be made or used.
    #[error(
        "the cluster state cannot be kept in the directory {}; see runtime.scheduler.state_location",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Whoever may write there decides who is a member.
    #[error(
        "others on this machine may write to {0}, where the cluster state is kept: take that away \
         with `chmod go-w {0}`, or name another directory in runtime.scheduler.state_location",
        path.display()
    )]
    Unprotected {
        /// The directory.
        path: PathBuf,
    },
    /// Whose directory it is decides who may write there.
    #[error(
        "{} belongs to another user (number {owner}), who decides who may write to the cluster state: \
         give it to the user that spiced runs as with `chown`, or name another directory in \
         runtime.scheduler.state_location",
        path.display()
    )]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// The object store's settings do not make sense.
    #[error("the settings for {place} cannot be used; see runtime.scheduler.params")]
    Settings {
        /// The state's location.
        place: String,
        /// What is wrong with them.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The store failed at the first try.
    #[error("the cluster state cannot be kept at {place}; see runtime.scheduler in spicepod.yaml")]
    Unusable {
        /// The state's location.
        place: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// The store writes although it was asked not to.
    #[error(
        "the object store at {place} does not keep conditions on writes ({condition}): two \
         schedulers would overwrite each other's changes there. Use one that does, as S3, MinIO \
         and R2 do, or file:// on one machine"
    )]
    Unconditional {
        /// The state's location.
        place: String,
        /// The condition that it ignored.
        condition: &'static str,
    },
}

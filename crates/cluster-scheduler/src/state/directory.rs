//! The shared state in a directory, as far as that blocks.
//!
//! An object is a file that is replaced as a whole by a rename, so that a reader needs no lock; a
//! writer compares and replaces under the object's lock. The version of an object is its content:
//! no two writes are the same. On a network file system the locks are as good as its `flock`.

#[cfg(test)]
mod tests;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::{OpenError, StoreError};
use super::file_lock::{ObjectLock, beside};
use super::store::{Expected, HEARTBEATS, Key, LIST_LIMIT, Version};
use super::strangers::Strangers;

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
    strangers: Strangers,
}

/// What a try to change an object came to.
pub(super) enum Tried<T> {
    Done(T),
    Conflict,
    /// Somebody else is changing it.
    Locked,
}

impl Directory {
    /// Makes it where it is not there yet.
    pub(super) fn open(root: &Path) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory {
            path: root.to_owned(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root.join(HEARTBEATS)).map_err(unusable)?;
        let root = root.canonicalize().map_err(unusable)?;
        let own = own_user(&root).map_err(unusable)?;
        for folder in [root.clone(), root.join(HEARTBEATS)] {
            ensure_ours(&folder, own)?;
        }
        Ok(Self {
            root,
            strangers: Strangers::default(),
        })
    }

    pub(super) fn read(&self, key: &Key) -> Result<Option<Bytes>, StoreError> {
        let path = self.root.join(key.as_str());
        match read_file(&path, key.limit_bytes()) {
            Ok(Content::Whole(bytes)) => Ok(Some(bytes)),
            Ok(Content::TooLarge) => Err(key.too_large()),
            Ok(Content::NoFile) => Err(StoreError::NoFile { path }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.still_there()?;
                Ok(None)
            }
            Err(error) => Err(self.failed(&path, error)),
        }
    }

    pub(super) fn put(
        &self,
        key: &Key,
        bytes: &Bytes,
        expected: &Expected,
    ) -> Result<Tried<Version>, StoreError> {
        let path = self.root.join(key.as_str());
        let Some(lock) = self.lock(&path)? else {
            return Ok(Tried::Locked);
        };
        let current = self.read(key)?;
        let as_expected = match (expected, &current) {
            (Expected::Absent, None) => true,
            (Expected::At(version), Some(current)) => version.as_bytes() == current,
            (Expected::Absent, Some(_)) | (Expected::At(_), None) => false,
        };
        if !as_expected {
            return Ok(Tried::Conflict);
        }
        replace(&path, bytes).map_err(|error| self.failed(&path, error))?;
        drop(lock);
        Ok(Tried::Done(Version::new(bytes.clone())))
    }

    pub(super) fn delete(&self, key: &Key, version: &Version) -> Result<Tried<()>, StoreError> {
        let path = self.root.join(key.as_str());
        let Some(lock) = self.lock(&path)? else {
            return Ok(Tried::Locked);
        };
        if self.read(key)?.as_ref() != Some(version.as_bytes()) {
            return Ok(Tried::Conflict);
        }
        let deleted = fs::remove_file(&path).and_then(|()| lock.delete());
        deleted.map_err(|error| self.failed(&path, error))?;
        Ok(Tried::Done(()))
    }

    pub(super) fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError> {
        let folder = self.root.join(HEARTBEATS);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.still_there()?;
                return Ok(vec![]);
            }
            Err(error) => return Err(self.failed(&folder, error)),
        };
        let mut heartbeats = vec![];
        for entry in entries.take(LIST_LIMIT) {
            let entry = entry.map_err(|error| self.failed(&folder, error))?;
            let name = entry.file_name();
            let Some(key) = name.to_str().and_then(Key::listed_heartbeat) else {
                continue;
            };
            match self.read(&key) {
                Ok(Some(bytes)) => heartbeats.push((key, Version::new(bytes))),
                // One that went meanwhile is none.
                Ok(None) => {}
                Err(error @ (StoreError::TooLarge { .. } | StoreError::NoFile { .. })) => {
                    self.strangers.leave_out(&key, &error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(heartbeats)
    }

    fn lock(&self, path: &Path) -> Result<Option<ObjectLock>, StoreError> {
        let locked = match ObjectLock::try_take(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.still_there()?;
                self.make_folder_of(path)
                    .and_then(|()| ObjectLock::try_take(path))
            }
            locked => locked,
        };
        locked.map_err(|error| self.failed(path, error))
    }

    /// Makes the folder of an object, and never the state's directory itself: where that is gone,
    /// somebody moved it, and a new one beside it would be another cluster.
    fn make_folder_of(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.root);
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn still_there(&self) -> Result<(), StoreError> {
        if self.root.is_dir() {
            Ok(())
        } else {
            let path = self.root.clone();
            Err(StoreError::Gone { path })
        }
    }

    fn failed(&self, path: &Path, source: io::Error) -> StoreError {
        if let Err(gone) = self.still_there() {
            return gone;
        }
        let path = path.to_owned();
        StoreError::Io { path, source }
    }
}

/// What stands where an object may be.
enum Content {
    Whole(Bytes),
    TooLarge,
    NoFile,
}

fn read_file(path: &Path, limit_bytes: u64) -> io::Result<Content> {
    // Opening a pipe would wait for its writer, and links lead out of the directory.
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(Content::NoFile);
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(limit_bytes + 1)
        .read_to_end(&mut bytes)?;
    let fits = u64::try_from(read).is_ok_and(|read| read <= limit_bytes);
    Ok(if fits {
        Content::Whole(Bytes::from(bytes))
    } else {
        Content::TooLarge
    })
}

/// Refuses a folder that others may write to, or make writable for themselves.
fn ensure_ours(folder: &Path, own: u32) -> Result<(), OpenError> {
    let path = folder.to_owned();
    let found = match fs::symlink_metadata(folder) {
        Ok(found) if found.is_dir() => found,
        Ok(_) => {
            let source = io::Error::other("it is a link or no directory");
            return Err(OpenError::Directory { path, source });
        }
        Err(source) => return Err(OpenError::Directory { path, source }),
    };
    let owner = found.uid();
    if !is_trusted(owner, own) {
        return Err(OpenError::ForeignOwner { path, owner });
    }
    if found.mode() & WRITABLE_BY_OTHERS != 0 {
        return Err(OpenError::Unprotected { path });
    }
    Ok(())
}

/// Who can do anything may own it too.
fn is_trusted(owner: u32, own: u32) -> bool {
    owner == own || owner == ROOT
}

/// Whom the files of this process belong to, there where they will be: file servers give users other
/// numbers.
fn own_user(root: &Path) -> io::Result<u32> {
    let name = format!(".owner-{}.tmp", uuid::Uuid::new_v4().simple());
    let path = root.join(name);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    let owner = options.open(&path)?.metadata()?.uid();
    fs::remove_file(&path)?;
    Ok(owner)
}

/// Replaces the file as a whole, so that it survives a power cut complete, as it was or as it is.
fn replace(path: &Path, bytes: &Bytes) -> io::Result<()> {
    // Written under the lock, so nobody else has this one; a killed writer's is removed, whatever
    // stands in its place by now.
    let temporary = beside(path, "tmp");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// The group, and everybody: whoever can write here decides who is a scheduler.
const WRITABLE_BY_OTHERS: u32 = 0o022;

const ROOT: u32 = 0;

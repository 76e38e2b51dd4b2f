//! The shared state in a directory, as far as that blocks.
//!
//! An object is a file that is replaced as a whole by a rename, so that a reader needs no lock; a
//! writer compares and replaces under the object's lock. The version of an object is its content:
//! no two writes are the same. On a network file system the locks are as good as its `flock`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::{OpenError, StoreError};
use super::file_lock::{ObjectLock, beside};
use super::store::{Expected, HEARTBEATS, Key, LIST_LIMIT, OBJECT_LIMIT_BYTES, Version};

#[derive(Debug)]
pub(super) struct Directory {
    root: PathBuf,
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
        let mode = fs::metadata(&root).map_err(unusable)?.permissions().mode();
        if mode & WRITABLE_BY_OTHERS != 0 {
            return Err(OpenError::Unprotected { path: root });
        }
        Ok(Self { root })
    }

    pub(super) fn read(&self, object: &str) -> Result<Option<Bytes>, StoreError> {
        let path = self.root.join(object);
        match read_file(&path) {
            Ok(Some(bytes)) => Ok(Some(bytes)),
            Ok(None) => Err(StoreError::TooLarge {
                key: object.to_owned(),
                limit_bytes: OBJECT_LIMIT_BYTES,
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.still_there()?;
                Ok(None)
            }
            Err(error) => Err(self.failed(&path, error)),
        }
    }

    pub(super) fn put(
        &self,
        object: &str,
        bytes: &Bytes,
        expected: &Expected,
    ) -> Result<Tried<Version>, StoreError> {
        let path = self.root.join(object);
        let Some(lock) = self.lock(&path)? else {
            return Ok(Tried::Locked);
        };
        let current = self.read(object)?;
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

    pub(super) fn delete(&self, object: &str, version: &Version) -> Result<Tried<()>, StoreError> {
        let path = self.root.join(object);
        let Some(lock) = self.lock(&path)? else {
            return Ok(Tried::Locked);
        };
        if self.read(object)?.as_ref() != Some(version.as_bytes()) {
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
            // One that went meanwhile is none.
            if let Some(bytes) = self.read(key.as_str())? {
                heartbeats.push((key, Version::new(bytes)));
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

/// The content; `None` where it is too large.
fn read_file(path: &Path) -> io::Result<Option<Bytes>> {
    // Opening a pipe would wait for its writer.
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(OBJECT_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)?;
    let fits = u64::try_from(read).is_ok_and(|read| read <= OBJECT_LIMIT_BYTES);
    Ok(fits.then(|| Bytes::from(bytes)))
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

//! The shared state in a directory, for schedulers of one machine.
//!
//! An object is a file that is replaced as a whole by a rename, so that a reader needs no lock; a
//! writer compares and replaces under the object's lock. The version of an object is its content:
//! no two writes are the same. On a network file system the locks are as good as its `flock`.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::error::{OpenError, StoreError};
use super::file_lock::{ObjectLock, beside};
use super::store::{
    Expected, HEARTBEATS, Key, LIST_LIMIT, OBJECT_LIMIT_BYTES, PutError, StateStore, Stored,
    Version,
};

#[derive(Clone, Debug)]
pub(super) struct FileStore {
    directory: Arc<Directory>,
    /// A file system that does not answer takes this many threads, not all.
    threads: Arc<Semaphore>,
    patience: Duration,
}

#[derive(Debug)]
struct Directory {
    root: PathBuf,
}

/// What a try to change an object came to.
enum Tried<T> {
    Done(T),
    Conflict,
    /// Somebody else is changing it.
    Locked,
}

impl FileStore {
    /// Makes the directory where it is not there yet. Blocks.
    pub(super) fn open(root: &Path, patience: Duration) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Directory {
            path: root.to_owned(),
            source,
        };
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(root.join(HEARTBEATS)).map_err(unusable)?;
        let root = root.canonicalize().map_err(unusable)?;
        let mode = fs::metadata(&root).map_err(unusable)?.permissions().mode();
        if mode & WRITABLE_BY_ALL != 0 {
            return Err(OpenError::Unprotected { path: root });
        }
        Ok(Self {
            directory: Arc::new(Directory { root }),
            threads: Arc::new(Semaphore::new(THREADS)),
            patience,
        })
    }

    /// Works on a thread that may block, for as long as a caller has patience.
    async fn blocking<T: Send + 'static>(
        &self,
        key: &str,
        work: impl FnOnce(&Directory) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let worked = async {
            let thread = self.threads.clone().acquire_owned().await;
            let thread = thread.map_err(|_| StoreError::Stopping)?;
            let directory = self.directory.clone();
            let work = spawn_blocking(move || {
                let done = work(&directory);
                drop(thread);
                done
            });
            work.await.map_err(|_| StoreError::Stopping)?
        };
        let worked = timeout(self.patience, worked).await;
        worked.unwrap_or_else(|_| Err(self.silent(key)))
    }

    /// Tries until nobody else changes the object at the same moment.
    async fn locked<T: Send + 'static>(
        &self,
        key: &Key,
        work: impl Fn(&Directory) -> Result<Tried<T>, StoreError> + Clone + Send + 'static,
    ) -> Result<T, PutError> {
        let tries = async {
            loop {
                match self.blocking(key.as_str(), work.clone()).await? {
                    Tried::Done(done) => return Ok(done),
                    Tried::Conflict => return Err(PutError::Conflict),
                    Tried::Locked => sleep(LOCK_WAIT.mul_f64(rand::random_range(0.5..=1.5))).await,
                }
            }
        };
        let tried = timeout(self.patience, tries).await;
        tried.unwrap_or_else(|_| Err(self.silent(key.as_str()).into()))
    }

    fn silent(&self, key: &str) -> StoreError {
        let (key, after) = (key.to_owned(), self.patience);
        StoreError::Silent { key, after }
    }
}

#[async_trait]
impl StateStore for FileStore {
    async fn read(&self, key: &Key) -> Result<Option<Stored>, StoreError> {
        let object = key.clone();
        self.blocking(key.as_str(), move |directory| {
            let bytes = directory.read(object.as_str())?;
            Ok(bytes.map(|bytes| Stored {
                version: Version::new(bytes.clone()),
                bytes,
            }))
        })
        .await
    }

    async fn put(&self, key: &Key, bytes: Bytes, expected: &Expected) -> Result<Version, PutError> {
        let (object, expected) = (key.clone(), expected.clone());
        self.locked(key, move |directory| {
            directory.put(object.as_str(), &bytes, &expected)
        })
        .await
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<(), PutError> {
        let (object, version) = (key.clone(), version.clone());
        self.locked(key, move |directory| {
            directory.delete(object.as_str(), &version)
        })
        .await
    }

    async fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError> {
        self.blocking(HEARTBEATS, Directory::heartbeats).await
    }
}

impl Directory {
    fn read(&self, object: &str) -> Result<Option<Bytes>, StoreError> {
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

    fn put(
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

    fn delete(&self, object: &str, version: &Version) -> Result<Tried<()>, StoreError> {
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

    fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError> {
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
    let mut bytes = Vec::new();
    let read = File::open(path)?
        .take(OBJECT_LIMIT_BYTES + 1)
        .read_to_end(&mut bytes)?;
    let fits = u64::try_from(read).is_ok_and(|read| read <= OBJECT_LIMIT_BYTES);
    Ok(fits.then(|| Bytes::from(bytes)))
}

/// Replaces the file as a whole, so that it survives a power cut complete, as it was or as it is.
fn replace(path: &Path, bytes: &Bytes) -> io::Result<()> {
    // Written under the lock, so nobody else has this one; a killed writer's is written over.
    let temporary = beside(path, "tmp");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
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

const WRITABLE_BY_ALL: u32 = 0o002;

/// A heartbeat and a look at the others go on at the same time, with a change of the document.
const THREADS: usize = 4;

/// A change takes a few milliseconds, most of them for the disk.
const LOCK_WAIT: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn open(root: &Path) -> FileStore {
        FileStore::open(root, PATIENCE).unwrap()
    }

    async fn create(store: &FileStore, text: &'static str) -> Result<Version, PutError> {
        let bytes = Bytes::from_static(text.as_bytes());
        store.put(&Key::cluster(), bytes, &Expected::Absent).await
    }

    #[tokio::test]
    async fn files_are_for_their_owner_only_and_no_other_file_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("a/state");
        let store = open(&root);
        let version = create(&store, "1").await.unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&root), 0o700);
        assert_eq!(mode(&root.join(HEARTBEATS)), 0o700);
        assert_eq!(mode(&root.join("cluster.json")), 0o600);
        store.delete(&Key::cluster(), &version).await.unwrap();
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_everybody_may_write_to_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let everybody = fs::Permissions::from_mode(0o777);
        fs::set_permissions(directory.path(), everybody).unwrap();
        let refused = FileStore::open(directory.path(), PATIENCE).unwrap_err();
        assert!(
            matches!(refused, OpenError::Unprotected { .. }),
            "{refused}"
        );
    }

    #[tokio::test]
    async fn a_directory_that_is_moved_away_is_missed_and_not_made_anew() {
        let directory = tempfile::tempdir().unwrap();
        let (root, away) = (
            directory.path().join("state"),
            directory.path().join("away"),
        );
        let store = open(&root);
        create(&store, "1").await.unwrap();
        fs::rename(&root, &away).unwrap();
        let gone = |error: &StoreError| matches!(error, StoreError::Gone { .. });
        assert!(gone(&store.read(&Key::cluster()).await.unwrap_err()));
        assert!(gone(&store.heartbeats().await.unwrap_err()));
        let put = create(&store, "2").await.unwrap_err();
        assert!(
            matches!(&put, PutError::Store(error) if gone(error)),
            "{put}"
        );
        assert!(!root.exists());
        fs::rename(&away, &root).unwrap();
        let stored = store.read(&Key::cluster()).await.unwrap().unwrap();
        assert_eq!(stored.bytes, "1");
    }

    #[tokio::test]
    async fn a_lock_that_is_never_given_back_is_waited_for_within_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::open(directory.path(), Duration::from_millis(50)).unwrap();
        let path = directory.path().join("cluster.json");
        let held = ObjectLock::try_take(&path).unwrap().unwrap();
        let put = create(&store, "1").await.unwrap_err();
        assert!(
            matches!(put, PutError::Store(StoreError::Silent { .. })),
            "{put}"
        );
        drop(held);
        // The try that was under way when patience ended may have been carried out since.
        let put = create(&store, "2").await;
        assert!(!matches!(put, Err(PutError::Store(_))), "{put:?}");
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        let file = File::create(directory.path().join("cluster.json")).unwrap();
        file.set_len(OBJECT_LIMIT_BYTES + 1).unwrap();
        let refused = store.read(&Key::cluster()).await.unwrap_err();
        assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
    }
}

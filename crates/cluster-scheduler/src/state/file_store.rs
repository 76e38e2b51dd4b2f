//! The shared state in a directory, for schedulers of one machine.
//!
//! What blocks is in [`Directory`]; here it is put on threads that may, a few at a time, and waited
//! for as long as a caller has patience.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use super::directory::{Directory, Tried};
use super::error::{OpenError, StoreError};
use super::store::{Expected, HEARTBEATS, Key, PutError, StateStore, Stored, Version};

#[derive(Clone, Debug)]
pub(super) struct FileStore {
    directory: Arc<Directory>,
    /// A file system that does not answer takes this many threads, not all.
    threads: Arc<Semaphore>,
    patience: Duration,
}

impl FileStore {
    /// Makes the directory where it is not there yet. Blocks.
    pub(super) fn open(root: &Path, patience: Duration) -> Result<Self, OpenError> {
        Ok(Self {
            directory: Arc::new(Directory::open(root)?),
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
            let bytes = directory.read(&object)?;
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
            directory.put(&object, &bytes, &expected)
        })
        .await
    }

    async fn delete(&self, key: &Key, version: &Version) -> Result<(), PutError> {
        let (object, version) = (key.clone(), version.clone());
        self.locked(key, move |directory| directory.delete(&object, &version))
            .await
    }

    async fn heartbeats(&self) -> Result<Vec<(Key, Version)>, StoreError> {
        self.blocking(HEARTBEATS, Directory::heartbeats).await
    }
}

/// A heartbeat and a look at the others go on at the same time, with a change of the document.
const THREADS: usize = 4;

/// A change takes a few milliseconds, most of them for the disk.
const LOCK_WAIT: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::PermissionsExt;

    use super::super::file_lock::ObjectLock;
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
        for key in [Key::cluster(), Key::heartbeat(&"s1:1".parse().unwrap())] {
            let file = File::create(directory.path().join(key.as_str())).unwrap();
            file.set_len(key.limit_bytes() + 1).unwrap();
            let refused = store.read(&key).await.unwrap_err();
            assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused}");
            assert!(refused.to_string().contains(key.as_str()), "{refused}");
            file.set_len(key.limit_bytes()).unwrap();
            assert!(store.read(&key).await.unwrap().is_some());
        }
    }
}

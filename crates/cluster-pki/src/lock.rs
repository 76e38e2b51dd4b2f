//! One run at a time on one PKI directory.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::files::FileError;

/// Why the lock of a PKI directory was not got.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another run held it the whole time.
    #[error("another run holds {} for more than {waited:?}", path.display())]
    Busy {
        /// The lock file.
        path: PathBuf,
        /// How long this run waited.
        waited: Duration,
    },
    /// The lock file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Held until dropped; the system drops it with the process, so a crash leaves no stale lock.
#[derive(Debug)]
pub(crate) struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// How long a run waits for another one: far longer than any run takes.
    pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

    pub(crate) fn acquire(directory: &Path, patience: Duration) -> Result<Self, LockError> {
        let path = directory.join(FILE_NAME);
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            let source = io::Error::other("it is not a regular file");
            return Err(FileError::new("lock", &path, source).into());
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|source| FileError::new("open", &path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => wait(file, path, patience),
            Err(TryLockError::Error(source)) => Err(FileError::new("lock", &path, source).into()),
        }
    }
}

/// The system's lock call knows no timeout, so it waits on a thread of its own.
///
/// After a timeout that thread still waits; it owns nothing but the file, and lets go of the
/// lock in the moment it gets it, since nobody receives it any more.
fn wait(file: File, path: PathBuf, patience: Duration) -> Result<DirectoryLock, LockError> {
    let (sender, receiver) = mpsc::sync_channel::<io::Result<File>>(1);
    thread::spawn(move || {
        let locked = file.lock().map(|()| file);
        let _ = sender.send(locked);
    });
    match receiver.recv_timeout(patience) {
        Ok(Ok(file)) => Ok(DirectoryLock { _file: file }),
        Ok(Err(source)) => Err(FileError::new("lock", &path, source).into()),
        Err(_) => Err(LockError::Busy {
            path,
            waited: patience,
        }),
    }
}

const FILE_NAME: &str = "lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_refused_after_the_patience_and_given_once_free() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirectoryLock::acquire(dir.path(), Duration::ZERO).unwrap();
        let refused = DirectoryLock::acquire(dir.path(), Duration::from_millis(1));
        assert!(matches!(refused, Err(LockError::Busy { .. })));
        drop(held);
        DirectoryLock::acquire(dir.path(), DirectoryLock::PATIENCE).unwrap();
    }

    #[test]
    fn a_waiting_run_gets_the_lock_when_it_is_freed() {
        let dir = tempfile::tempdir().unwrap();
        let held = DirectoryLock::acquire(dir.path(), Duration::ZERO).unwrap();
        thread::scope(|scope| {
            let waiting =
                scope.spawn(|| DirectoryLock::acquire(dir.path(), DirectoryLock::PATIENCE));
            drop(held);
            waiting.join().unwrap().unwrap();
        });
    }
}

//! The right to add to an audit log, among all processes that share it.
//!
//! Whoever may read a file may lock it, log shippers too. What is locked is thus a file beside the
//! log that nobody else can open.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::file::OpenAuditError;
use super::named::{beside, is_named, open_or_make};

/// The lock of one audit log.
#[derive(Debug)]
pub(super) struct AuditLock {
    log: PathBuf,
    path: PathBuf,
    own: u32,
}

impl AuditLock {
    /// The lock of `log`, for the user `own`. It is made where it is not there yet.
    pub(super) fn new(log: &Path, own: u32) -> Result<AuditLock, OpenAuditError> {
        let lock = AuditLock {
            log: log.to_owned(),
            path: beside(log, "lock"),
            own,
        };
        lock.open()?;
        Ok(lock)
    }

    /// Takes it until what is returned is dropped, or the process ends. Waits for a bounded time.
    #[expect(
        clippy::disallowed_methods,
        reason = "another process gives a lock back without a word, and this is the log's own thread"
    )]
    pub(super) fn take(&self) -> io::Result<File> {
        let begun = Instant::now();
        loop {
            let file = self.open().map_err(io::Error::other)?;
            match file.try_lock() {
                // One that was removed meanwhile locks nothing any more.
                Ok(()) if is_named(&file, &self.path)? => return Ok(file),
                Ok(()) | Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if begun.elapsed() > LOCK_PATIENCE {
                let path = self.path.display();
                let held = format!("another process keeps {path} locked; end the one that hangs");
                return Err(io::Error::new(ErrorKind::ResourceBusy, held));
            }
            sleep(LOCK_PAUSE);
        }
    }

    fn open(&self) -> Result<File, OpenAuditError> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let alone = open_or_make(&self.path, &options).and_then(|file| self.alone(file));
        let source = match alone {
            Ok(Some(file)) => return Ok(file),
            Ok(None) => return Err(self.not_ours()),
            Err(source) => source,
        };
        let denied = source.kind() == ErrorKind::PermissionDenied;
        if denied && fs::symlink_metadata(&self.path).is_ok() {
            return Err(self.not_ours());
        }
        let path = self.log.clone();
        Err(OpenAuditError::Unusable { path, source })
    }

    /// Nothing where somebody else may open the file.
    fn alone(&self, file: Option<File>) -> io::Result<Option<File>> {
        let Some(file) = file else {
            return Ok(None);
        };
        let found = file.metadata()?;
        let alone = found.uid() == self.own && found.mode() & OTHERS == 0;
        Ok(alone.then_some(file))
    }

    fn not_ours(&self) -> OpenAuditError {
        let path = self.path.clone();
        OpenAuditError::LockNotOurs { path }
    }
}

/// The group, and everybody.
const OTHERS: u32 = 0o077;

/// A line of another node takes a fraction of this.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

const LOCK_PAUSE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use super::super::named::own_user;
    use super::*;

    fn lock(log: &Path) -> Result<AuditLock, OpenAuditError> {
        AuditLock::new(log, own_user(log).unwrap())
    }

    #[test]
    fn has_one_holder_at_a_time_and_waits_for_it_within_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit.jsonl");
        let (one, other) = (lock(&log).unwrap(), lock(&log).unwrap());
        let held = one.take().unwrap();
        let busy = other.take().unwrap_err();
        assert_eq!(busy.kind(), ErrorKind::ResourceBusy);
        assert!(busy.to_string().contains(".audit.jsonl.lock"), "{busy}");
        drop(held);
        other.take().unwrap();
    }

    #[test]
    fn one_that_was_removed_is_made_anew_and_locks_again() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit.jsonl");
        let lock = lock(&log).unwrap();
        let _removed = lock.take().unwrap();
        fs::remove_file(&lock.path).unwrap();
        let _held = lock.take().unwrap();
        assert!(lock.take().is_err());
    }

    #[test]
    fn is_a_file_that_nobody_else_can_open_or_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("audit.jsonl");
        let own = own_user(&log).unwrap();
        let path = lock(&log).unwrap().path;
        let refused = || {
            let refused = lock(&log).unwrap_err();
            let text = refused.to_string();
            assert!(
                matches!(refused, OpenAuditError::LockNotOurs { .. }),
                "{text}"
            );
            assert!(text.contains(&path.display().to_string()), "{text}");
        };
        let mode = fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        for mode in [0o640, 0o604, 0o620] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            refused();
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        lock(&log).unwrap();
        // Only root can give it away.
        if chown(&path, Some(own + 1), None).is_ok() {
            refused();
        }
        fs::remove_file(&path).unwrap();
        let end = directory.path().join("end");
        symlink(&end, &path).unwrap();
        refused();
        assert!(!end.exists());
        fs::remove_file(&path).unwrap();
        lock(&log).unwrap();
    }
}

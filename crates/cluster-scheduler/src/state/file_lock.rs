use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The right to change one object of a directory, among all processes of a machine. It ends with
/// the process, however that ends.
#[derive(Debug)]
pub(super) struct ObjectLock {
    path: PathBuf,
    _file: File,
}

impl ObjectLock {
    /// Takes the lock of `object`; `None` while somebody else has it.
    pub(super) fn try_take(object: &Path) -> io::Result<Option<Self>> {
        let path = beside(object, "lock");
        let Some(file) = open(&path)? else {
            return Ok(None);
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Who deletes an object deletes its lock: then this one locks nothing any more.
        let current = is_at(&file, &path)?;
        Ok(current.then_some(Self { path, _file: file }))
    }

    /// Deletes the lock together with the object that it was for.
    pub(super) fn delete(self) -> io::Result<()> {
        fs::remove_file(&self.path)
    }
}

/// Opens the lock, or makes it; `None` where its holder deleted it meanwhile. Links are not followed:
/// a new file is made at no link's other end, and [`is_at`] tells a link from the file behind it.
fn open(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made.map(Some),
    }
    let opened = fs::symlink_metadata(path).and_then(|found| {
        if found.is_file() {
            options.open(path)
        } else {
            Err(io::Error::other(
                "its lock is a link or no file; remove that",
            ))
        }
    });
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// The hidden file of this kind beside `object`.
pub(super) fn beside(object: &Path, kind: &str) -> PathBuf {
    let name = object.file_name().unwrap_or_default().to_string_lossy();
    object.with_file_name(format!(".{name}.{kind}"))
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::symlink_metadata(path) {
        Ok(there) => Ok(there.ino() == ours.ino() && there.dev() == ours.dev()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time_and_none_of_a_lock_that_was_deleted() {
        let directory = tempfile::tempdir().unwrap();
        let object = directory.path().join("a.json");
        let held = ObjectLock::try_take(&object).unwrap().unwrap();
        assert!(ObjectLock::try_take(&object).unwrap().is_none());
        // Opened before the deletion, locked after it.
        let late = File::open(beside(&object, "lock")).unwrap();
        held.delete().unwrap();
        late.try_lock().unwrap();
        assert!(!is_at(&late, &beside(&object, "lock")).unwrap());
        let next = ObjectLock::try_take(&object).unwrap().unwrap();
        drop(next);
        assert!(ObjectLock::try_take(&object).unwrap().is_some());
    }
}

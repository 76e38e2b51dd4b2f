//! A directory of its own for each run of an executor, and none left behind.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A fresh directory for shuffle files, removed when dropped. A run that was killed leaves
/// its own behind; the next run on the same data directory removes it.
#[derive(Debug)]
pub(crate) struct WorkDir {
    path: PathBuf,
    _lock: File,
}

impl WorkDir {
    /// Makes a directory under `data_dir`.
    pub(crate) fn create(data_dir: &Path) -> Result<Self> {
        let parent = data_dir.join("shuffle");
        private_directory(&parent)?;
        remove_abandoned(&parent);
        let path = parent.join(uuid::Uuid::new_v4().simple().to_string());
        private_directory(&path)?;
        let lock_path = lock_path(&path);
        let lock = File::create_new(&lock_path)
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("{} cannot be locked", lock_path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("{} cannot be resolved", path.display()))?;
        Ok(Self { path, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        remove(&self.path);
    }
}

/// Shuffle files hold rows of tables: nobody else on the machine reads them.
pub(crate) fn private_directory(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .with_context(|| {
            format!(
                "the directory {} cannot be made; see --data-dir",
                path.display()
            )
        })
}

fn remove_abandoned(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for path in entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
    {
        let lock = File::open(lock_path(&path));
        let abandoned = lock.is_ok_and(|file| file.try_lock().is_ok());
        if abandoned {
            remove(&path);
        }
    }
}

fn remove(path: &Path) {
    let removed = fs::remove_dir_all(path).and_then(|()| fs::remove_file(lock_path(path)));
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "shuffle directory not removed");
    }
}

/// Beside the directory, not in it: Ballista takes every entry within for a job's.
fn lock_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_private_while_it_lives_and_gone_afterwards() {
        use std::os::unix::fs::PermissionsExt;
        let data = tempfile::tempdir().unwrap();
        let work = WorkDir::create(data.path()).unwrap();
        let path = work.path().to_owned();
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o700
        );
        drop(work);
        assert!(!path.exists());
        assert_eq!(
            fs::read_dir(data.path().join("shuffle")).unwrap().count(),
            0
        );
    }

    #[test]
    fn removes_what_a_killed_run_left_and_spares_what_lives() {
        let data = tempfile::tempdir().unwrap();
        let living = WorkDir::create(data.path()).unwrap();
        let abandoned = data.path().join("shuffle").join("abandoned");
        fs::create_dir(&abandoned).unwrap();
        fs::write(lock_path(&abandoned), "").unwrap();
        let newer = WorkDir::create(data.path()).unwrap();
        assert!(!abandoned.exists());
        assert!(living.path().exists() && newer.path().exists());
    }
}

//! Files that are complete before they have their name.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::{mem, panic, thread};

use super::{Access, FileError, create, exists, parent, sync_directory};

/// A complete file under a temporary name beside its target.
///
/// Publishing renames it, which is atomic; dropping it removes it, so that an error on the way
/// leaves nothing behind.
#[derive(Debug)]
pub(crate) struct StagedFile {
    temporary: PathBuf,
    target: PathBuf,
}

impl StagedFile {
    /// A file whose content is durable.
    pub(crate) fn write(target: &Path, access: Access, content: &[u8]) -> Result<Self, FileError> {
        let staged = Self::prepare(target, access, content)?;
        sync_contents(&[&staged])?;
        Ok(staged)
    }

    /// A file whose content is not yet durable: of many, [`sync_contents`] makes them so together.
    pub(crate) fn prepare(
        target: &Path,
        access: Access,
        content: &[u8],
    ) -> Result<Self, FileError> {
        let temporary = temporary_name(target);
        // What a crashed run left under this name was never published: nobody relies on it.
        if let Err(source) = fs::remove_file(&temporary)
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(FileError::new("remove", &temporary, source));
        }
        let staged = Self {
            temporary,
            target: target.to_owned(),
        };
        create(&staged.temporary, access, content)?;
        Ok(staged)
    }

    /// Puts the file in place of whatever has its name.
    pub(crate) fn publish(self) -> Result<(), FileError> {
        self.take_name()?;
        sync_directory(parent(&self.target))
    }

    /// The same where nothing has the name yet; what has it stays.
    pub(crate) fn publish_new(self) -> Result<(), FileError> {
        let fail = |source| FileError::new("create", &self.target, source);
        match fs::hard_link(&self.temporary, &self.target) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {
                return Err(fail(source));
            }
            // Some file systems have no links. A rename would replace, so somebody has to look.
            Err(_) if exists(&self.target)? => {
                return Err(fail(io::ErrorKind::AlreadyExists.into()));
            }
            Err(_) => self.take_name()?,
        }
        let parent = parent(&self.target).to_owned();
        drop(self);
        sync_directory(&parent)
    }

    /// The same as [`publish`](Self::publish) for a file that is recorded: its directory is yet to be synced, and where the name
    /// cannot be had it stays under its temporary one. There is no second copy of a key.
    pub(crate) fn rename(self) -> Result<(), FileError> {
        let renamed = self.take_name();
        mem::forget(self);
        renamed
    }

    /// Leaves it under its temporary name, for whoever completes it.
    pub(crate) fn leave(self) {
        mem::forget(self);
    }

    fn take_name(&self) -> Result<(), FileError> {
        fs::rename(&self.temporary, &self.target)
            .map_err(|source| FileError::new("write", &self.target, source))
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        // After a publish there is nothing under this name, and nobody to tell otherwise.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Replaces a file by one rename.
pub(crate) fn replace(path: &Path, access: Access, content: &[u8]) -> Result<(), FileError> {
    StagedFile::write(path, access, content)?.publish()
}

/// Gives a file that was left under its temporary name the one that it was written for.
pub(crate) fn publish_left(target: &Path) -> Result<(), FileError> {
    fs::rename(temporary_name(target), target)
        .map_err(|source| FileError::new("write", target, source))?;
    sync_directory(parent(target))
}

/// The name of a file until it is complete.
pub(crate) fn temporary_name(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.new"))
}

/// Makes the contents of staged files durable, many at a time: a file system that keeps a journal
/// writes it once for all who wait, and not once for each.
pub(crate) fn sync_contents(staged: &[&StagedFile]) -> Result<(), FileError> {
    let sync = |file: &&StagedFile| {
        File::open(&file.temporary)
            .and_then(|opened| opened.sync_all())
            .map_err(|source| FileError::new("write", &file.temporary, source))
    };
    let share = staged.len().div_ceil(SYNCS_AT_ONCE).max(1);
    if let [file] = staged {
        return sync(file);
    }
    thread::scope(|scope| {
        let running: Vec<_> = staged
            .chunks(share)
            .map(|files| scope.spawn(move || files.iter().try_for_each(sync)))
            .collect();
        running
            .into_iter()
            .try_for_each(|thread| match thread.join() {
                Ok(synced) => synced,
                Err(panic) => panic::resume_unwind(panic),
            })
    })
}

/// How many files are waited for at a time: a thread each, which does nothing but wait.
const SYNCS_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_dropped_staged_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let staged = StagedFile::write(&dir.path().join("a"), Access::Owner, b"x").unwrap();
        drop(staged);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_published_file_has_its_mode_and_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(&path, "old").unwrap();
        replace(&path, Access::Owner, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_file_has_its_mode_and_replaces_neither_a_file_nor_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let stage = |name: &str| StagedFile::write(&dir.path().join(name), Access::Owner, b"new");
        fs::write(dir.path().join("file"), "old").unwrap();
        symlink(dir.path().join("nowhere"), dir.path().join("link")).unwrap();
        for name in ["file", "link"] {
            let error = stage(name).unwrap().publish_new().unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        }
        stage("fresh").unwrap().publish_new().unwrap();
        assert_eq!(mode(&dir.path().join("fresh")), 0o600);
        assert_eq!(fs::read_to_string(dir.path().join("file")).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_leftover_of_a_crash_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        fs::write(dir.path().join(".a.new"), "half a fi").unwrap();
        replace(&path, Access::Owner, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn a_link_under_the_temporary_name_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        symlink(&victim, dir.path().join(".a.new")).unwrap();
        replace(&dir.path().join("a"), Access::Owner, b"key").unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
    }
}

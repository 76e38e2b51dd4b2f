//! Files that appear whole or not at all, with their final mode from the first byte.
//!
//! A mode that is changed after the file exists leaves a moment in which a key can be read,
//! so files are only ever created exclusively with the mode they keep. An exclusive create
//! also refuses to follow a symbolic link (open(2), `O_EXCL`).

mod staged;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub(crate) use self::staged::{StagedFile, publish_left, replace, sync_contents, temporary_name};

/// A file or directory that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", path.display())]
#[non_exhaustive]
pub struct FileError {
    /// What was tried: a verb such as `read` or `create`.
    pub action: &'static str,
    /// On which path.
    pub path: PathBuf,
    /// What the system answered.
    #[source]
    pub source: io::Error,
}

impl FileError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self {
            action,
            path,
            source,
        }
    }
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Owner,
    Everyone,
}

impl Access {
    fn mode(self) -> u32 {
        match self {
            Self::Owner => 0o600,
            Self::Everyone => 0o644,
        }
    }
}

/// Creates a file that must not exist.
fn create(path: &Path, access: Access, content: &[u8]) -> Result<File, FileError> {
    let failed = |action| move |source| FileError::new(action, path, source);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(access.mode())
        .open(path)
        .map_err(failed("create"))?;
    file.write_all(content).map_err(failed("write"))?;
    Ok(file)
}

/// Reads a small text, or `None` where there is no file.
pub(crate) fn read_optional(path: &Path) -> Result<Option<String>, FileError> {
    read_up_to(path, READ_LIMIT_BYTES)
}

/// The same for a file of the authority's own, which may grow as it likes.
pub(crate) fn read_records(path: &Path) -> Result<Option<String>, FileError> {
    read_up_to(path, u64::MAX)
}

fn read_up_to(path: &Path, limit: u64) -> Result<Option<String>, FileError> {
    let mut text = String::new();
    // Looked at first: to open a pipe is to wait for somebody who writes to it.
    match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() > limit => {
            let source = io::Error::other("it is too large");
            return Err(FileError::new("read", path, source));
        }
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(FileError::new("read", path, not_regular())),
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FileError::new("read", path, source)),
    }
    let file = File::open(path).map_err(|source| FileError::new("read", path, source))?;
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|source| FileError::new("read", path, source))?;
    Ok(Some(text))
}

/// Reads a small text that must be there.
pub(crate) fn read(path: &Path) -> Result<String, FileError> {
    read_optional(path)?.ok_or_else(|| {
        let missing = io::Error::from(io::ErrorKind::NotFound);
        FileError::new("read", path, missing)
    })
}

/// Reads a file that only its owner may read; anything laxer, or a link, is refused.
pub(crate) fn read_owner_only(path: &Path) -> Result<Zeroizing<String>, FileError> {
    let fail = |source| FileError::new("read", path, source);
    let named = fs::symlink_metadata(path).map_err(fail)?;
    if named.is_symlink() {
        return Err(fail(io::Error::other("it is a symbolic link")));
    }
    if !named.is_file() {
        return Err(fail(not_regular()));
    }
    let mut file = File::open(path).map_err(fail)?;
    // From here on it is about the file that was opened: a swap in between is noticed.
    let opened = file.metadata().map_err(fail)?;
    if (named.dev(), named.ino()) != (opened.dev(), opened.ino()) {
        return Err(fail(io::Error::other("it was exchanged for another file")));
    }
    if opened.mode() & OTHERS != 0 {
        let mode = opened.mode() & 0o7777;
        return Err(fail(io::Error::other(format!(
            "its mode is {mode:04o}, others may read it; if that was never so, `chmod 600` it"
        ))));
    }
    // Room for the whole file at once: a growing buffer would leave copies behind.
    let room = usize::try_from(opened.len().min(SECRET_LIMIT_BYTES)).unwrap_or(0) + 1;
    let mut text = Zeroizing::new(String::with_capacity(room));
    if opened.len() > SECRET_LIMIT_BYTES {
        return Err(fail(io::Error::other("it is too large for a key")));
    }
    (&mut file)
        .take(SECRET_LIMIT_BYTES)
        .read_to_string(&mut text)
        .map_err(fail)?;
    Ok(text)
}

/// Removes a file whose content must not be kept.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    fs::remove_file(path).map_err(|source| FileError::new("remove", path, source))?;
    sync_directory(parent(path))
}

/// Makes a directory that only its owner may enter, or checks that it is one.
pub(crate) fn owner_only_directory(path: &Path) -> Result<(), FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => check_owner_only_directory(path),
        Err(source) if source.kind() == io::ErrorKind::NotFound => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| FileError::new("create", path, source)),
        Err(source) => Err(FileError::new("read", path, source)),
    }
}

/// Refuses a directory that others may enter, and one that is a link.
pub(crate) fn check_owner_only_directory(path: &Path) -> Result<(), FileError> {
    let refuse = |text: String| Err(FileError::new("use", path, io::Error::other(text)));
    let found = fs::symlink_metadata(path).map_err(|e| FileError::new("read", path, e))?;
    if found.is_symlink() {
        return refuse("it is a symbolic link; name the directory itself".to_owned());
    }
    if !found.is_dir() {
        return refuse("it is not a directory".to_owned());
    }
    if found.mode() & OTHERS != 0 {
        let mode = found.mode() & 0o7777;
        return refuse(format!(
            "its mode is {mode:04o}, a PKI directory is its owner's alone; `chmod 700` it"
        ));
    }
    Ok(())
}

/// Whether anything has this name, a dangling link included.
pub(crate) fn exists(path: &Path) -> Result<bool, FileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(FileError::new("read", path, source)),
    }
}

/// What a directory holds; names that are not text are left out.
pub(crate) fn names_in(path: &Path) -> Result<Vec<String>, FileError> {
    let fail = |source| FileError::new("read", path, source);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(fail)? {
        names.extend(entry.map_err(fail)?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Whether nobody but root and the owner of another directory can change what a path leads to:
/// every directory on the way is theirs, and closed to others or sticky.
pub(crate) fn is_trusted(path: &Path, owners: &Path) -> Result<bool, FileError> {
    let look = |path: &Path| {
        fs::symlink_metadata(path).map_err(|source| FileError::new("read", path, source))
    };
    let owner = look(owners)?.uid();
    for directory in path.ancestors().filter(|path| *path != Path::new("")) {
        let found = look(directory)?;
        let is_theirs = found.uid() == owner || found.uid() == 0;
        let is_closed = found.mode() & OTHERS_WRITE == 0 || found.mode() & STICKY != 0;
        if !found.is_dir() || !is_theirs || !is_closed {
            return Ok(false);
        }
    }
    Ok(look(path)?.mode() & OTHERS_WRITE == 0)
}

/// Whether two paths lead to the same directory, by whatever links.
pub(crate) fn is_same(one: &Path, other: &Path) -> Result<bool, FileError> {
    let id = |path: &Path| {
        let path = if path == Path::new("") {
            Path::new(".")
        } else {
            path
        };
        let found = fs::metadata(path).map_err(|source| FileError::new("read", path, source))?;
        Ok((found.dev(), found.ino()))
    };
    Ok(id(one)? == id(other)?)
}

/// The directory of a path; that of a bare name is the current one.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), FileError> {
    match File::open(path).and_then(|directory| directory.sync_all()) {
        // Some file systems know no such call for directories, and order renames by themselves.
        Err(source) if is_unsupported(&source) => Ok(()),
        result => result.map_err(|source| FileError::new("write", path, source)),
    }
}

fn not_regular() -> io::Error {
    io::Error::other("it is not a regular file")
}

fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

/// The mode bits of group and others.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Far above an RSA key of any size.
const SECRET_LIMIT_BYTES: u64 = 64 * 1024;

/// Far above any bundle of roots and any list; a device file ends here.
const READ_LIMIT_BYTES: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn an_exclusive_create_refuses_a_file_and_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").unwrap();
        symlink(dir.path().join("nowhere"), &link).unwrap();
        for path in [file, link] {
            let error = create(&path, Access::Owner, b"x").unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::AlreadyExists);
        }
    }

    #[test]
    fn reads_a_secret_only_from_an_owner_only_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let (key, link) = (dir.path().join("key"), dir.path().join("link"));
        create(&key, Access::Owner, b"secret").unwrap();
        symlink(&key, &link).unwrap();
        assert_eq!(read_owner_only(&key).unwrap().as_str(), "secret");
        assert!(read_owner_only(&link).is_err());
        for bits in [0o640, 0o604, 0o620] {
            fs::set_permissions(&key, fs::Permissions::from_mode(bits)).unwrap();
            assert!(read_owner_only(&key).is_err(), "{bits:o}");
        }
    }

    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        assert!(read_optional(&pipe).is_err());
        assert!(read_owner_only(&pipe).is_err());
    }

    #[test]
    fn a_private_directory_is_made_closed_and_refused_open() {
        let dir = tempfile::tempdir().unwrap();
        let (made, link) = (dir.path().join("a/b"), dir.path().join("link"));
        owner_only_directory(&made).unwrap();
        assert_eq!((mode(&made), mode(&dir.path().join("a"))), (0o700, 0o700));
        symlink(&made, &link).unwrap();
        assert!(owner_only_directory(&link).is_err());
        fs::set_permissions(&made, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(owner_only_directory(&made).is_err());
    }
}

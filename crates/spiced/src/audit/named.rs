//! Files that are told by more than their names, since others may write to the directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Opens the file, or makes it; `None` where a link or no file stands in its place.
pub(super) fn open_or_make(path: &Path, options: &OpenOptions) -> io::Result<Option<File>> {
    // What is made anew is made at no link's other end.
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        made => return made.map(Some),
    }
    // Opening a pipe would wait for its reader.
    if !fs::symlink_metadata(path)?.is_file() {
        return Ok(None);
    }
    let file = options.open(path)?;
    // Something else may have been put in its place between the two.
    let named = is_named(&file, path)?;
    Ok(named.then_some(file))
}

/// Whether `path` still names the file, and not another one or nothing.
pub(super) fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    let opened = file.metadata()?;
    // Where it is mounted as a file, its path outlives its name.
    if opened.nlink() == 0 {
        return Ok(false);
    }
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (opened.dev(), opened.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whom the files of this process belong to, there where `path` is: file servers give users other
/// numbers.
pub(super) fn own_user(path: &Path) -> io::Result<u32> {
    let name = format!(".owner-{}.tmp", uuid::Uuid::new_v4().simple());
    let probe = path.with_file_name(name);
    let mut options = OpenOptions::new();
    options.create_new(true).write(true).mode(0o600);
    let owner = options.open(&probe)?.metadata()?.uid();
    fs::remove_file(&probe)?;
    Ok(owner)
}

/// The hidden file of this kind beside `path`.
pub(super) fn beside(path: &Path, kind: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{kind}"))
}

//! Finding and reading the manifest: the only part of the crate that touches a disk.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::app::App;
use crate::error::LoadError;
use crate::manifest;

/// The names a manifest has in its directory, the preferred one first.
pub const MANIFEST_NAMES: [&str; 2] = ["spicepod.yaml", "spicepod.yml"];

/// How large a manifest may be, in bytes. Thousands of datasets fit; a data file that was named
/// by mistake does not get read into memory.
pub const MAX_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;

/// Load the manifest at `path`: the file itself, or a directory that holds one of
/// [`MANIFEST_NAMES`]. Relative `file:` paths start from the directory of the manifest.
///
/// This reads a file, so call it off the async workers.
///
/// # Errors
///
/// [`LoadError`]: no manifest, an unreadable one, or every fault it holds.
pub fn load(path: &Path) -> Result<App, LoadError> {
    ManifestText::read(path)?.parse()
}

/// A manifest that was read and not yet interpreted. Two that are equal mean the same, which is
/// how whoever watches a manifest knows that it changed.
#[derive(Clone, PartialEq, Eq)]
pub struct ManifestText {
    /// As it was found, for findings.
    path: PathBuf,
    /// Where relative paths start.
    directory: PathBuf,
    text: String,
}

impl ManifestText {
    /// Read the manifest at `path`, found as [`load`] finds it.
    ///
    /// # Errors
    ///
    /// [`LoadError`]: no manifest, or one that cannot be read.
    pub fn read(path: &Path) -> Result<ManifestText, LoadError> {
        let manifest = find(path)?;
        let unreadable = |source| LoadError::Read {
            path: manifest.clone(),
            source,
        };
        let text = read(&manifest).map_err(unreadable)?;
        let absolute = std::path::absolute(&manifest).map_err(unreadable)?;
        let directory = directory_of(&absolute).to_owned();
        let Some(text) = text else {
            return Err(LoadError::TooLarge {
                path: manifest,
                limit: MAX_MANIFEST_BYTES,
            });
        };
        Ok(ManifestText {
            path: manifest,
            directory,
            text,
        })
    }

    /// The file that it was read from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Interpret it.
    ///
    /// # Errors
    ///
    /// [`LoadError::Invalid`] with every fault of the text.
    pub fn parse(&self) -> Result<App, LoadError> {
        manifest::from_yaml(&self.text, &self.path, &self.directory)
    }
}

impl fmt::Debug for ManifestText {
    /// Without the text, which may be megabytes.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ManifestText")
            .field("path", &self.path)
            .field("bytes", &self.text.len())
            .finish_non_exhaustive()
    }
}

/// Interpret the text of a manifest. `origin` is the path it was read from: findings name it,
/// and relative `file:` paths start from its directory, which should therefore be absolute.
///
/// # Errors
///
/// [`LoadError::Invalid`] with every fault of the text.
pub fn parse(text: &str, origin: &Path) -> Result<App, LoadError> {
    manifest::from_yaml(text, origin, directory_of(origin))
}

fn find(path: &Path) -> Result<PathBuf, LoadError> {
    let candidates: Vec<PathBuf> = match fs::metadata(path) {
        Ok(found) if found.is_dir() => MANIFEST_NAMES.map(|name| path.join(name)).to_vec(),
        Ok(_) => return Ok(path.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => vec![path.to_owned()],
        Err(source) => {
            let path = path.to_owned();
            return Err(LoadError::Read { path, source });
        }
    };
    let found = candidates.iter().find(|candidate| candidate.exists());
    match found {
        Some(found) => Ok(found.clone()),
        None => Err(LoadError::NotFound {
            looked_for: candidates,
        }),
    }
}

/// The text, or none where the file is larger than the limit.
fn read(manifest: &Path) -> io::Result<Option<String>> {
    // Opening a pipe would wait for its writer.
    if !fs::metadata(manifest)?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    let read = File::open(manifest)?
        .take(MAX_MANIFEST_BYTES + 1)
        .read_to_string(&mut text)?;
    let fits = u64::try_from(read).is_ok_and(|read| read <= MAX_MANIFEST_BYTES);
    Ok(fits.then_some(text))
}

fn directory_of(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(Path::new("/"))
}

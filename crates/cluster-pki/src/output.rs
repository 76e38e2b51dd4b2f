//! The files that a node is given.

use std::fs;
use std::path::{Path, PathBuf};

use crate::files::{self, Access, FileError, StagedFile};
use crate::mint::Minted;
use crate::name::NodeName;
use crate::settings::Settings;

/// What to do with files that are already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Refuse to go on, and touch nothing.
    #[default]
    Refuse,
    /// Replace the node's certificate and key. Roots of another authority are never replaced.
    Replace,
    /// Replace them, and refuse where there is neither: a renewal in the wrong directory would
    /// leave the node with its old certificate.
    Require,
}

/// Where a node's files are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NodeFiles {
    /// The roots: `ca.pem`.
    pub ca: PathBuf,
    /// The leaf: `NAME.pem`.
    pub certificate: PathBuf,
    /// Its key, PKCS#8, readable by its owner alone: `NAME-key.pem`.
    pub key: PathBuf,
}

impl NodeFiles {
    pub(crate) fn new(directory: &Path, name: &NodeName) -> Self {
        Self {
            ca: ca_file(directory),
            certificate: directory.join(format!("{name}.pem")),
            key: directory.join(format!("{name}-key.pem")),
        }
    }
}

/// Why a node's files cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// There is a `ca.pem` with other roots: nodes with these files would not trust each other.
    #[error("{} belongs to another authority", path.display())]
    OtherAuthority {
        /// The file.
        path: PathBuf,
    },
    /// The directory is the authority's own, which nothing of a node may enter.
    #[error("{} is the authority's own directory", path.display())]
    PkiDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// A file of that name exists.
    #[error("{} exists already", path.display())]
    Exists {
        /// The first such file.
        path: PathBuf,
    },
    /// A file that was to be replaced does not exist.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The first such file.
        path: PathBuf,
    },
    /// A deny-list that was written by hand is not replaced: it may hold what no authority knows.
    #[error("{} was not written by this authority", path.display())]
    ForeignList {
        /// The file.
        path: PathBuf,
    },
    /// A list has serial numbers that the records do not know: they are those of an old copy, or
    /// somebody added lines. A new list would let those in again.
    #[error("{} denies {count} certificates that these records do not", path.display())]
    ListKnowsMore {
        /// The file.
        path: PathBuf,
        /// How many.
        count: usize,
    },
    /// Something other than a file has that name.
    #[error("{} is a directory", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
    },
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
}

/// All of a node's files, complete under temporary names.
#[derive(Debug)]
pub(crate) struct StagedNode {
    certificate: StagedFile,
    key: Option<StagedFile>,
}

impl StagedNode {
    /// A certificate and the key that was made for it. Their contents are not yet durable.
    pub(crate) fn prepare(files: &NodeFiles, minted: &Minted) -> Result<Self, FileError> {
        let key = StagedFile::prepare(&files.key, Access::Owner, minted.key_pem.as_bytes())?;
        let staged = Self::certificate(&files.certificate, &minted.certificate_pem)?;
        Ok(Self {
            key: Some(key),
            ..staged
        })
    }

    /// A certificate whose key is the node's own.
    pub(crate) fn certificate(path: &Path, pem: &str) -> Result<Self, FileError> {
        Ok(Self {
            certificate: StagedFile::prepare(path, Access::Everyone, pem.as_bytes())?,
            key: None,
        })
    }

    pub(crate) fn files(&self) -> impl Iterator<Item = &StagedFile> {
        self.key.iter().chain([&self.certificate])
    }

    /// The certificate comes last: where it is new, its key is there too. What is here is durable
    /// when its directory is.
    pub(crate) fn rename(self) -> Result<(), FileError> {
        match self.key.map_or(Ok(()), StagedFile::rename) {
            Ok(()) => self.certificate.rename(),
            Err(error) => {
                self.certificate.leave();
                Err(error)
            }
        }
    }
}

/// Checks everything that can be checked before anything is signed.
pub(crate) fn check(files: &NodeFiles, existing: Existing) -> Result<(), OutputError> {
    let both = [&files.certificate, &files.key];
    if existing == Existing::Require {
        check_any(&both)?;
    }
    both.into_iter()
        .try_for_each(|path| check_target(path, existing))
}

/// Makes the directory for the files unless it is there.
pub(crate) fn make_directory(path: &Path, pki: &Path) -> Result<(), OutputError> {
    fs::create_dir_all(path).map_err(|source| FileError::new("create", path, source))?;
    // A node that is named like the authority's own files would replace them there.
    if files::is_same(path, pki)? {
        let path = pki.to_owned();
        return Err(OutputError::PkiDirectory { path });
    }
    Ok(())
}

/// Refuses a directory that has an authority, whichever.
pub(crate) fn refuse_pki_directory(path: &Path) -> Result<(), OutputError> {
    if files::exists(&Settings::path(path))? {
        let path = path.to_owned();
        return Err(OutputError::PkiDirectory { path });
    }
    Ok(())
}

pub(crate) fn ca_file(directory: &Path) -> PathBuf {
    directory.join("ca.pem")
}

/// A key that was lost is no reason to refuse a new one.
fn check_any(paths: &[&PathBuf; 2]) -> Result<(), OutputError> {
    for path in paths {
        if files::exists(path)? {
            return Ok(());
        }
    }
    Err(OutputError::Missing {
        path: paths[0].clone(),
    })
}

pub(crate) fn check_target(path: &Path, existing: Existing) -> Result<(), OutputError> {
    let path = path.to_owned();
    match existing {
        Existing::Refuse if files::exists(&path)? => Err(OutputError::Exists { path }),
        Existing::Replace | Existing::Require if path.is_dir() => {
            Err(OutputError::Directory { path })
        }
        _ => Ok(()),
    }
}

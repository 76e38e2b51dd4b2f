//! Looking at a dataset's files before the engine does, for errors that name the remedy.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use spicepod::{Dataset, FileSource};

use crate::open_error::OpenFault;

/// What a dataset's path turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Located {
    File,
    Directory,
}

/// Check that the files of `dataset` are there. Reads the file system: not for async workers.
pub(crate) fn probe(dataset: &Dataset, source: &FileSource) -> Result<Located, OpenFault> {
    let path = source.path();
    let found = fs::metadata(path).map_err(|error| absent(dataset, path, error))?;
    if found.is_file() {
        File::open(path).map_err(|error| unreadable(dataset, path, error))?;
        return Ok(Located::File);
    }
    if found.is_dir() {
        search(dataset, source)?;
        return Ok(Located::Directory);
    }
    Err(OpenFault::NotAFile {
        dataset: dataset.name().clone(),
        path: path.to_owned(),
    })
}

/// Look for at least one file of the format, and for what would be misread.
fn search(dataset: &Dataset, source: &FileSource) -> Result<(), OpenFault> {
    let directory = source.path();
    let extension = source.format().as_str();
    let suffix = format!(".{extension}");
    let failed = |error| unreadable(dataset, directory, error);
    let mut files = 0_usize;
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Follows links, as reading the data will; a dangling one is no file.
        let Ok(found) = fs::metadata(entry.path()) else {
            continue;
        };
        if found.is_dir() && name.contains('=') {
            return Err(OpenFault::Partitioned {
                dataset: dataset.name().clone(),
                path: entry.path(),
            });
        }
        files += usize::from(found.is_file() && name.ends_with(&suffix));
    }
    if files > 0 {
        return Ok(());
    }
    Err(OpenFault::EmptyDirectory {
        dataset: dataset.name().clone(),
        path: directory.to_owned(),
        extension,
    })
}

fn absent(dataset: &Dataset, path: &Path, error: io::Error) -> OpenFault {
    if error.kind() == io::ErrorKind::NotFound {
        return OpenFault::Missing {
            dataset: dataset.name().clone(),
            path: path.to_owned(),
        };
    }
    unreadable(dataset, path, error)
}

fn unreadable(dataset: &Dataset, path: &Path, source: io::Error) -> OpenFault {
    OpenFault::Unreadable {
        dataset: dataset.name().clone(),
        path: path.to_owned(),
        source,
    }
}

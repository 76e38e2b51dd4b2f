//! Files of records that are only ever added to: one JSON object per line, oldest first.
//!
//! Such a file is replaced as a whole, so that a crash leaves either the old or the new one,
//! never a torn line.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::files::{self, Access, FileError};

/// Why a file of records cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file is gone, and with it what every certificate is known by.
    #[error("{} is missing", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A line is not what this program writes.
    #[error("line {line} of {} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Where in the line and why.
        #[source]
        source: serde_json::Error,
    },
}

/// Makes a file without records, or leaves one that is there.
///
/// Without it a file that was lost would be one that has no records yet.
pub(crate) fn create(path: &Path) -> Result<(), RecordError> {
    if !files::exists(path)? {
        files::replace(path, Access::Owner, b"")?;
    }
    Ok(())
}

/// Whether there is a file with records.
pub(crate) fn has_records(path: &Path) -> Result<bool, RecordError> {
    Ok(files::read_optional(path)?.is_some_and(|text| !text.is_empty()))
}

/// Reads every record.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RecordError> {
    let missing = || RecordError::Missing {
        path: path.to_owned(),
    };
    let text = files::read_optional(path)?.ok_or_else(missing)?;
    let records = text
        .lines()
        .enumerate()
        .map(|(at, line)| serde_json::from_str(line).map_err(|source| damaged(path, at, source)));
    records.collect()
}

/// Replaces the file by one that has the new records after the old ones.
pub(crate) fn append<T: Serialize>(path: &Path, old: &[T], new: &[T]) -> Result<(), RecordError> {
    let mut text = String::new();
    for (at, record) in old.iter().chain(new).enumerate() {
        let line = serde_json::to_string(record).map_err(|source| damaged(path, at, source))?;
        text.push_str(&line);
        text.push('\n');
    }
    files::replace(path, Access::Owner, text.as_bytes())?;
    Ok(())
}

fn damaged(path: &Path, at: usize, source: serde_json::Error) -> RecordError {
    RecordError::Damaged {
        path: path.to_owned(),
        line: at + 1,
        source,
    }
}

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

/// Reads every record; where there is no file yet there are none.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RecordError> {
    let text = files::read_optional(path)?.unwrap_or_default();
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

//! Reading files, within bounds.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::LoadFault;

/// Reads a file that anybody may see.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, LoadFault> {
    let mut file = open(path)?;
    let mut bytes = Vec::new();
    fill(&mut file, &mut bytes)?;
    Ok(bytes)
}

/// Reads a file that nobody else may see, into memory that is wiped after use.
pub(super) fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, LoadFault> {
    let mut file = open(path)?;
    must_be_private(&file)?;
    // Growing a vector would leave copies of the key behind in freed memory.
    let mut bytes = Zeroizing::new(Vec::with_capacity(SECRET_CAPACITY_BYTES));
    fill(&mut file, &mut bytes)?;
    Ok(bytes)
}

/// Only files: to open a pipe, or what else may have been put there, waits for its other end.
fn open(path: &Path) -> Result<File, LoadFault> {
    let fault = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadFault::Missing,
        _ => LoadFault::Unreadable(error),
    };
    if !fs::metadata(path).map_err(fault)?.is_file() {
        return Err(LoadFault::NotAFile);
    }
    File::open(path).map_err(fault)
}

fn fill(file: &mut File, bytes: &mut Vec<u8>) -> Result<(), LoadFault> {
    let mut bounded = file.take(FILE_BYTES_MAX + 1);
    let count = bounded.read_to_end(bytes).map_err(LoadFault::Unreadable)?;
    if count as u64 > FILE_BYTES_MAX {
        return Err(LoadFault::TooLarge {
            limit_bytes: FILE_BYTES_MAX,
        });
    }
    Ok(())
}

/// Group rights are accepted: orchestrators mount secrets as 0440 with a group. The rights are
/// read from the open file, so that they cannot change between the check and the use.
#[cfg(unix)]
fn must_be_private(file: &File) -> Result<(), LoadFault> {
    use std::os::unix::fs::PermissionsExt;

    let mode = file
        .metadata()
        .map_err(LoadFault::Unreadable)?
        .permissions()
        .mode()
        & 0o7777;
    if mode & 0o006 != 0 {
        return Err(LoadFault::Exposed { mode });
    }
    Ok(())
}

#[cfg(not(unix))]
fn must_be_private(_file: &File) -> Result<(), LoadFault> {
    Ok(())
}

/// A bundle of a hundred roots is a fifth of this.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Holds every key file there is; the largest, RSA with 8192 bits, takes 6.5 KiB.
const SECRET_CAPACITY_BYTES: usize = 16 * 1024;

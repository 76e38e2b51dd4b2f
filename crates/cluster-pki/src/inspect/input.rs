//! The octets of a file, and who else may read them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use crate::files::FileError;
use crate::inspect::InspectError;

/// A file to be looked at. It may be a key, so it is wiped after use.
pub struct InspectionInput {
    octets: Zeroizing<Vec<u8>>,
    /// The mode of the file, where it is one.
    mode: Option<u32>,
}

impl InspectionInput {
    /// The largest file that is read: a bundle of a hundred roots is a fifth of it.
    pub const SIZE_LIMIT_BYTES: usize = 1024 * 1024;

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`InspectError::File`] where it cannot be read, [`InspectError::TooLarge`] beyond the
    /// limit.
    pub fn read(path: &Path) -> Result<Self, InspectError> {
        let fail = |source| FileError::new("read", path, source);
        let file = File::open(path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        let octets = read_limited(file).map_err(fail)?;
        Self::new(octets, metadata.is_file().then(|| metadata.mode()))
    }

    /// Reads to the end of something that is not a named file.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn from_reader(reader: impl Read) -> Result<Self, InspectError> {
        let fail = |source| FileError::new("read", Path::new("the input"), source);
        let octets = read_limited(reader).map_err(fail)?;
        Self::new(octets, None)
    }

    fn new(octets: Zeroizing<Vec<u8>>, mode: Option<u32>) -> Result<Self, InspectError> {
        if octets.len() > Self::SIZE_LIMIT_BYTES {
            return Err(InspectError::TooLarge);
        }
        Ok(Self { octets, mode })
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Who but the owner may read the file, as a warning. Nodes take a key that its group may
    /// read, since orchestrators mount secrets so, and no laxer one.
    pub(super) fn exposure(&self) -> Option<String> {
        let mode = self.mode? & 0o7777;
        let readers = match mode {
            _ if mode & EVERYONE_READS != 0 => {
                "every user of this machine may read the key, and nodes refuse it"
            }
            _ if mode & GROUP_READS != 0 => "the group of the file may read the key",
            _ => return None,
        };
        Some(format!("its mode is {mode:04o}: {readers}"))
    }
}

/// Room for the whole file at once: a growing buffer would leave copies of a key behind.
fn read_limited(reader: impl Read) -> Result<Zeroizing<Vec<u8>>, io::Error> {
    let room = InspectionInput::SIZE_LIMIT_BYTES + 1;
    let mut octets = Zeroizing::new(Vec::with_capacity(room));
    reader.take(room as u64).read_to_end(&mut octets)?;
    Ok(octets)
}

const EVERYONE_READS: u32 = 0o004;
const GROUP_READS: u32 = 0o040;

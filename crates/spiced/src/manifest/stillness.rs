//! Whether a changed file is whole: pure.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

/// What tells one state of a file from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    file: FileId,
    size: u64,
    /// In seconds, and nanoseconds beyond.
    modified: (i64, i64),
}

/// A file, whatever its name and content become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            file: FileId {
                device: metadata.dev(),
                inode: metadata.ino(),
            },
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}

/// Watches a file change.
///
/// One that was renamed into place is whole; one that is written where it stands may be half of
/// what it will be, and what is half of a spicepod can be one too.
#[derive(Debug, Default)]
pub(super) struct Stillness {
    /// The file that was there before.
    known: Option<FileId>,
    since: Option<(Stamp, Instant)>,
}

impl Stillness {
    /// Notes a look, and says whether the file has been like this for long enough. This process's
    /// own clock says so: that of a file server may be another one.
    pub(super) fn note(&mut self, stamp: Stamp, now: Instant) -> bool {
        let since = match self.since {
            Some((before, since)) if before == stamp => since,
            _ => now,
        };
        self.since = Some((stamp, since));
        let needed = match self.known {
            Some(known) if known != stamp.file => REPLACED,
            _ => IN_PLACE,
        };
        now.duration_since(since) >= needed
    }

    /// From now on this file is the one that was there before, or there was none.
    pub(super) fn settle(&mut self, stamp: Option<Stamp>) {
        self.known = stamp.map(|stamp| stamp.file);
    }
}

/// A replacement is looked at twice, which also catches a file that is copied into place quickly.
const REPLACED: Duration = Duration::from_millis(200);

/// Longer than the pauses of whoever writes one file.
const IN_PLACE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(inode: u64, size: u64) -> Stamp {
        Stamp {
            file: FileId { device: 1, inode },
            size,
            modified: (size.try_into().unwrap(), 0),
        }
    }

    /// Looks at `stamps`, 250 ms apart, at a file that was there before with inode 1.
    fn looks(stamps: &[Stamp]) -> Vec<bool> {
        let mut stillness = Stillness::default();
        stillness.settle(Some(stamp(1, 0)));
        let start = Instant::now();
        let looks = stamps.iter().zip(0..);
        let looks = looks.map(|(stamp, number)| {
            let now = start + Duration::from_millis(250) * number;
            stillness.note(*stamp, now)
        });
        looks.collect()
    }

    #[test]
    fn a_file_that_was_put_into_place_is_whole_at_the_second_look() {
        assert_eq!(looks(&[stamp(2, 9); 2]), [false, true]);
        // One that still grows is not, wherever it came from.
        let growing = [stamp(2, 1), stamp(2, 2), stamp(2, 3), stamp(2, 3)];
        assert_eq!(looks(&growing), [false, false, false, true]);
    }

    #[test]
    fn a_file_that_is_written_where_it_stands_is_whole_two_seconds_after_its_last_change() {
        let mut stamps = vec![stamp(1, 1); 7];
        stamps.extend([stamp(1, 2); 9]);
        let still = looks(&stamps);
        assert_eq!(still.iter().position(|still| *still), Some(15), "{still:?}");
        // What stood still once needs no time again.
        assert_eq!(looks(&[stamp(1, 1); 10])[8..], [true, true]);
        let mut touched = stamp(1, 1);
        touched.modified.1 = 1;
        assert_eq!(looks(&[stamp(1, 1), touched]), [false, false]);
    }

    #[test]
    fn a_file_where_there_was_none_may_be_being_written() {
        let mut stillness = Stillness::default();
        let start = Instant::now();
        assert!(!stillness.note(stamp(1, 1), start));
        assert!(!stillness.note(stamp(1, 1), start + REPLACED));
        assert!(stillness.note(stamp(1, 1), start + IN_PLACE));
    }
}
